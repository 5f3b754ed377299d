"""Vectors with neighbours to find, and a program that a test kills in the middle of a search.

Run as a program it says where it is after every step, and goes on when it is sent a line.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitextmine.artifacts import ArtifactStore
from bitextmine.progress import Progress, silent
from bitextmine.search import ivfpq
from bitextmine.search.index_spec import CodeKind, IndexSpec, make_spec
from bitextmine.search.ivfpq_report import IvfPqReport
from bitextmine.search.neighbors import Neighbors
from bitextmine.vectors import StoredVectors

ROWS, DIMS, K, SHARDS = 2100, 64, 4, 7
QUERY_ROWS = 512


def pairs(rows: int = ROWS, seed: int = 1) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """Two sides of noisy translations around common topics; the targets are fewer, and some of them copies."""
    rng = np.random.default_rng(seed)
    topics = rng.standard_normal((40, DIMS))
    meaning = topics[rng.integers(0, 40, rows)] + 0.7 * rng.standard_normal((rows, DIMS))
    src, tgt = (meaning + 0.4 * rng.standard_normal((rows, DIMS)) for _ in range(2))
    tgt[100:220] = tgt[100]
    return src.astype(np.float16), tgt[: rows - 50].astype(np.float16)


def spec_of(shards: int, kind: CodeKind = CodeKind.PQ_FASTSCAN) -> IndexSpec:
    return make_spec(kind, DIMS, nlist=32, nprobe=8, training_rows=1024, shard_rows=-(-ROWS // shards))


def search(
    store: Path, spec: IndexSpec, *, threads: int = 1, memory: int = 1 << 26, progress: Progress = silent
) -> tuple[Neighbors, Neighbors, IvfPqReport]:
    src, tgt = (StoredVectors.of(side) for side in pairs())
    return ivfpq.search_ivfpq(
        src,
        tgt,
        K,
        store=ArtifactStore(store),
        spec=spec,
        memory_bytes=memory,
        threads=threads,
        src_digest="src",
        tgt_digest="tgt",
        progress=progress,
    )


def _step(stage: str, done: int, _total: int | None) -> None:
    print(stage, done, flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    ivfpq.QUERY_ROWS = QUERY_ROWS
    search(Path(sys.argv[1]), spec_of(SHARDS), progress=_step)
