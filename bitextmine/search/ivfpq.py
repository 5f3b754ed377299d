"""Approximate search over sharded, compressed FAISS indexes, with exact cosines.

Candidates are the best over all shards by approximate score; they are rescored from the stored float16 vectors. A
block of queries that is done is an artifact, so a search that was killed goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from bitextmine.artifacts import Artifact, ArtifactKey, ArtifactStore
from bitextmine.embeddings import write_npy
from bitextmine.errors import ArtifactError, MismatchError, ParameterError
from bitextmine.progress import Progress, silent
from bitextmine.search.candidates import CpuDevice, Device, Queries, add_shards, check_nprobe
from bitextmine.search.index_shards import ShardedIndex, build_index, omp_threads, sound
from bitextmine.search.index_spec import IndexSpec, choose_spec
from bitextmine.search.ivfpq_report import IvfPqReport, Quality, measure_quality
from bitextmine.search.neighbors import Neighbors
from bitextmine.search.rescore import Scorer, best_of, gather
from bitextmine.vectors import StoredVectors, unit_rows

CANDIDATES_KIND = "candidates"
QUERY_ROWS = 16_384  # of a checkpoint; whatever the memory, so that another budget can go on with them
_IDS, _SIMS = "ids.npy", "sims.npy"
_LEAST_CANDIDATES = 64


@dataclass(frozen=True, slots=True)
class Side:
    """One side's vectors, their identity, and the index over them."""

    vectors: StoredVectors
    digest: str
    index: ShardedIndex


def search_ivfpq(  # noqa: PLR0913 - every one is a decision of the caller's
    src: StoredVectors,
    tgt: StoredVectors,
    k: int,
    *,
    store: ArtifactStore,
    memory_bytes: int,
    src_digest: str,
    tgt_digest: str,
    spec: IndexSpec | tuple[IndexSpec, ...] | None = None,
    threads: int = 1,
    gpus: int = 0,
    progress: Progress = silent,
) -> tuple[Neighbors, Neighbors, IvfPqReport]:
    """About the k nearest targets of each source row, and sources of each target row, with exact cosines.

    The result depends on the vectors and on the specification, not on the number of shards or the memory. Rows of
    which fewer than k candidates were found end in MISSING. `spec` is of both sides' indexes, or a pair of the source's
    and of the target's; with None each side gets the index that suits it.

    Raises:
        MismatchError: the sides differ in dimensions, or the specification does.
        ParameterError: the budget is too small to train an index.
        ArtifactError: what was written to disk reads back differently.
        DiskFullError: the disk is full; what is done stays.
    """
    if src.dims != tgt.dims:
        raise MismatchError(f"vectors of {src.dims} and of {tgt.dims} dimensions cannot be compared")
    if k < 1:
        raise ParameterError(f"k is {k}; it must be at least 1", code="invalid-k")
    sides = []
    given = (spec, spec) if isinstance(spec, IndexSpec) else spec or (None, None)
    described = ((src, src_digest, "index-src"), (tgt, tgt_digest, "index-tgt"))
    for (vectors, digest, stage), wanted in zip(described, given, strict=True):
        chosen = wanted or choose_spec(len(vectors), vectors.dims, memory_bytes, gpus)
        index = build_index(vectors, digest, chosen, store, threads=threads, stage=stage, progress=progress)
        sides.append(Side(vectors, digest, index.limited(memory_bytes // 4)))
    scorer = Scorer(src, tgt, threads)
    ahead = _Direction(scorer, sides[0], sides[1], k, store, memory_bytes, gpus, "search-forward")
    back = _Direction(scorer.reversed(), sides[1], sides[0], k, store, memory_bytes, gpus, "search-backward")
    started = time.monotonic()
    with omp_threads(threads):
        forward, backward = ahead.run(progress), back.run(progress)
        seconds = time.monotonic() - started
        quality = ahead.quality(forward, backward), back.quality(backward, forward)
    return forward, backward, _report(quality, sides, seconds, k)


def _report(quality: tuple[Quality, Quality], sides: list[Side], seconds: float, k: int) -> IvfPqReport:
    rows = sum(len(side.vectors) for side in sides)
    return IvfPqReport(
        quality=quality,
        bytes_per_vector=sum(side.index.file_bytes for side in sides) / max(rows, 1),
        build_seconds=sum(side.index.seconds for side in sides),
        search_seconds=seconds,
        candidates=candidate_count(k),
        nprobe=(sides[1].index.spec.nprobe, sides[0].index.spec.nprobe),
    )


def candidate_count(k: int) -> int:
    """How many candidates are rescored for k neighbours."""
    return max(_LEAST_CANDIDATES, 2 * k + 32)


class _Direction:
    """Queries of one side against the index of the other."""

    def __init__(  # noqa: PLR0913, PLR0917 - private
        self,
        scorer: Scorer,
        queries: Side,
        base: Side,
        k: int,
        store: ArtifactStore,
        memory_bytes: int,
        gpus: int,
        stage: str,
    ) -> None:
        self._scorer, self._queries, self._base, self._k = scorer, queries, base, k
        self._store, self._stage = store, stage
        self._memory_bytes, self._count = memory_bytes, candidate_count(k)
        self._nprobe = base.index.spec.nprobe
        self._device = device_for(base.index, gpus)

    def run(self, progress: Progress) -> Neighbors:
        """All blocks of queries; those that are not done are searched, some at a time."""
        n = len(self._queries.vectors)
        result = Neighbors.none(n, self._k)
        if not len(self._base.vectors):
            return result
        blocks = [range(start, min(start + QUERY_ROWS, n)) for start in range(0, n, QUERY_ROWS)]
        size, done = self._blocks_at_a_time(), 0
        for at in range(0, len(blocks), size):
            group = blocks[at : at + size]
            stored = [(block, sound(self._store, self._key(block))) for block in group]
            known = ((block, _neighbors(there, len(block), self._k)) for block, there in stored if there is not None)
            new = self._search([block for block, there in stored if there is None])
            for block, found in chain(known, new):
                result.ids[block.start : block.stop], result.sims[block.start : block.stop] = found.ids, found.sims
                done += len(block)
                progress(self._stage, done, n)
        return result

    def quality(self, found: Neighbors, back: Neighbors) -> Quality:
        return measure_quality(self._scorer, found, back, self._candidates_of)

    def _blocks_at_a_time(self) -> int:
        """One, unless shards have to be read anew for every block: then as many as a quarter of the memory holds."""
        index = self._base.index
        if index.open_shards >= len(index):
            return 1
        row_bytes = 12 * (self._nprobe + self._count) + 4 * index.spec.dims
        return max(self._memory_bytes // 4 // (QUERY_ROWS * row_bytes), 1)

    def _search(self, blocks: list[range]) -> Iterator[tuple[range, Neighbors]]:
        """Search and publish blocks: every shard for all of them before the next shards."""
        prepared = [self._prepare(np.arange(block.start, block.stop)) for block in blocks]
        best = [Neighbors.none(len(block), self._count) for block in blocks]
        step = len(self._base.index) if len(blocks) == 1 else self._device.parallel
        for at in range(0, len(self._base.index), max(step, 1)):
            shards = range(at, min(at + step, len(self._base.index)))
            for i, queries in enumerate(prepared):
                best[i] = add_shards(self._device, self._base.index, shards, queries, best[i])
        for block, candidates in zip(blocks, best, strict=True):
            rows = np.arange(block.start, block.stop)
            found = self._scorer.best(rows, candidates.ids, self._k)
            with self._store.publish(self._key(block)) as staging:
                write_npy(staging.path / _IDS, found.ids)
                write_npy(staging.path / _SIMS, found.sims)
            yield block, found

    def _prepare(self, rows: NDArray[np.int64]) -> Queries:
        contiguous = len(rows) and rows[-1] - rows[0] + 1 == len(rows)
        vectors = self._queries.vectors
        queries = vectors.block(int(rows[0]), int(rows[-1]) + 1) if contiguous else gather(vectors, rows)
        return self._device.prepare(queries.astype(np.float32, copy=False), self._nprobe)

    def _candidates_of(self, rows: NDArray[np.int64]) -> Neighbors:
        shards = range(len(self._base.index))
        best = Neighbors.none(len(rows), self._count)
        return add_shards(self._device, self._base.index, shards, self._prepare(rows), best)

    def _key(self, block: range) -> ArtifactKey:
        parameters = {
            "k": self._k,
            "candidates": self._count,
            "nprobe": self._nprobe,
            "start": block.start,
            "stop": block.stop,
            "device": type(self._device).__name__,
        }
        inputs = {"queries": self._queries.digest, "base": self._base.digest, "index": self._base.index.digest}
        return ArtifactKey(CANDIDATES_KIND, parameters, inputs)


def discard_candidates(store: ArtifactStore, src_digest: str, tgt_digest: str, k: int) -> None:
    """Delete the blocks that were kept so that a search could go on; for when its result is stored."""
    for artifact in store.list(CANDIDATES_KIND):
        inputs = artifact.manifest["inputs"]
        if {inputs["queries"], inputs["base"]} == {src_digest, tgt_digest} and artifact.parameters["k"] == k:
            store.delete(CANDIDATES_KIND, artifact.digest)


def _neighbors(artifact: Artifact, rows: int, k: int) -> Neighbors:
    ids = np.load(artifact.path / _IDS, allow_pickle=False)
    sims = np.load(artifact.path / _SIMS, allow_pickle=False)
    if ids.shape != (rows, k) or sims.shape != (rows, k):
        raise ArtifactError(f"{artifact.path} does not hold {rows} rows of {k}; delete it to make it again")
    return Neighbors(ids, sims)


def device_for(index: ShardedIndex, gpus: int) -> Device:
    if not gpus:
        return CpuDevice(index)
    from bitextmine.search.gpu import GpuDevice

    return GpuDevice(index, gpus)


class IndexSearcher:
    """Online search in an index. Thread-safe: nothing shared is changed by a request."""

    def __init__(self, index: ShardedIndex, vectors: StoredVectors, *, threads: int = 1, gpus: int = 0) -> None:
        if (index.rows, index.spec.dims) != (len(vectors), vectors.dims):
            raise MismatchError(f"an index of {index.rows:,} rows does not belong to {len(vectors):,} vectors")
        self._index, self._vectors, self._threads = index, vectors, threads
        self._device = device_for(index, gpus)

    def search(self, queries: NDArray[np.float32], k: int, nprobe: int | None = None) -> Neighbors:
        """About the k nearest rows of each query, with exact cosines.

        Args:
            queries: (q, d) float32, of any length.
            nprobe: cells to search, 1 to nlist; more find more and take longer.

        Raises:
            MismatchError: queries of another type or shape.
            ParameterError: nprobe is out of range.
        """
        self._check(queries)
        rows = unit_rows(queries)
        return self._rescored(rows, self.candidates(rows, candidate_count(k), nprobe), k)

    def candidates(self, queries: NDArray[np.float32], count: int, nprobe: int | None = None) -> Neighbors:
        """The `count` best rows of each unit query by approximate score, which is what stands in their sims.

        Raises:
            MismatchError, ParameterError: as `search`.
        """
        wanted = check_nprobe(self._index, self._index.spec.nprobe if nprobe is None else nprobe)
        self._check(queries)
        best = Neighbors.none(len(queries), count)
        with omp_threads(self._threads):
            prepared = self._device.prepare(queries, wanted)
            return add_shards(self._device, self._index, range(len(self._index)), prepared, best)

    def _check(self, queries: NDArray[np.float32]) -> None:
        if queries.ndim != 2 or queries.dtype != np.float32:
            raise MismatchError(f"queries are float32 (n, {self._index.spec.dims}), not {queries.dtype}")

    def _rescored(self, rows: NDArray[np.float32], best: Neighbors, k: int) -> Neighbors:
        sims = np.empty(best.sims.shape, np.float32)
        for row, (query, ids) in enumerate(zip(rows, best.ids, strict=True)):
            sims[row] = gather(self._vectors, np.maximum(ids, 0)) @ query.astype(np.float64) if self._index.rows else 0
        return best_of(best.ids, sims, k)


def with_probes(spec: IndexSpec, nprobe: int) -> IndexSpec:
    """The same index searched in another number of cells; nothing has to be trained or built again."""
    return replace(spec, nprobe=nprobe)
