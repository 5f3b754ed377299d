"""Which FAISS index suits a number of vectors, a memory budget and a device."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from bitextmine.errors import ParameterError

SHARD_ROWS = 1 << 20
SEED = 1
MOST_CELLS, MOST_CELLS_ON_GPUS = 1 << 14, 1 << 16  # a search of the cells costs as much as one of so many vectors
MOST_PROBES_ON_GPUS = 2048  # FAISS's limit
_LEAST_ROWS_A_CELL = 16  # in the training sample
_ROWS_A_CELL = 32
_TRAINING_SHARE = 4  # of the budget: the sample, which FAISS may copy, and distances
_FEW_ROWS = 10_000  # too few to train codebooks on


class CodeKind(StrEnum):
    """How a vector is compressed.

    PQ_FASTSCAN: 4 bits for every 4 dimensions, compared in registers. On real vectors a quarter of RaBitQ's search
        time for about the same bytes and recall (docs/benchmarks.md). Its shards are loaded, not mapped.
    RABITQ: 1 bit a dimension (Gao & Long 2024, arXiv:2405.12497); no codebooks to train, and shards are mapped.
    PQ: 8 bits for every 8 dimensions; what FAISS searches on GPUs. OPQ_PQ: rotated first, minutes more to train.
    """

    RABITQ = "rabitq"
    PQ_FASTSCAN = "pq-fastscan"
    PQ = "pq"
    OPQ_PQ = "opq-pq"


GPU_KINDS = frozenset({CodeKind.PQ, CodeKind.OPQ_PQ})  # that FAISS searches on GPUs


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSpec:
    """An index: how it is trained, cut and searched. The metric is always the inner product of unit vectors.

    Against L2, which orders unit vectors alike, FAISS then normalises the centroids, and more of the true neighbours
    lie in the cells probed: on 100k real vectors in 1,024 cells, 128 probed, 0.970 against 0.958.
    """

    factory: str  # FAISS's index_factory
    kind: CodeKind
    dims: int
    nlist: int  # cells
    nprobe: int  # cells searched for a query, unless it says otherwise
    training_rows: int
    bytes_per_vector: int  # code and id
    shard_rows: int = SHARD_ROWS
    seed: int = SEED

    def __post_init__(self) -> None:
        if not 1 <= self.nprobe <= self.nlist:
            raise ParameterError(f"nprobe is {self.nprobe}; it must be between 1 and the {self.nlist} cells")
        if min(self.training_rows, self.shard_rows) < 1:
            raise ParameterError("an index needs at least one training row and one row a shard")

    @property
    def training(self) -> dict[str, Any]:
        """What decides the trained centroids and codebooks."""
        wanted = asdict(self)
        return {name: wanted[name] for name in ("factory", "dims", "training_rows", "seed")}


def choose_spec(rows: int, dims: int, memory_bytes: int, gpus: int = 0) -> IndexSpec:
    """An index of `rows` vectors that is trained within a quarter of `memory_bytes`.

    Cells: about 4 sqrt(rows), a power of two, at least 16 training rows each. Probes: 8 sqrt(cells)
    (real vectors, 100k a side: 98.4% of the neighbours, 99.1% of the mined pairs; with half of them 96.8% and 97.9%).

    Raises:
        ParameterError: the budget does not hold the training sample of the smallest index.
    """
    most = memory_bytes // _TRAINING_SHARE // (4 * dims)
    if most < _LEAST_ROWS_A_CELL:
        raise ParameterError(f"{memory_bytes:,} bytes are too few to train an index of {dims} dimensions")
    wanted = 1 << max(round(4 * max(rows, 1) ** 0.5).bit_length() - 1, 0)
    room = min(rows, most) // _LEAST_ROWS_A_CELL
    nlist = max(min(wanted, MOST_CELLS_ON_GPUS if gpus else MOST_CELLS, 1 << (room.bit_length() - 1) if room else 1), 1)
    kind = _kind(rows, dims, memory_bytes, gpus)
    return make_spec(kind, dims, nlist=nlist, training_rows=max(min(rows, most, _ROWS_A_CELL * nlist), 1))


def _kind(rows: int, dims: int, memory_bytes: int, gpus: int) -> CodeKind:
    if gpus:
        return CodeKind.PQ
    fits = rows * (_code(CodeKind.PQ_FASTSCAN, dims)[1] + 8) <= memory_bytes // 2
    return CodeKind.PQ_FASTSCAN if rows >= _FEW_ROWS and fits else CodeKind.RABITQ


def make_spec(
    kind: CodeKind,
    dims: int,
    *,
    nlist: int,
    training_rows: int,
    nprobe: int | None = None,
    shard_rows: int = SHARD_ROWS,
    seed: int = SEED,
) -> IndexSpec:
    """The index of a kind, with the usual number of probes unless one is given."""
    code, size = _code(kind, dims)
    usual = min(max(round(8 * nlist**0.5), 1), nlist, MOST_PROBES_ON_GPUS)
    return IndexSpec(
        factory=code.format(cells=f"IVF{nlist}"),
        kind=kind,
        dims=dims,
        nlist=nlist,
        nprobe=usual if nprobe is None else nprobe,
        training_rows=training_rows,
        bytes_per_vector=size + 8,
        shard_rows=shard_rows,
        seed=seed,
    )


def _code(kind: CodeKind, dims: int) -> tuple[str, int]:
    """The factory string around `{cells}`, and the bytes of a code."""
    if kind is CodeKind.RABITQ:
        return "{cells},RaBitQ", -(-dims // 8) + 8
    if kind is CodeKind.PQ_FASTSCAN:
        parts = _divisor(dims, max(dims // 4, 1))
        return f"{{cells}},PQ{parts}x4fs", -(-parts // 2)
    parts = _divisor(dims, min(max(dims // 8, 1), 96))  # GPUs hold the tables of no more than 96
    return (f"OPQ{parts},{{cells}},PQ{parts}" if kind is CodeKind.OPQ_PQ else f"{{cells}},PQ{parts}"), parts


def _divisor(dims: int, most: int) -> int:
    return next(parts for parts in range(most, 0, -1) if dims % parts == 0)
