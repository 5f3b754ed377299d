"""The product's methods as the benchmark calls them: every call into `bitextmine` that is measured is in this file.

Each takes both sides as float16 unit rows and gives the k nearest both ways. What does not exist yet raises
`NotAvailableError`, and the benchmark says so and goes on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Vectors16 = NDArray[np.float16]


class NotAvailableError(Exception):
    """A method cannot run here; the message says why."""


@dataclass(frozen=True)
class Found:
    """Neighbours both ways, and what else a method wants to say in the JSON."""

    forward: tuple[NDArray[np.int64], NDArray[np.float32]]  # ids, cosines: (source rows, k)
    backward: tuple[NDArray[np.int64], NDArray[np.float32]]  # (target rows, k)
    bytes_per_vector: float  # what the method stores or holds of a vector while it searches
    build_seconds: float = 0.0
    details: dict[str, object] = field(default_factory=dict)


def run_exact(src: Vectors16, tgt: Vectors16, k: int, threads: int) -> Found:
    """Exact search: one pass for both directions in 8 bits, rescored."""
    from bitextmine.search import ExactOptions, search_exact
    from bitextmine.vectors import StoredVectors

    sides = StoredVectors.of(src), StoredVectors.of(tgt)
    forward, backward, report = search_exact(*sides, k, options=ExactOptions(threads=threads))
    held = 3.0 * src.shape[1]  # float16 on disk, mapped, and bytes in memory
    return Found((forward.ids, forward.sims), (backward.ids, backward.sims), held, details=asdict(report))


def run_ivf(src: Vectors16, tgt: Vectors16, k: int, threads: int, *, target_recall: float = 0.99) -> Found:
    """Clustered search, the same kernel over the cells that both sides share; probes for this recall."""
    from bitextmine.search.ivf import IvfOptions, search_ivf
    from bitextmine.vectors import StoredVectors

    sides = StoredVectors.of(src), StoredVectors.of(tgt)
    forward, backward, report = search_ivf(*sides, k, options=IvfOptions(threads, target_recall))
    held = 3.0 * src.shape[1]
    return Found((forward.ids, forward.sims), (backward.ids, backward.sims), held, details=asdict(report))


def run_ivfpq(src: Vectors16, tgt: Vectors16, k: int, threads: int) -> Found:
    """Sharded FAISS indexes of compressed codes, rescored exactly; indexes are built into a temporary directory."""
    from bitextmine.artifacts import ArtifactStore
    from bitextmine.search.ivfpq import search_ivfpq
    from bitextmine.vectors import StoredVectors

    sides = StoredVectors.of(src), StoredVectors.of(tgt)
    with tempfile.TemporaryDirectory() as directory:
        forward, backward, report = search_ivfpq(
            *sides,
            k,
            store=ArtifactStore(Path(directory)),
            memory_bytes=8 << 30,
            src_digest="src",
            tgt_digest="tgt",
            threads=threads,
        )
    details = asdict(report)
    return Found(
        (forward.ids, forward.sims),
        (backward.ids, backward.sims),
        float(report.bytes_per_vector),
        build_seconds=report.build_seconds,
        details=details,
    )


METHODS: dict[str, Callable[[Vectors16, Vectors16, int, int], Found]] = {
    "exact": run_exact,
    "ivf": run_ivf,
    "ivf-0.98": partial(run_ivf, target_recall=0.98),
    "ivf-0.96": partial(run_ivf, target_recall=0.96),
    "ivf-0.90": partial(run_ivf, target_recall=0.9),
    "ivfpq": run_ivfpq,
}
SCALES_WITH_ROWS = frozenset({"exact"})  # time is proportional to the queries, so a part can be extrapolated
