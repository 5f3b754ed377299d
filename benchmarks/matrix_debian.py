"""One matrix run over Debian's package descriptions in English and other languages, judged by description id.

Protocol: sentences are those of debian_text.py, split and cleaned as there. Of each language, --rows of those that have
a known partner in English: in the same place of descriptions with the same Description-md5 that have as many
paragraphs, and sentences in each, as the English. Half of the English partners, drawn by hash, are taken out, with
whatever equals them but for case and punctuation; English sentences of descriptions that nobody translated fill English
up to --english. So about half of the sentences of a language have no partner in English, and most English ones none in
a language. A mined pair is right where it, or what equals its English sentence but for case and punctuation, is known;
of two other languages, where both have the same such English partner. All other pairs count as wrong; some are not, as
descriptions say the same in other words. Recall is of the sentences that have a partner, on the side with fewer. One
`bitextmine matrix` command in a process of its own mines all pairs for each of the --settings; later ones find what
earlier ones embedded and searched.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
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
Known = dict[str, dict[str, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, required=True, help="where apt's lists are kept, as of debian_text.py")
    parser.add_argument("--languages", nargs="+", default=LANGUAGES)
    parser.add_argument("--rows", type=int, default=25_000, help="sentences of a language at most")
    parser.add_argument("--english", type=int, default=120_000, help="English sentences")
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
    texts = {piece for blocks in english.values() for piece in pieces(blocks)}
    places = dict(_slots(english))
    partners: dict[str, dict[str, str]] = {}  # of each corpus: a sentence, and its English one folded
    described: set[str] = set()
    for language in arguments.languages:
        found = first_of_each(files[language])
        described |= found.keys()
        shaped = {md5: blocks for md5, blocks in found.items() if _shape(blocks) == _shape(english.get(md5, []))}
        aligned = {text: fold(places[at]) for at, text in _slots(shaped) if usable(text) and text not in texts}
        kept = _sample(sorted(aligned), arguments.rows)
        partners[_NAME.get(language, language)] = {text: aligned[text] for text in kept}
    wanted = {folded for aligned in partners.values() for folded in aligned.values()}
    there = {text: fold(text) for text in sorted(texts) if usable(text)}
    partnered = [text for text, folded in there.items() if folded in wanted and _is_kept(folded)]
    untranslated = {piece for md5 in english if md5 not in described for piece in pieces(english[md5])}
    others = [text for text in sorted(untranslated) if usable(text) and there[text] not in wanted]
    side = [*partnered, *_sample(others, max(arguments.english - len(partnered), 0))]
    partners[ENGLISH] = {text: there[text] for text in _sample(side, len(side))}
    for name, aligned in partners.items():
        (place / f"{name}.txt").write_text("".join(f"{text}\n" for text in aligned), encoding="utf-8")
    return {name: len(aligned) for name, aligned in partners.items()}, partners


def fold(text: str) -> str:
    """The same for texts that differ in case and punctuation only."""
    return "".join(filter(str.isalnum, text.casefold()))


def _is_kept(folded: str) -> bool:
    return xxhash.xxh3_64_intdigest(folded.encode()) % 2 == 0


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
    """Precision, recall and F1 of one pair of corpora, and what was promised."""
    sides = known[pair["src"]], known[pair["tgt"]]
    found = Workspace.at(data).artifacts.open("bitext", pair["result"]["bitext"])
    assert found is not None
    table = Bitext(found).table(["src", "tgt"])
    mined = list(zip(table["src"].to_pylist(), table["tgt"].to_pylist(), strict=True))
    correct = sum(sides[0][src] == sides[1][tgt] for src, tgt in mined)
    shared = set(sides[0].values()) & set(sides[1].values())
    findable = min(sum(folded in shared for folded in side.values()) for side in sides)  # each is used once
    precision, recall = correct / max(len(mined), 1), correct / max(findable, 1)
    return {
        "pair": f"{pair['src']}-{pair['tgt']}",
        "mined": len(mined),
        "correct": correct,
        "known": findable,
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / max(precision + recall, 1e-9),
        "threshold": {name: value for name, value in pair["result"]["threshold"].items() if name != "margins"},
        "seconds": pair["result"]["seconds"],
    }


def show(settings: str, judged: list[dict[str, Any]], seconds: float, report: Mapping[str, Any]) -> None:
    print(f"\n{settings}\n{'pair':<8}{'known':>8}{'mined':>8}{'P':>7}{'R':>7}{'F1':>7}  threshold, promised")
    for each in judged:
        said = each["threshold"]
        value = f"{said['value']:.4f}" if said.get("value") is not None else "none"
        promised = f", {said['precision']:.3f} ({said['low']:.3f} to {said['high']:.3f})" if "precision" in said else ""
        counts = f"{each['known']:>8,}{each['mined']:>8,}"
        figures = f"{each['precision']:>7.3f}{each['recall']:>7.3f}{each['f1']:>7.3f}"
        print(f"{each['pair']:<8}{counts}{figures}  {value}{promised}")
    total = sum(report["seconds"].values())
    shares = ", ".join(f"{stage} {spent:.0f} s ({spent / total:.0%})" for stage, spent in report["seconds"].items())
    mined = sum(each["mined"] for each in judged)
    print(f"{len(judged)} pairs of corpora, {mined:,} of sentences, {seconds:.0f} s; {shares}")


if __name__ == "__main__":
    main()
