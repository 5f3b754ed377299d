"""Mining again after a tenth of new sentences, against mining all of it from scratch.

Protocol: the first --rows lines of two real text files (debian_text.py makes src.txt and tgt.txt) are mined with muse;
then the same files with a tenth more lines, on both sides or on one, are mined in the same store, and in an empty one.
What `mine` takes is measured: embedding, search, and the choice of pairs; wall time, and the CPU time of the process,
which other load on the machine does not change. All runs are in this process, after one that warms it up. Pairs and
neighbours of both must be the same bytes, or the script fails.

With --vectors (src.npy and tgt.npy, as `debian_text.py` embeds them) nothing is encoded: the search alone.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from signature import signature, write

from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import PAIRS, Bitext
from bitextmine.corpus import Corpus, CorpusFile, ingest
from bitextmine.encoders import Encoder, open_encoder
from bitextmine.mining import MiningParameters, mine, plan_mining
from bitextmine.resources import Resources, default_memory
from bitextmine.search import ExactOptions, search_exact
from bitextmine.search.known import NOTHING, Known
from bitextmine.search.stored import KIND as NEIGHBORS
from bitextmine.vectors import StoredVectors
from bitextmine.workspace import Workspace

K, WARM_ROWS = 4, 300
LANGS = ("deu_Latn", "eng_Latn")
GROWTH = {"both sides": (1.1, 1.1), "target only": (1.0, 1.1)}
PARAMETERS = MiningParameters(k=K, allow_uncovered_languages=True)  # the source is in many languages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, required=True, help="holds src.txt and tgt.txt, or src.npy and tgt.npy")
    parser.add_argument("--rows", type=int, default=60_000, help="of either side, before it grows")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--vectors", action="store_true", help="search stored vectors, and encode nothing")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    measure = vectors_alone if arguments.vectors else whole_runs
    runs = []
    for what in GROWTH:
        run = {"grew": what, **measure(arguments.dir, what, arguments.rows, arguments.threads)}
        run |= {f"{clock}_ratio": run[f"grown_{clock}"] / run[f"scratch_{clock}"] for clock in ("seconds", "cpu")}
        runs.append(run)
        print(*(f"{key:<18}{value}" for key, value in run.items()), "", sep="\n")
    write(
        arguments.json, signature(rows=arguments.rows, threads=arguments.threads, k=K, vectors=arguments.vectors), runs
    )


def timed(name: str, work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    wall, cpu = time.monotonic(), time.process_time()
    found = work()
    return found, {f"{name}_seconds": time.monotonic() - wall, f"{name}_cpu": time.process_time() - cpu}


def sizes_of(what: str, rows: int) -> tuple[int, int]:
    src, tgt = (round(rows * growth) for growth in GROWTH[what])
    return src, tgt


def whole_runs(folder: Path, what: str, rows: int, threads: int) -> dict[str, Any]:
    encoder = open_encoder("muse", Workspace.at().encoders, threads=threads)
    with tempfile.TemporaryDirectory(prefix="incremental-") as name:
        places = [Place(Path(name) / each, folder, encoder, threads) for each in ("warm", "grown", "scratch")]
        warm, grown, scratch = places
        warm.mine((WARM_ROWS, WARM_ROWS))
        _, first = timed("first", lambda: grown.mine((rows, rows)))
        bitext, again = timed("grown", lambda: grown.mine(sizes_of(what, rows)))
        other, full = timed("scratch", lambda: scratch.mine(sizes_of(what, rows)))
        check_same(grown, bitext, scratch, other)
        stages = {
            f"{name}_stages": dict(each.summary["seconds"]) for name, each in (("grown", bitext), ("scratch", other))
        }
        return {**first, **again, **full, **stages, "pairs": len(bitext)}


class Place:
    """A store of its own, and the texts that grow in it."""

    def __init__(self, place: Path, texts: Path, encoder: Encoder, threads: int) -> None:
        place.mkdir()
        self.place, self.texts, self.encoder, self.threads = place, texts, encoder, threads
        self.store = ArtifactStore(place / "artifacts")

    def mine(self, sizes: tuple[int, int]) -> Bitext:
        src, tgt = (
            self._corpus(side, lang, size) for side, lang, size in zip(("src", "tgt"), LANGS, sizes, strict=True)
        )
        resources = Resources(self.threads, default_memory())
        plan = plan_mining(src, tgt, self.encoder, PARAMETERS, resources=resources)
        return mine(src, tgt, self.encoder, self.store, PARAMETERS, plan=plan)

    def _corpus(self, side: str, lang: str, size: int) -> Corpus:
        short = self.place / f"{side}.txt"
        with (self.texts / short.name).open(encoding="utf-8") as lines, short.open("w", encoding="utf-8") as out:
            out.writelines(line for line, _ in zip(lines, range(size), strict=False))
        return ingest(CorpusFile(short, lang), self.store)


def check_same(place: Place, bitext: Bitext, other: Place, scratch: Bitext) -> None:
    """
    Raises:
        SystemExit: the pairs, or the neighbours behind them, are not the same bytes.
    """
    files = []
    for store, found in ((place.store, bitext), (other.store, scratch)):
        neighbors = store.path(NEIGHBORS, found.artifact.manifest["inputs"]["neighbors"])
        files.append([found.artifact.path / PAIRS, *sorted(neighbors.glob("*.npy"))])
    for one, two in zip(*files, strict=True):
        if one.read_bytes() != two.read_bytes():
            raise SystemExit(f"{one.name} is not that of mining from scratch")


def vectors_alone(folder: Path, what: str, rows: int, threads: int) -> dict[str, Any]:
    src, tgt = (np.load(folder / f"{side}.npy", mmap_mode="r") for side in ("src", "tgt"))
    before = src[: round(rows / 1.1)], tgt[: round(rows / 1.1)]
    sides = tuple(side[: round(rows / 1.1 * growth)] for side, growth in zip((src, tgt), GROWTH[what], strict=True))

    def search(pair: tuple[Any, Any], known: Known = NOTHING) -> Known:
        one, other = map(StoredVectors.of, pair)
        return Known(*search_exact(one, other, K, options=ExactOptions(threads), known=known)[:2])

    search((src[:WARM_ROWS], tgt[:WARM_ROWS]))
    known, first = timed("first", lambda: search(before))
    grown, again = timed("grown", lambda: search(sides, known))
    scratch, full = timed("scratch", lambda: search(sides))
    for one, two in ((grown.forward, scratch.forward), (grown.backward, scratch.backward)):
        if one.ids.tobytes() != two.ids.tobytes() or one.sims.tobytes() != two.sims.tobytes():
            raise SystemExit("the neighbours are not those of a search from scratch")
    return {**first, **again, **full}


if __name__ == "__main__":
    main()
