"""The whole `bitextmine mine` command on real text, stage by stage, against the fastest exact search of others.

Protocol: the first --rows lines of two text files (debian_text.py makes src.txt and tgt.txt) are mined by the command
itself in a process of its own with an empty data directory: reading, embedding, search both ways, pairs. Then, in this
process and with as many threads, two faiss.knn calls search the vectors that the command stored, and pairs are chosen
from their neighbours. Both ratios are printed: from stored vectors to pairs, and from text to pairs, in which the
command's own time for reading and embedding is added to the peer's.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from engine_peers import FaissKnn
from numpy.typing import NDArray
from signature import signature, write

from bitextmine.artifacts import Artifact, ArtifactStore
from bitextmine.bitext import Bitext
from bitextmine.corpus import Corpus
from bitextmine.embeddings import VECTORS
from bitextmine.workspace import Workspace

K = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, required=True, help="holds src.txt and tgt.txt")
    parser.add_argument("--rows", type=int, default=100_000, help="lines of either file")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mine-command-") as name:
        place = Path(name)
        files = [first_lines(arguments.dir / f"{side}.txt", arguments.rows, place) for side in ("src", "tgt")]
        whole = run_command(files, place / "data", arguments.threads)
        bitext = the_bitext(place / "data")
        stages = dict(bitext.summary["seconds"])
        seconds, same = peer(place / "data", bitext, arguments.threads)
    ours = sum(stages[stage] for stage in ("search", "score"))
    rest = whole - ours
    run = {
        "method": "mine",
        "seconds": whole,
        "stages": {"start and reading": rest - stages["embed-src"] - stages["embed-tgt"], **stages},
        "peer_seconds": seconds,
        "pairs": len(bitext),
        "pairs_that_agree": same,
        "times_faster_from_vectors": seconds / ours,
        "times_faster_from_text": (rest + seconds) / whole,
    }
    for key, value in run.items():
        print(f"{key:<26}{value}")
    write(arguments.json, signature(rows=arguments.rows, threads=arguments.threads, k=K), [run])


def first_lines(path: Path, rows: int, place: Path) -> Path:
    short = place / path.name
    with path.open(encoding="utf-8") as lines, short.open("w", encoding="utf-8") as out:
        out.writelines(line for line, _ in zip(lines, range(rows), strict=False))
    return short


def run_command(files: list[Path], data: Path, threads: int) -> float:
    """Seconds of the command, Python's start included. Source text is in many languages: muse is not asked to agree."""
    command = [str(Path(sys.executable).with_name("bitextmine")), "mine", *map(str, files), "--allow-uncovered"]
    options = ["--src-lang", "deu", "--tgt-lang", "eng", "--threads", str(threads), "--data-dir", str(data)]
    encoders = ["--encoders-dir", str(Workspace.at(None, None).encoders), "-o", str(data.parent / "pairs.tsv")]
    started = time.monotonic()
    subprocess.run([*command, *options, *encoders], check=True)
    return time.monotonic() - started


def the_bitext(data: Path) -> Bitext:
    (artifact,) = ArtifactStore(data / "artifacts").list("bitext")
    return Bitext(artifact)


def peer(data: Path, bitext: Bitext, threads: int) -> tuple[float, float]:
    """Seconds of two faiss.knn calls and the choice of pairs, and the share of their pairs that the command mined."""
    faiss.omp_set_num_threads(threads)
    store = ArtifactStore(data / "artifacts")
    src, tgt = (vectors(store, bitext, side) for side in ("src", "tgt"))
    knn, started = FaissKnn(K, threads), time.monotonic()
    found = []
    for queries, base in ((src, tgt), (tgt, src)):
        knn.build(base)
        found.append(knn.search(queries))
    pairs, _ = knn.select((src, tgt), *found)
    seconds = time.monotonic() - started
    table = bitext.table(["src_row", "tgt_row"])
    mined = set(zip(table["src_row"].to_pylist(), table["tgt_row"].to_pylist(), strict=True))
    theirs = set(zip(*(column.tolist() for column in pairs), strict=True))
    return seconds, len(mined & theirs) / max(len(theirs), 1)


def vectors(store: ArtifactStore, bitext: Bitext, side: str) -> NDArray[np.float16]:
    """What the command stored for a side, (rows, dims), in the order of the corpus."""
    corpus = store.open("corpus", bitext.artifact.manifest["inputs"][side])
    by_sentences = {artifact.manifest["inputs"]["sentences"]: artifact for artifact in store.list("embeddings")}
    shards: list[Artifact] = [by_sentences[shard.digest] for shard in Corpus(corpus).shards]  # type: ignore[arg-type]
    parts: list[Any] = [np.load(shard.path / VECTORS) for shard in shards]
    return np.concatenate(parts)


if __name__ == "__main__":
    main()
