"""The same searches on NVIDIA GPUs, through FAISS's GPU build. On a machine without one, everything imports.

Work is dealt out over the GPUs by this module, not by faiss.IndexShards: that orders equal scores as it pleases, and
wants all shards in the GPUs' memory at once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from bitextmine.errors import MismatchError, ParameterError
from bitextmine.progress import Progress, silent
from bitextmine.search.candidates import Queries, probing, zero_rows
from bitextmine.search.certify import DEVIATIONS, Candidates, certain_neighbors
from bitextmine.search.index_shards import FILE, OpenedShard, ShardedIndex
from bitextmine.search.index_spec import GPU_KINDS, CodeKind
from bitextmine.search.neighbors import MISSING, Neighbors
from bitextmine.search.rescore import Scorer, best_of
from bitextmine.vectors import StoredVectors

LONGEST_LIST = 2048  # FAISS's limit on GPUs
SPARE = 28  # candidates beyond k: float16 products differ from cosines in the fourth decimal
TEMPORARY_BYTES = 1 << 30  # scratch space that FAISS takes of each GPU
DEVICE_BYTES = 8 << 30  # of vectors or codes on each GPU, unless said otherwise
_QUERY_ROWS = 16_384
_ADD_ROWS = 65_536
_ERROR_ROWS = 4_096


def gpu_count() -> int:
    """GPUs that FAISS can use: 0 with a CPU build, or without a driver."""
    count = getattr(faiss, "get_num_gpus", None)
    return int(count()) if count else 0


def check_gpus(gpus: int) -> int:
    """The number itself.

    Raises:
        ParameterError: there are not so many.
    """
    there = gpu_count()
    if not 1 <= gpus <= there:
        message = f"{gpus} GPUs were asked for, and FAISS sees {there}; install an extra gpu-cu12 or gpu-cu13, or use 0"
        raise ParameterError(message, code="no-gpu")
    return gpus


class _Gpus:
    """FAISS's resources on each GPU, and a lock for each: they are not made for two threads at a time."""

    def __init__(self, count: int) -> None:
        self.count = check_gpus(count)
        self.resources = [faiss.StandardGpuResources() for _ in range(count)]
        self.locks = [threading.Lock() for _ in range(count)]
        for resources in self.resources:
            resources.setTempMemory(TEMPORARY_BYTES)


class GpuDevice:
    """Searches shards on GPUs: shard i on GPU i mod n, with look-up tables in float16.

    As many shards stay in the GPUs' memory as `device_bytes` holds; the others are streamed.

    Raises:
        ParameterError: no such number of GPUs, or codes that FAISS has no GPU search for.
    """

    most = LONGEST_LIST

    def __init__(self, index: ShardedIndex, gpus: int, device_bytes: int = DEVICE_BYTES) -> None:
        if index.spec.kind not in GPU_KINDS:
            message = f"codes of kind {index.spec.kind.value} cannot be searched on GPUs; {CodeKind.PQ.value} can"
            raise ParameterError(message, code="no-gpu")
        self._index, self._gpus = index, _Gpus(gpus)
        largest = max(((shard.path / FILE).stat().st_size for shard in index.shards), default=1)
        self.capacity = max(device_bytes // largest, 1)
        self._resident: list[OrderedDict[int, Any]] = [OrderedDict() for _ in range(gpus)]

    @property
    def parallel(self) -> int:
        return self._gpus.count

    def prepare(self, vectors: NDArray[np.float32], nprobe: int) -> Queries:
        """The GPU finds the cells itself."""
        if vectors.dtype != np.float32 or vectors.ndim != 2 or vectors.shape[1] != self._index.spec.dims:
            raise MismatchError(f"queries are float32 (n, {self._index.spec.dims}), not {vectors.dtype}")
        rows = np.ascontiguousarray(vectors)
        for transform in self._index.trained().transforms:
            rows = transform.apply(rows)
        empty = np.empty((len(rows), 0), np.int64)
        return Queries(rows, nprobe, empty, empty.astype(np.float32), zero_rows(vectors))

    def search(self, number: int, queries: Queries, count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        device = number % self._gpus.count
        with self._gpus.locks[device]:
            index = self._on_gpu(number, device)
            scores, ids = index.search(queries.vectors, count, params=probing(queries.nprobe))
        return scores, ids

    def _on_gpu(self, number: int, device: int) -> Any:
        resident = self._resident[device]
        if number not in resident:
            while len(resident) >= self.capacity:
                resident.popitem(last=False)
            whole = faiss.read_index(str(self._index.shards[number].path / FILE))  # a mapped one cannot be copied
            resident[number] = faiss.index_cpu_to_gpu(
                self._gpus.resources[device], device, OpenedShard.of(whole).ivf, cloner_options()
            )
        resident.move_to_end(number)
        return resident[number]


def cloner_options() -> Any:
    """How an index is copied to a GPU: look-up tables in float16."""
    options = faiss.GpuClonerOptions()
    options.useFloat16 = True
    options.useFloat16CoarseQuantizer = False  # cells as on the CPU
    options.usePrecomputed = False
    return options


def search_exact_gpu(
    src: StoredVectors,
    tgt: StoredVectors,
    k: int,
    *,
    gpus: int = 1,
    threads: int = 1,
    device_bytes: int = DEVICE_BYTES,
    progress: Progress = silent,
) -> tuple[Neighbors, Neighbors]:
    """The k nearest both ways by comparing all with all on GPUs in float16; k + 28 candidates are rescored exactly.

    Rows of which that proves nothing (see `certify`) are searched again in float32 on the CPU, so the result is that of
    `search_exact`. Memory of the host: the candidates of one direction, and a block of each side.

    Raises:
        MismatchError: the sides differ in dimensions.
        ParameterError: there are not so many GPUs, or k is too large for them.
    """
    if src.dims != tgt.dims:
        raise MismatchError(f"vectors of {src.dims} and of {tgt.dims} dimensions cannot be compared")
    if not 1 <= k <= LONGEST_LIST - SPARE:
        raise ParameterError(f"k is {k}; on GPUs it must be between 1 and {LONGEST_LIST - SPARE}", code="invalid-k")
    devices = _Gpus(gpus)
    scorer = Scorer(src, tgt, threads)

    def one_way(scorer: Scorer, stage: str) -> Neighbors:
        rows = block_rows(scorer.base.dims, device_bytes)
        blocks = [range(at, min(at + rows, len(scorer.base))) for at in range(0, len(scorer.base), rows)]
        search = _block_searcher(scorer, k + SPARE, devices, stage, progress)
        best = merged_lists(search, blocks, len(scorer.queries), k + SPARE, gpus)
        return certain_neighbors(scorer, candidates_of(best, scorer), k, f"{stage}-rescore", progress)[0]

    return one_way(scorer, "search-forward"), one_way(scorer.reversed(), "search-backward")


def candidates_of(best: Neighbors, scorer: Scorer) -> Candidates:
    """Lists of a GPU, with what a row that they left out can have: their cosines' error is measured on a sample."""
    sampled = np.unique(np.linspace(0, len(best) - 1, min(_ERROR_ROWS, len(best)), dtype=np.int64))
    ids, sims = best.ids[sampled], best.sims[sampled]
    difference = sims - scorer.cosines(sampled, ids) if len(sampled) else np.zeros((0, 1), np.float32)
    error = float(np.std(difference, where=ids != MISSING)) if (ids != MISSING).any() else 0.0

    def candidates(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        ids = best.ids[rows]
        most = best.sims[rows, -1].astype(np.float64) + DEVIATIONS * error
        return ids, np.where(ids[:, -1] == MISSING, -np.inf, most)

    return candidates


def block_rows(dims: int, device_bytes: int) -> int:
    """Vectors of a block that stays on a GPU in float16 while all queries pass."""
    return max(device_bytes // (2 * dims), 1)


def merged_lists(
    search: Callable[[int, range], Neighbors], blocks: list[range], rows: int, count: int, parallel: int
) -> Neighbors:
    """The best of all blocks, `parallel` of them searched at a time: block i by device i mod `parallel`."""
    best = Neighbors.none(rows, count)
    with ThreadPoolExecutor(parallel) as pool:
        for at in range(0, len(blocks), parallel):
            for more in pool.map(search, range(parallel), blocks[at : at + parallel]):
                best = best_of(np.hstack([best.ids, more.ids]), np.hstack([best.sims, more.sims]), count)
    return best


def _block_searcher(
    scorer: Scorer, count: int, devices: _Gpus, stage: str, progress: Progress
) -> Callable[[int, range], Neighbors]:
    """A function that searches all queries in a block of the base on a device. Device 0 reports progress."""
    n, m = len(scorer.queries), len(scorer.base)

    def search(device: int, block: range) -> Neighbors:
        config = faiss.GpuIndexFlatConfig()
        config.device, config.useFloat16 = device, True
        index = faiss.GpuIndexFlatIP(devices.resources[device], scorer.base.dims, config)
        for at in range(block.start, block.stop, _ADD_ROWS):
            index.add(scorer.base.block(at, min(at + _ADD_ROWS, block.stop)))
        found = Neighbors(np.empty((n, count), np.int64), np.empty((n, count), np.float32))
        for start in range(0, n, _QUERY_ROWS):
            rows = slice(start, min(start + _QUERY_ROWS, n))
            sims, ids = index.search(scorer.queries.block(rows.start, rows.stop), count)
            found.ids[rows], found.sims[rows] = np.where(ids == MISSING, MISSING, ids + block.start), sims
            if device == 0:
                progress(stage, (block.start * n + len(block) * rows.stop) // 1_000_000, n * m // 1_000_000)
        return found

    return search
