"""Precision promised without gold, against the precision that gold tells.

Protocol: each set has a source and a target whose true pairs are known. The estimate sees texts and vectors only. For
each precision asked for, the threshold that it chooses is applied to the pairs that mining gives (ratio, k = 4,
max-score), and what was promised is compared with the share of them that gold holds; recall likewise, against all gold
pairs' source sentences. A set counts as kept where both differ by 3 points at most, and as covered where the truth
lies in the 90 % interval. Asking where fewer than 50 pairs are kept is left out.

Sets. Debian: directories that debian_text.py made with --embed; of source sentences with known pairs, ROWS are drawn, a
share keeps its partners in the target, all partners of the others are taken out (with whatever equals them but for
case and punctuation), and English sentences that are no partners fill the target up. "length" and "topic" do not draw
which sentences keep their partners: the longest do, or those on one side of a random plane through the vectors.
Tatoeba: the partners of half of the sentences are taken out, and other English sentences of the set may be added. BUCC:
the zh-en sample, whose gold is known to lack some pairs. Gold holds for what equals a sentence but for case and
punctuation, too.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from signature import signature, write

from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import CorpusFile, CorpusFormat, ingest
from bitextmine.encoders import open_encoder
from bitextmine.errors import ParameterError
from bitextmine.evaluation.mining import read_gold
from bitextmine.given import GivenVectors
from bitextmine.mining import MiningParameters, mine, plan_mining
from bitextmine.resources import Resources
from bitextmine.thresholds import ThresholdEstimate, estimate_for
from bitextmine.workspace import default_encoders_dir

PRECISIONS = (0.7, 0.8, 0.9, 0.95, 0.98)
LEAST_KEPT = 50
POINTS = 0.03
Gold = set[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Known:
    """Two sides with their vectors, and the lines (from 0) that are pairs."""

    name: str
    texts: tuple[list[str], list[str]]
    vectors: tuple[NDArray[np.float16], NDArray[np.float16]]
    gold: Gold


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--debian", type=Path, nargs="*", default=[], metavar="DIR")
    parser.add_argument("--rows", type=int, default=20_000, help="of the source; the target has twice as many")
    parser.add_argument("--shares", type=float, nargs="*", default=[1.0, 0.5, 0.1], help="that keep their partners")
    parser.add_argument("--kinds", nargs="*", default=["random"], choices=["random", "length", "topic"])
    parser.add_argument("--tatoeba", type=Path, metavar="DIR")
    parser.add_argument("--tatoeba-languages", nargs="*", default=["deu", "fra", "rus", "cmn", "ara"])
    parser.add_argument("--bucc", type=Path, metavar="DIR")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    runs = []
    for known in sets(arguments):
        runs += [run(known, arguments.threads)]
        show(runs[-1])
    summary(runs)
    write(arguments.json, signature(**{name: str(value) for name, value in vars(arguments).items()}), runs)


def sets(arguments: argparse.Namespace) -> Iterator[Known]:
    for directory in arguments.debian:
        for share in arguments.shares:
            for kind in arguments.kinds if share < 1 else ["random"]:
                yield debian(directory, arguments.rows, share, kind)
    if arguments.bucc or arguments.tatoeba:
        encoder = open_encoder("muse", default_encoders_dir(), threads=arguments.threads)

        def encode(texts: list[str]) -> NDArray[np.float16]:
            return encoder.encode(texts).astype(np.float16)

        if arguments.bucc:
            yield bucc(arguments.bucc, encode)
        if arguments.tatoeba:
            for lang in arguments.tatoeba_languages:
                for added in (0, 5_000):
                    yield tatoeba(arguments.tatoeba, lang, added, encode)


def debian(directory: Path, rows: int, share: float, kind: str) -> Known:
    rng = np.random.default_rng(1)
    texts = tuple((directory / f"{side}.txt").read_text(encoding="utf-8").splitlines() for side in ("src", "tgt"))
    vectors = tuple(np.load(directory / f"{side}.npy", mmap_mode="r") for side in ("src", "tgt"))
    pairs = np.load(directory / "pairs.npy")
    groups = connected(pairs)
    groups = [groups[place] for place in rng.permutation(len(groups))]
    normal = np.random.default_rng(5).standard_normal(vectors[0].shape[1])
    score: Callable[[NDArray[np.int64]], float] = {
        "random": lambda group: float(rng.random()),
        "length": lambda group: -len(texts[0][group[0, 0]]) + float(rng.random()),
        "topic": lambda group: float(vectors[0][group[0, 0]].astype(np.float64) @ normal),
    }[kind]
    bound = float(np.quantile([score(group) for group in groups[:2_000]], share))
    src: set[int] = set()
    tgt: set[int] = set()
    gone: set[str] = set()
    for group in groups:
        if len(src) >= rows:
            break
        src |= set(group[:, 0].tolist())
        if share >= 1 or score(group) < bound:
            tgt |= set(group[:, 1].tolist())
        else:
            gone |= {plain(texts[1][row]) for row in group[:, 1].tolist()}
    tgt = {row for row in tgt if plain(texts[1][row]) not in gone}
    for row in rng.permutation(len(texts[1])).tolist():
        if len(tgt) >= 2 * rows:
            break
        if plain(texts[1][row]) not in gone:
            tgt.add(row)
    chosen = np.array(sorted(src)), np.array(sorted(tgt))
    gold = {(a, b) for a, b in pairs.tolist() if a in src and b in tgt}
    places = [{row: place for place, row in enumerate(side.tolist())} for side in chosen]
    return known(
        f"Debian {directory.name}, {share:.0%} {kind}",
        tuple([texts[side][row] for row in chosen[side].tolist()] for side in (0, 1)),
        tuple(np.ascontiguousarray(vectors[side][chosen[side]]) for side in (0, 1)),
        {(places[0][a], places[1][b]) for a, b in gold},
    )


def connected(pairs: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Pairs in groups that share no sentence."""
    parent: dict[tuple[int, int], tuple[int, int]] = {}

    def root(node: tuple[int, int]) -> tuple[int, int]:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for a, b in pairs.tolist():
        parent[root((0, a))] = root((1, b))
    groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for a, b in pairs.tolist():
        groups.setdefault(root((0, a)), []).append((a, b))
    return [np.array(group) for group in groups.values()]


def tatoeba(directory: Path, lang: str, added: int, encode: Callable[[list[str]], NDArray[np.float16]]) -> Known:
    def read(of: str, side: str) -> list[str]:
        return (directory / f"tatoeba.{of}-eng.{side}").read_text(encoding="utf-8").split("\n")[:-1]

    rng = np.random.default_rng(2)
    ours, english = read(lang, lang), read(lang, "eng")
    rows = sorted({text: row for row, text in enumerate(ours)}.values())
    half = {text for text in sorted({plain(text) for text in english}) if rng.random() < 0.5}
    others = sorted({text for file in directory.glob("*.eng") for text in file.read_text(encoding="utf-8").split("\n")})
    filled = [others[place] for place in rng.permutation(len(others))[:added].tolist()]
    absent = {plain(english[row]) for row in rows} - half
    tgt = sorted({english[row] for row in rows if plain(english[row]) in half})
    tgt = sorted({*tgt, *(text for text in filled if plain(text) and plain(text) not in absent)})
    places = {text: place for place, text in enumerate(tgt)}
    src = [ours[row] for row in rows]
    gold = {(place, places[english[row]]) for place, row in enumerate(rows) if english[row] in places}
    return known(f"Tatoeba {lang}, 50%, {added:,} added", (src, tgt), (encode(src), encode(tgt)), gold)


def bucc(directory: Path, encode: Callable[[list[str]], NDArray[np.float16]]) -> Known:
    name = next(file.name.removesuffix(".gold") for file in directory.glob("*.gold"))
    ids, texts = [], []
    for lang in name.split(".")[0].split("-"):
        lines = [line.split("\t", 1) for line in (directory / f"{name}.{lang}").read_text("utf-8").splitlines()]
        ids.append({line[0]: place for place, line in enumerate(lines)})
        texts.append([line[1] for line in lines])
    gold = {(ids[0][a], ids[1][b]) for a, b in read_gold(directory / f"{name}.gold")}
    return known(f"BUCC {name}", (texts[0], texts[1]), (encode(texts[0]), encode(texts[1])), gold)


def known(name: str, texts: Any, vectors: Any, gold: Gold) -> Known:
    """With gold for all that equals its sentences but for case and punctuation."""
    alike: list[dict[str, list[int]]] = [{}, {}]
    for side in (0, 1):
        for place, text in enumerate(texts[side]):
            alike[side].setdefault(plain(text), []).append(place)
    closed = {(x, y) for a, b in gold for x in alike[0][plain(texts[0][a])] for y in alike[1][plain(texts[1][b])]}
    return Known(name, texts, vectors, closed)


def plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.lower()).strip()


def run(of: Known, threads: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        store, corpora = ArtifactStore(place / "artifacts"), []
        for side, lang, texts, vectors in zip(("a", "b"), ("deu_Latn", "eng_Latn"), of.texts, of.vectors, strict=True):
            (place / f"{side}.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
            np.save(place / f"{side}.npy", vectors)
            corpora.append(ingest(CorpusFile(place / f"{side}.txt", lang, CorpusFormat.TEXT), store))
        given = GivenVectors(place / "a.npy", place / "b.npy")
        parameters = MiningParameters()
        plan = plan_mining(*corpora, given, parameters, resources=Resources(threads=threads))
        bitext = mine(*corpora, given, store, parameters, plan=plan)
        started = time.monotonic()
        estimate = estimate_for((corpora[0], corpora[1]), given, store, parameters, plan=plan)
        seconds = time.monotonic() - started
        table = bitext.table(["src_line", "tgt_line", "margin"])
    lines = zip(table["src_line"].to_pylist(), table["tgt_line"].to_pylist(), strict=True)
    right = np.fromiter(((a - 1, b - 1) in of.gold for a, b in lines), bool, len(table))
    stages = bitext.summary.get("stages", {})
    return {
        "set": of.name,
        "sentences": [len(texts) for texts in of.texts],
        "translated": len({a for a, _ in of.gold}),
        "pairs": len(table),
        "decoys": estimate.decoys,
        "shift": round(estimate.shift, 4),
        "unknown": estimate.unknown,
        "seconds": round(seconds, 2),
        "stages": stages,
        "asked": judged(estimate, table["margin"].to_numpy(), right, of.gold),
    }


def judged(
    estimate: ThresholdEstimate, margins: NDArray[np.float32], right: NDArray[np.bool_], gold: Gold
) -> list[dict[str, Any]]:
    found = []
    for precision in PRECISIONS:
        try:
            choice = estimate.choose(precision)
        except ParameterError as error:
            found.append({"asked": precision, "refused": error.code})
            continue
        kept = margins >= np.float32(choice.threshold)
        true = float(right[kept].mean())
        recall = float(right[kept].sum() / max(len({a for a, _ in gold}), 1))
        found.append(
            {
                "asked": precision,
                "threshold": round(choice.threshold, 4),
                "pairs": int(kept.sum()),
                **{"promised": round(choice.precision, 4), "low": round(choice.low, 4), "high": round(choice.high, 4)},
                "true": round(true, 4),
                "kept": abs(true - choice.precision) <= POINTS,
                "covered": choice.low <= true <= choice.high,
                **{"recall": round(choice.recall, 4), "true_recall": round(recall, 4)},
                "recall_covered": choice.recall_low <= recall <= choice.recall_high,
            }
        )
    return found


def show(result: dict[str, Any]) -> None:
    print(
        f"{result['set']}: {' x '.join(f'{n:,}' for n in result['sentences'])}, {result['translated']:,} translated, "
        f"{result['pairs']:,} pairs, {result['decoys']:,} decoys, shift {result['shift']:+.3f}, "
        f"{result['seconds']:.1f} s{', unknown: ' + result['unknown'] if result['unknown'] else ''}",
        flush=True,
    )
    for each in result["asked"]:
        if "refused" in each:
            print(f"  {each['asked']:.2f}  {each['refused']}")
            continue
        print(
            f"  {each['asked']:.2f}  threshold {each['threshold']:.3f} {each['pairs']:>7,} pairs, promised "
            f"{each['promised']:.3f} ({each['low']:.3f} to {each['high']:.3f}), true {each['true']:.3f}"
            f"{'' if each['kept'] else ' !'}; recall {each['recall']:.3f}, true {each['true_recall']:.3f}",
            flush=True,
        )


def summary(runs: list[dict[str, Any]]) -> None:
    for precision in PRECISIONS:
        asked = [
            each
            for result in runs
            for each in result["asked"]
            if each["asked"] == precision and each.get("pairs", 0) >= LEAST_KEPT
        ]
        if asked:
            off = [each["true"] - each["promised"] for each in asked]
            print(
                f"{precision:.2f}: {sum(each['kept'] for each in asked)} of {len(asked)} within 3 points, mean "
                f"difference {np.mean(off):+.3f}, {sum(each['covered'] for each in asked)} in the interval, recall "
                f"{sum(each['recall_covered'] for each in asked)}"
            )


if __name__ == "__main__":
    main()
