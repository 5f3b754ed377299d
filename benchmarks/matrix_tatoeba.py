"""One matrix run over Tatoeba v1's languages as monolingual corpora, judged pair by pair.

Protocol: each language's sentences are a corpus, and English is the union of the English sides of all of them, so that
most of its sentences have no partner in a given language. Gold of a language and English are the test set's pairs; of
two other languages, the sentences whose English is the same text ("where they exist": other translations among them
count as wrong, so precision is a lower bound). One `bitextmine matrix` command in a process of its own, with an empty
data directory, mines all pairs; precision, recall and F1 are of what it wrote. The stage log says how often the encoder
ran and where the time went. With --oracle a second run without thresholds and filters finds the best F1 that any
threshold gives.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from signature import signature, write

from bitextmine.bitext import Bitext
from bitextmine.corpus import Corpus
from bitextmine.evaluation.mining import Scores, best_threshold
from bitextmine.matrix.stage_log import read_stage_log
from bitextmine.workspace import Workspace

LANGUAGES = ("ara", "deu", "fra", "ita", "jpn", "kor", "nld", "pol", "por", "rus", "spa", "tha", "tur", "cmn")
ENGLISH = "eng"
_NAMES = {"cmn": "zh"}

Rows = dict[str, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="holds tatoeba.deu-eng.deu and its like")
    parser.add_argument("--languages", default=",".join(LANGUAGES), help="codes of the test set, besides eng")
    parser.add_argument("--settings", default="precision = 0.9", help="lines of the configuration's top")
    parser.add_argument("--oracle", action="store_true", help="run again without thresholds and filters")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    codes = arguments.languages.split(",")
    with tempfile.TemporaryDirectory(prefix="matrix-tatoeba-") as name:
        place = Path(name)
        gold = write_corpora(arguments.data, codes, place)
        seconds, report = run(place, codes, arguments.settings.replace(";", "\n"))
        runs = [judged(place, pair, gold) for pair in report["pairs"]]
        if arguments.oracle:
            _, bare = run(place, codes, 'filters = "none"')
            for each, pair in zip(runs, sorted(bare["pairs"], key=_title), strict=True):
                each["oracle_f1"] = oracle(place, pair, gold)
        log = embedded_twice(place)
    show(runs, seconds, report, log)
    signed = signature(languages=codes, settings=arguments.settings)
    write(arguments.json, signed, [{"seconds": seconds, "stages": report["seconds"], **log, "pairs": runs}])


def write_corpora(data: Path, codes: list[str], place: Path) -> dict[frozenset[str], set[tuple[str, str]]]:
    """A file of ids and sentences for each language; returns the gold pairs of each pair of corpora, by texts."""
    sides = {code: _aligned(data, code) for code in codes}
    english = dict.fromkeys(text for pairs in sides.values() for _, text in pairs)
    write_lines(place / "eng.txt", english)
    gold: dict[frozenset[str], set[tuple[str, str]]] = {}
    for code, pairs in sides.items():
        write_lines(place / f"{code}.txt", dict.fromkeys(text for text, _ in pairs))
        gold[frozenset((code, ENGLISH))] = {_sorted((code, text), (ENGLISH, other)) for text, other in pairs}
    for one, other in combinations(codes, 2):
        by_english: dict[str, list[str]] = defaultdict(list)
        for text, shared in sides[one]:
            by_english[shared].append(text)
        gold[frozenset((one, other))] = {
            _sorted((one, left), (other, right)) for right, shared in sides[other] for left in by_english[shared]
        }
    return gold


def _aligned(data: Path, code: str) -> list[tuple[str, str]]:
    stem = data / f"tatoeba.{code}-{ENGLISH}"
    lines = [Path(f"{stem}.{side}").read_text(encoding="utf-8").splitlines() for side in (code, ENGLISH)]
    return [(src.strip(), tgt.strip()) for src, tgt in zip(*lines, strict=True)]


def _sorted(one: tuple[str, str], other: tuple[str, str]) -> tuple[str, str]:
    """Texts of two corpora in the order of the corpora's names."""
    (_, first), (_, second) = sorted((one, other))
    return first, second


def write_lines(path: Path, texts: Mapping[str, None]) -> None:
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")


def run(place: Path, codes: list[str], settings: str) -> tuple[float, dict[str, Any]]:
    """The command, in a process of its own; returns its seconds and its report."""
    tables = [
        f'[corpora.{code}]\nlang = "{_NAMES.get(code, code)}"\nfiles = ["{code}.txt"]' for code in (*codes, ENGLISH)
    ]
    config = place / "tatoeba.toml"
    config.write_text("\n".join((settings, *tables)) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "bitextmine", "matrix", str(config), "--data-dir", str(place / "data"), "-v"]
    before = set((place / "data" / "matrices").glob("*/report.json"))
    started = time.monotonic()
    subprocess.run(command, check=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    seconds = time.monotonic() - started
    (made,) = set((place / "data" / "matrices").glob("*/report.json")) - before
    report: dict[str, Any] = json.loads(made.read_bytes())
    report["pairs"].sort(key=_title)
    return seconds, report


def _title(pair: Mapping[str, Any]) -> tuple[str, str]:
    return pair["src"], pair["tgt"]


def judged(place: Path, pair: Mapping[str, Any], gold: Mapping[frozenset[str], set[tuple[str, str]]]) -> dict[str, Any]:
    """Precision, recall and F1 of what one pair of corpora gave."""
    wanted = gold[frozenset(_title(pair))]
    mined = _texts(place, pair, pair["result"]["bitext"])
    scores = Scores(len(wanted.intersection(mined)), len(mined), len(wanted))
    return {
        "pair": "-".join(_title(pair)),
        "gold": scores.gold,
        "mined": scores.mined,
        "precision": scores.precision,
        "recall": scores.recall,
        "f1": scores.f1,
        "threshold": pair["result"]["threshold"],
        "seconds": pair["result"]["seconds"],
    }


def oracle(place: Path, pair: Mapping[str, Any], gold: Mapping[frozenset[str], set[tuple[str, str]]]) -> float:
    wanted = gold[frozenset(_title(pair))]
    bitext = _bitext(place, pair["result"]["bitext"])
    margins = bitext.table(["margin"])["margin"].to_numpy()
    correct = np.array([texts in wanted for texts in _texts(place, pair, bitext.digest)], bool)
    return best_threshold(margins, correct, len(wanted))[1].f1


def _texts(place: Path, pair: Mapping[str, Any], digest: str) -> list[tuple[str, str]]:
    table = _bitext(place, digest).table(["src", "tgt"])
    sides = zip(table["src"].to_pylist(), table["tgt"].to_pylist(), strict=True)
    return [_sorted((pair["src"], src), (pair["tgt"], tgt)) for src, tgt in sides]


def _bitext(place: Path, digest: str) -> Bitext:
    found = Workspace.at(place / "data").artifacts.open("bitext", digest)
    assert found is not None
    return Bitext(found)


def embedded_twice(place: Path) -> dict[str, Any]:
    """From the stage log: how many shards were embedded, and how many of them more than once."""
    lines = [line for log in (place / "data" / "matrices").glob("*/log") for line in read_stage_log(log)]
    digests = [line.digest for line in lines]
    shards = {line.digest for line in lines if line.stage == "embeddings"}
    store = Workspace.at(place / "data").artifacts
    sentences = sum(len(Corpus(each)) for each in store.list("corpus"))
    return {
        "shards": len(shards),
        "made_twice": len(digests) - len(set(digests)),
        "sentences_in_all_corpora": sentences,
        "sentences_encoded": sum(int(each.summary["rows"]) for each in store.list("embeddings")),
    }


def show(runs: list[dict[str, Any]], seconds: float, report: Mapping[str, Any], log: Mapping[str, Any]) -> None:
    print(f"{'pair':<9}{'gold':>6}{'mined':>7}{'P':>7}{'R':>7}{'F1':>7}  threshold")
    for each in runs:
        best = f"  best F1 {each['oracle_f1']:.3f}" if "oracle_f1" in each else ""
        value = each["threshold"]["value"]
        figures = f"{each['precision']:>7.3f}{each['recall']:>7.3f}{each['f1']:>7.3f}"
        print(f"{each['pair']:<9}{each['gold']:>6}{each['mined']:>7}{figures}  {value if value else 0:.4f}{best}")
    for what, chosen in (
        ("with English", [each for each in runs if ENGLISH in each["pair"]]),
        ("others", [each for each in runs if ENGLISH not in each["pair"]]),
    ):
        if chosen:
            print(f"{what}: {len(chosen)} pairs, mean F1 {np.mean([each['f1'] for each in chosen]):.3f}")
    total = sum(report["seconds"].values())
    shares = ", ".join(f"{stage} {spent:.1f} s ({spent / total:.0%})" for stage, spent in report["seconds"].items())
    print(f"{len(runs)} pairs in {seconds:.1f} s; {shares}; {dict(log)}")


if __name__ == "__main__":
    main()
