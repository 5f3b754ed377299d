"""What the filters of pairs do: precision before and after, and how many right and wrong pairs each drops.

Protocol: each data set is mined with the ratio margin, k=4, max-score retrieval and no threshold, and filtered by the
default filters. Two lists of pairs are judged: all that were mined, and those above the margin of the highest F1
against the gold pairs. Of the dropped ones it is counted, for each filter, how many it drops first and how many it
would drop alone, right ones and wrong ones apart. The harm is right pairs lost, in percent of all right ones.

- `--bucc DIR`: BUCC 2018's sample of Chinese and English, whose gold pairs were planted; encoded with `muse`.
- `--debian DIR ...`: what debian_text.py wrote with `--languages LANG --embed muse`, a directory a language; its first
  `--sources` sentences (they are shuffled) against all English ones. Its gold is known in part: of a sentence that has
  gold pairs all others count as wrong, and pairs of sentences that have none are not judged. Some that count as wrong
  are right: a description may say the same twice, in other words.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import signature
from numpy.typing import NDArray

from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import Bitext
from bitextmine.corpus import CorpusFile, CorpusFormat, ingest
from bitextmine.encoders import open_encoder
from bitextmine.evaluation.mining import best_threshold, read_gold
from bitextmine.filters import FilterChain, FilterSettings, PairBatch
from bitextmine.given import GivenVectors
from bitextmine.languages import parse_language
from bitextmine.mining import MiningParameters, mine
from bitextmine.workspace import default_encoders_dir

BATCH = 1024
SHOWN = 3  # wrongly dropped pairs of each filter


@dataclass(frozen=True)
class Judged:
    """Mined pairs by falling margin: `right` is 1 or 0, and -1 where that is not known."""

    name: str
    src: list[str]
    tgt: list[str]
    margin: NDArray[np.float32]
    right: NDArray[np.int8]
    gold: int
    langs: tuple[str, str]

    def above(self, threshold: float) -> Judged:
        n = int((self.margin >= threshold).sum())
        return Judged(self.name, self.src[:n], self.tgt[:n], self.margin[:n], self.right[:n], self.gold, self.langs)

    def batches(self) -> Iterator[PairBatch]:
        for start in range(0, len(self.src), BATCH):
            part = slice(start, start + BATCH)
            yield PairBatch(self.src[part], self.tgt[part], self.margin[part], *self.langs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bucc", type=Path, help="left out where it is not there")
    parser.add_argument("--debian", type=Path, nargs="*", default=[])
    parser.add_argument("--sources", type=int, default=10_000, help="of each directory of --debian")
    parser.add_argument("--filters", type=Path, help="settings other than the defaults")
    parser.add_argument("--harm", action="store_true", help="show right pairs that were dropped")
    parser.add_argument("--work", type=Path, help="a directory to keep what was mined, for a next run")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    settings = FilterSettings.read(arguments.filters) if arguments.filters else FilterSettings.defaults()
    runs = []
    with tempfile.TemporaryDirectory() as directory:
        store = ArtifactStore((arguments.work or Path(directory)) / "artifacts")
        sets = [bucc(arguments.bucc, store)] if arguments.bucc and arguments.bucc.is_dir() else []
        for judged in (*sets, *(debian(each, store, arguments.sources) for each in arguments.debian)):
            known = judged.right >= 0
            threshold, _ = best_threshold(judged.margin[known], judged.right[known] == 1, judged.gold)
            for at, pairs in (("all", judged), (f"{threshold:.3f}", judged.above(threshold))):
                runs.append(measured(pairs, at, settings, arguments.harm))
                show(runs[-1])
    signature.write(arguments.json, signature.signature(filters=settings.as_json()), runs)


def measured(pairs: Judged, threshold: str, settings: FilterSettings, harm: bool) -> dict[str, Any]:
    chain = FilterChain.fitted(pairs.batches, settings.filters)
    parts = [(chain.judge(batch), batch) for batch in pairs.batches()]
    first = np.concatenate([verdicts.dropped_by for verdicts, _ in parts])
    alone = [np.concatenate([~each.accept(each.score(batch)) for _, batch in parts]) for each in chain.filters]
    right, wrong = pairs.right == 1, pairs.right == 0
    filters = []
    for number, (each, dropped) in enumerate(zip(chain.filters, alone, strict=True)):
        counts = {
            f"{when}_{what}": int((found & judged).sum())
            for when, found in (("first", first == number), ("alone", dropped))
            for what, judged in (("right", right), ("wrong", wrong))
        }
        filters.append({"name": each.name, **counts, "learnt": dict(each.learnt)})
        if harm:
            for row in np.flatnonzero(dropped & right)[:SHOWN]:
                print(f"  {each.name}: {pairs.src[row][:150]} ||| {pairs.tgt[row][:150]}")
    return {
        "data": pairs.name,
        "threshold": threshold,
        "pairs": len(first),
        "before": scored(right, wrong, pairs.gold, np.ones(len(first), bool)),
        "after": scored(right, wrong, pairs.gold, first < 0),
        "filters": filters,
    }


@dataclass(frozen=True)
class Figures:
    right: int
    wrong: int
    precision: float
    recall: float


def scored(right: NDArray[np.bool_], wrong: NDArray[np.bool_], gold: int, kept: NDArray[np.bool_]) -> dict[str, float]:
    ours, theirs = int((right & kept).sum()), int((wrong & kept).sum())
    return asdict(Figures(ours, theirs, round(ours / max(ours + theirs, 1), 4), round(ours / max(gold, 1), 4)))


def show(run: dict[str, Any]) -> None:
    before, after = run["before"], run["after"]
    print(
        f"{run['data']}, margin {run['threshold']}: {run['pairs']:,} pairs; precision {before['precision']:.2%} -> "
        f"{after['precision']:.2%}; recall {before['recall']:.2%} -> {after['recall']:.2%}; "
        f"right {before['right']:,} -> {after['right']:,}; wrong {before['wrong']:,} -> {after['wrong']:,}"
    )
    for each in run["filters"]:
        figures = [each[f"{when}_{what}"] for when in ("first", "alone") for what in ("right", "wrong")]
        harm = each["alone_right"] / max(before["right"], 1)
        print(
            f"  {each['name']:<14}" + "".join(f"{figure:>9,}" for figure in figures) + f"{harm:>9.2%}  {each['learnt']}"
        )
    print(flush=True)


def bucc(directory: Path, store: ArtifactStore) -> Judged:
    files = [
        CorpusFile(directory / f"zh-en.dev.{end}", parse_language(end), CorpusFormat.ID_TSV) for end in ("zh", "en")
    ]
    src, tgt = (ingest(file, store) for file in files)
    bitext = mine(src, tgt, open_encoder("muse", default_encoders_dir()), store, MiningParameters())
    gold = read_gold(directory / "zh-en.dev.gold")
    table = bitext.table(["src_id", "tgt_id"])
    mined = zip(table["src_id"].to_pylist(), table["tgt_id"].to_pylist(), strict=True)
    right = np.fromiter((pair in gold for pair in mined), np.int8, len(bitext))
    return judged_of("BUCC zh-en", bitext, right, len(gold))


def debian(directory: Path, store: ArtifactStore, sources: int) -> Judged:
    (language,) = json.loads((directory / "counts.json").read_text(encoding="utf-8"))["all_src_by_language"]
    lang = parse_language({"zh_CN": "zh-Hans"}.get(language, language.partition("_")[0]))
    with tempfile.TemporaryDirectory() as name:
        first = Path(name)
        lines = (directory / "src.txt").read_text(encoding="utf-8").splitlines(keepends=True)
        (first / "src.txt").write_text("".join(lines[:sources]), encoding="utf-8")
        np.save(first / "src.npy", np.load(directory / "src.npy", mmap_mode="r")[:sources])
        src = ingest(CorpusFile(first / "src.txt", lang), store)
        tgt = ingest(CorpusFile(directory / "tgt.txt", "eng_Latn"), store)
        bitext = mine(src, tgt, GivenVectors(first / "src.npy", directory / "tgt.npy"), store, MiningParameters())
    gold = {(int(a) + 1, int(b) + 1) for a, b in np.load(directory / "pairs.npy") if a < sources}
    known = {src for src, _ in gold}
    table = bitext.table(["src_line", "tgt_line"])
    mined = list(zip(table["src_line"].to_pylist(), table["tgt_line"].to_pylist(), strict=True))
    right = [1 if pair in gold else 0 if pair[0] in known else -1 for pair in mined]
    return judged_of(f"Debian {language}-en", bitext, np.array(right, np.int8), len(known))


def judged_of(name: str, bitext: Bitext, right: NDArray[np.int8], gold: int) -> Judged:
    table = bitext.table(["src", "tgt", "margin"])
    texts = [table[side].to_pylist() for side in ("src", "tgt")]
    langs = bitext.parameters["src_lang"], bitext.parameters["tgt_lang"]
    return Judged(name, *texts, table["margin"].to_numpy(), right, gold, langs)


if __name__ == "__main__":
    main()
