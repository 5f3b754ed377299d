"""One matrix run over Debian's package descriptions in English and other languages, judged by description id.

Protocol: sentences are those of debian_text.py, split and cleaned as there; each language is a corpus, without the
sentences that were left untranslated. English has every sentence of a description that any of the languages has, and
as many of others as --english allows, so that most of its sentences have no partner in a given language. Known pairs:
sentences in the same place of descriptions with the same Description-md5 that have as many paragraphs, and sentences
in that paragraph, as the English; of two other languages, those that share such an English sentence. Of a mined pair
whose source or target has a known partner, all others count as wrong; pairs of which neither has one are not judged.
Recall is of all known pairs, where a sentence counts once. One `bitextmine matrix` command in a process of its own
mines all pairs for each of the --settings; later ones find what earlier ones embedded and searched.
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
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from debian_text import SUITES, download, first_of_each, pieces, usable
from signature import signature, write

from bitextmine.bitext import Bitext
from bitextmine.matrix.stage_log import read_stage_log
from bitextmine.workspace import Workspace

LANGUAGES = ("it", "de", "fr", "es", "ja", "ru", "pl", "ko", "pt_BR", "zh_CN")
ENGLISH = "en"
_LANG = {"pt_BR": "pt", "zh_CN": "zh-Hans"}
_NAME = {"pt_BR": "pt", "zh_CN": "zh"}

Place = tuple[str, int, int]  # md5, paragraph, sentence
Slots = dict[Place, str]  # the sentences of descriptions that are shaped as the English ones
Known = dict[frozenset[str], set[tuple[str, str]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, required=True, help="where apt's lists are kept, as of debian_text.py")
    parser.add_argument("--languages", nargs="+", default=LANGUAGES)
    parser.add_argument("--rows", type=int, default=60_000, help="sentences of a language at most")
    parser.add_argument("--english", type=int, default=150_000, help="English sentences")
    parser.add_argument("--settings", nargs="+", default=["precision = 0.95"], help="; between lines")
    parser.add_argument("--data-dir", type=Path, help="kept; by default a temporary one")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    files = download(arguments.dir, list(SUITES), [*arguments.languages, ENGLISH])
    with tempfile.TemporaryDirectory(prefix="matrix-debian-") as name:
        place = Path(name)
        sizes, known = write_corpora(files, arguments, place)
        data = arguments.data_dir or place / "data"
        runs = [run(place, data, sizes, settings, known) for settings in arguments.settings]
    signed = signature(languages=arguments.languages, rows=arguments.rows, sizes=sizes)
    write(arguments.json, signed, runs)


def write_corpora(
    files: Mapping[str, list[Path]], arguments: argparse.Namespace, place: Path
) -> tuple[dict[str, int], Known]:
    """A file a language; returns their sentences, and the known pairs by the names of the corpora."""
    english = first_of_each(files[ENGLISH])
    texts = {piece for blocks in english.values() for piece in pieces(blocks) if usable(piece)}
    slots: dict[str, Slots] = {ENGLISH: dict(_slots(english))}
    sides: dict[str, list[str]] = {}
    described: set[str] = set()
    for language in arguments.languages:
        found = first_of_each(files[language])
        kept = dict.fromkeys(
            piece for blocks in found.values() for piece in pieces(blocks) if usable(piece) and piece not in texts
        )
        sides[_NAME.get(language, language)] = _sample(list(kept), arguments.rows)
        shaped = {md5: blocks for md5, blocks in found.items() if _shape(blocks) == _shape(english.get(md5, []))}
        slots[_NAME.get(language, language)] = dict(_slots(shaped))
        described |= shaped.keys()
    wanted = dict.fromkeys(piece for md5 in english if md5 in described for piece in pieces(english[md5]))
    others = _sample([text for text in sorted(texts) if text not in wanted], arguments.english)
    first = _sample([text for text in wanted if usable(text)], arguments.english)
    sides[ENGLISH] = [*first, *others][: arguments.english]
    for name, side in sides.items():
        (place / f"{name}.txt").write_text("".join(f"{text}\n" for text in side), encoding="utf-8")
    return {name: len(side) for name, side in sides.items()}, _known(slots, {n: set(s) for n, s in sides.items()})


def _sample(texts: list[str], most: int) -> list[str]:
    rng = np.random.default_rng(3)
    return [texts[row] for row in rng.permutation(len(texts))[:most].tolist()]


def _shape(blocks: list[list[str]]) -> list[int]:
    return [len(block) for block in blocks]


def _slots(descriptions: Mapping[str, list[list[str]]]) -> Iterator[tuple[Place, str]]:
    for md5, blocks in descriptions.items():
        for paragraph, block in enumerate(blocks):
            for number, sentence in enumerate(block):
                yield (md5, paragraph, number), sentence


def _known(slots: Mapping[str, Slots], there: Mapping[str, set[str]]) -> Known:
    """Pairs of sentences in the same place, by the English sentence there, so that copies of it count too."""
    by_english: dict[str, dict[str, set[str]]] = {}
    for name, places in slots.items():
        found: dict[str, set[str]] = defaultdict(set)
        for at, text in places.items():
            if text in there[name] and at in slots[ENGLISH]:
                found[slots[ENGLISH][at]].add(text)
        by_english[name] = found
    known: Known = {}
    for one, other in combinations(slots, 2):
        shared = by_english[one].keys() & by_english[other].keys()
        left, right = sorted((one, other))
        known[frozenset((one, other))] = {
            (src, tgt) for text in shared for src in by_english[left][text] for tgt in by_english[right][text]
        }
    return known


def run(place: Path, data: Path, sizes: Mapping[str, int], settings: str, known: Known) -> dict[str, Any]:
    """The command with these settings, and what its pairs are worth."""
    tongues = {_NAME.get(code, code): _LANG.get(code, code) for code in (*LANGUAGES, ENGLISH)}
    tables = [f'[corpora.{name}]\nlang = "{tongues[name]}"\nfiles = ["{name}.txt"]' for name in sizes]
    config = place / "debian.toml"
    config.write_text("\n".join((*settings.split(";"), *tables)) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "bitextmine", "matrix", str(config), "--data-dir", str(data), "-v"]
    before = set((data / "matrices").glob("*/report.json"))
    started = time.monotonic()
    subprocess.run(command, check=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    seconds = time.monotonic() - started
    made = max((data / "matrices").glob("*/report.json"), key=lambda path: (path not in before, path.stat().st_mtime))
    report = json.loads(made.read_bytes())
    digests = [line.digest for log in (data / "matrices").glob("*/log") for line in read_stage_log(log)]
    judged = [
        _judged(data, pair, known) for pair in sorted(report["pairs"], key=lambda each: (each["src"], each["tgt"]))
    ]
    show(settings, judged, seconds, report)
    return {
        "settings": settings,
        "seconds": seconds,
        "stages": report["seconds"],
        "made_twice": len(digests) - len(set(digests)),
        "pairs": judged,
    }


def _judged(data: Path, pair: Mapping[str, Any], known: Known) -> dict[str, Any]:
    """Precision of the pairs that can be judged, recall of the known ones, F1, and what was promised."""
    names = pair["src"], pair["tgt"]
    gold = known[frozenset(names)]
    found = Workspace.at(data).artifacts.open("bitext", pair["result"]["bitext"])
    assert found is not None
    table = Bitext(found).table(["src", "tgt"])
    columns = dict(zip(names, (table["src"].to_pylist(), table["tgt"].to_pylist()), strict=True))
    left, right = (columns[name] for name in sorted(names))
    mined = list(zip(left, right, strict=True))
    lefts, rights = {src for src, _ in gold}, {tgt for _, tgt in gold}
    correct = sum(each in gold for each in mined)
    judged = sum(src in lefts or tgt in rights for src, tgt in mined)
    findable = min(len(lefts), len(rights))  # max-score uses each sentence once
    precision, recall = correct / max(judged, 1), correct / max(findable, 1)
    return {
        "pair": "-".join(names),
        "mined": len(mined),
        "judged": judged,
        "correct": correct,
        "known": len(gold),
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / max(precision + recall, 1e-9),
        "threshold": pair["result"]["threshold"],
        "seconds": pair["result"]["seconds"],
    }


def show(settings: str, judged: list[dict[str, Any]], seconds: float, report: Mapping[str, Any]) -> None:
    print(
        f"\n{settings}\n{'pair':<8}{'known':>8}{'mined':>8}{'judged':>8}{'P':>7}{'R':>7}{'F1':>7}  threshold, promised"
    )
    for each in judged:
        said = each["threshold"]
        value = f"{said['value']:.4f}" if said.get("value") is not None else "none"
        promised = f", {said['precision']:.3f} ({said['low']:.3f} to {said['high']:.3f})" if "precision" in said else ""
        counts = f"{each['known']:>8,}{each['mined']:>8,}{each['judged']:>8,}"
        figures = f"{each['precision']:>7.3f}{each['recall']:>7.3f}{each['f1']:>7.3f}"
        print(f"{each['pair']:<8}{counts}{figures}  {value}{promised}")
    total = sum(report["seconds"].values())
    shares = ", ".join(f"{stage} {spent:.0f} s ({spent / total:.0%})" for stage, spent in report["seconds"].items())
    mined = sum(each["mined"] for each in judged)
    print(f"{len(judged)} pairs of corpora, {mined:,} of sentences, {seconds:.0f} s; {shares}")


if __name__ == "__main__":
    main()
