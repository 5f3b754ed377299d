"""What a search takes by each method: seconds, memory and disk, from its size and the machine's rates.

The estimates are sums of work over rates (`calibration`). They are meant to tell minutes from hours, and not to be
right to the second: how many rows need a second look, and how many cells have to be probed, depends on the vectors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, log, sqrt

from bitextmine.calibration import Calibration
from bitextmine.errors import ParameterError
from bitextmine.resources import format_bytes
from bitextmine.search.cells import ITERATIONS
from bitextmine.search.exact import ExactOptions
from bitextmine.search.index_spec import IndexSpec, choose_spec
from bitextmine.search.ivf import HELD_OUT, JOINED, SAMPLE_A_CELL, cell_count, most_probes
from bitextmine.search.lists import list_length
from bitextmine.search.method import Method

_MOST_ROWS = (1 << 31) - 1  # the search numbers rows in 32 bits
_FIXED_SECONDS = 2.0
_LIST_SECONDS = 3e-8  # to put a candidate into a list
_AGAIN_SHARE = 0.0005  # of rows that the 8 bits leave unsure, on text without many near-copies
_CHECKED = 64
_PAGE = 4096
_PROCESS_BYTES = 700 << 20
_ENTRY_BYTES, _FOUND_BYTES = 8, 12  # of a candidate in a list, and of a neighbour
_JOIN_SPEED, _UNEVEN = 0.8, 1.05  # of the scan's; large cells are looked into more often
# of 300,000 real sentences 16 % of the cells miss 2.7 %
_MISSED, _MISSED_ROWS, _MISSED_SHARE, _MISSED_POWER = 0.027, 3e5, 0.16, 0.62
_LOOK_BYTES = 12  # of a cell that a row looks into, while they are sorted
_PADDED = 1.1  # cells are padded to whole tiles
_KMEANS_ROUNDS, _CODED = 10, 16  # of FAISS's clustering; products to code a coordinate
_SCANNED = 8e9  # bytes of fast-scan codes that a core compares a second (9 to 15 measured on one core)
_QUERY_ROWS, _SAMPLED = 16_384, 1024
_CANDIDATES = 4  # that are rescored, against those of the other methods
_GPU_SPARE, _GPU_CANDIDATES = 28, 2  # gpu.SPARE, which loads FAISS to say so; and how many more that is to rescore
_GPU_CORES = 100  # a GPU against a core: a cautious guess, not measured


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one method would take: `memory_bytes` resident at most, `disk_bytes` written, `seconds` on this machine."""

    method: Method
    seconds: float
    memory_bytes: int
    disk_bytes: int
    how: str  # blocks, cells, or the index's factory string
    refusal: str = ""  # why it cannot be used

    @property
    def possible(self) -> bool:
        return not self.refusal

    def within(self, memory_bytes: int) -> Estimate:
        """The same, refused where it needs more."""
        if self.refusal or self.memory_bytes <= memory_bytes:
            return self
        need = f"needs {format_bytes(self.memory_bytes)} of memory, not {format_bytes(memory_bytes)}"
        return replace(self, refusal=need)


@dataclass(frozen=True, slots=True)
class SearchSize:
    """What is asked for: the k neighbours of so many rows on each side, of so many dimensions."""

    src_rows: int
    tgt_rows: int
    dims: int
    k: int

    @property
    def products(self) -> float:
        """Of coordinates, when every row is compared with every other."""
        return float(self.src_rows) * self.tgt_rows * self.dims

    def __str__(self) -> str:
        return f"{self.src_rows:,} x {self.tgt_rows:,} rows of {self.dims}"


@dataclass(frozen=True, slots=True)
class Work:
    """A search on a machine, and the seconds that its parts take there."""

    size: SearchSize
    target_recall: float
    threads: int
    rates: Calibration

    @property
    def n(self) -> int:
        return self.size.src_rows

    @property
    def m(self) -> int:
        return self.size.tgt_rows

    @property
    def dims(self) -> int:
        return self.size.dims

    @property
    def count(self) -> int:
        return list_length(self.size.k)

    @property
    def found_bytes(self) -> int:
        return (self.n + self.m) * self.size.k * _FOUND_BYTES

    def products(self, count: float) -> float:
        return count * self.dims / self.rates.products(self.threads)

    def in_floats(self, rows: float) -> float:
        """So many rows of each side searched in float32; half the work a side."""
        return rows * (self.n + self.m) * self.dims / self.rates.float_products

    def quantized(self, rows: float) -> float:
        """Reading float16 rows and making them bytes, by all threads."""
        return rows * self.dims * (1 / (self.rates.quantized * self.threads) + 2 / self.rates.read)

    def rescored(self, memory_bytes: int) -> float:
        """The candidates of both sides; pages that do not stay in memory are read from the disk each time."""
        count = (self.n + self.m) * self.count
        pages = max(_PAGE, 2 * self.dims) if 2 * (self.n + self.m) * self.dims > memory_bytes else 0
        return count * (self.dims / (self.rates.rescored * self.threads) + pages / self.rates.read)

    def listed(self) -> float:
        """Entering lists: a row's list changes about c ln(m / c) times."""
        entered = sum(rows * log(1 + other / self.count) for rows, other in ((self.n, self.m), (self.m, self.n)))
        return entered * self.count * _LIST_SECONDS / self.threads


def exact_cost(work: Work, memory_bytes: int) -> tuple[Estimate, ExactOptions]:
    try:
        blocks, refusal = _blocks(work, memory_bytes), _too_many(work)
        memory = _least_memory(work, blocks.rows)
    except ParameterError:
        memory = _least_memory(work, 1)
        blocks = _blocks(work, memory)
        refusal = f"needs {format_bytes(memory)} of memory, not {format_bytes(memory_bytes)}"
    passes = ceil(work.n / blocks.rows)
    seconds = (
        _FIXED_SECONDS
        + work.quantized(work.n + passes * work.m)
        + work.products(work.n * work.m)
        + work.listed()
        + work.rescored(memory_bytes)
        + work.in_floats(_CHECKED)
        + _AGAIN_SHARE * 2 * work.n * work.m * work.dims / work.rates.float_products
    )
    how = f"blocks of {blocks.rows:,} x {blocks.columns:,}"
    return Estimate(Method.EXACT, seconds, memory, work.found_bytes, how, refusal), blocks


def exact_cost_on_gpus(work: Work, gpus: int) -> Estimate:
    """Twice the products, one direction after the other; the lists of one are in the host's memory."""
    products = 2.0 * work.n * work.m * work.dims / (work.rates.float_products * _GPU_CORES * gpus)
    seconds = _FIXED_SECONDS + products + _GPU_CANDIDATES * work.rescored(2 * (work.n + work.m) * work.dims)
    lists = 2 * max(work.n, work.m) * (work.size.k + _GPU_SPARE) * _FOUND_BYTES
    how = f"float16 on {gpus} GPU{'s' if gpus > 1 else ''}"
    return Estimate(Method.EXACT, seconds, _PROCESS_BYTES + lists + work.found_bytes, 0, how, _too_many(work))


def _blocks(work: Work, memory_bytes: int) -> ExactOptions:
    return ExactOptions.within(memory_bytes, work.n, work.m, work.dims, work.size.k, work.threads)


def _least_memory(work: Work, rows: int) -> int:
    """The smallest budget under which blocks have so many rows: what a search in such blocks takes."""
    low, high = 0, 1 << 60
    while high - low > 1:
        middle = (low + high) // 2
        try:
            enough = _blocks(work, middle).rows >= rows
        except ParameterError:
            enough = False
        low, high = (low, middle) if enough else (middle, high)
    return high


def _too_many(work: Work) -> str:
    return "" if max(work.n, work.m) <= _MOST_ROWS else f"takes {_MOST_ROWS:,} rows a side at most"


def ivf_cost(work: Work) -> Estimate:
    """Cells that both sides share; how many must be probed is a guess here, and measured in the run."""
    cells = cell_count(min(work.n, work.m))
    probes = _probes(cells, min(work.n, work.m), work.target_recall)
    share = min(_UNEVEN * probes / cells, 1.0)
    rows, sample = work.n + work.m, min(SAMPLE_A_CELL * cells, work.n + work.m)
    seconds = (
        _FIXED_SECONDS
        + work.quantized(rows)
        + work.products((ITERATIONS * sample + rows) * cells + share * work.n * work.m / _JOIN_SPEED)
        + work.listed()
        + work.products(HELD_OUT * rows)
        + work.rescored(2 * rows * work.dims)
    )
    lists = (work.threads * work.n + _PADDED * work.m) * work.count * _ENTRY_BYTES + rows * work.count * 8
    codes = rows * work.dims + _PADDED * work.m * (work.dims + 8)
    looks = min(work.n * probes, JOINED) * _LOOK_BYTES
    memory = _PROCESS_BYTES + codes + lists + looks + work.found_bytes
    how = f"{cells:,} cells, about {probes} probed"
    return Estimate(Method.IVF, seconds, int(memory), work.found_bytes, how, _too_many(work))


def _probes(cells: int, rows: int, target_recall: float) -> int:
    """What text takes, roughly: the last neighbours are the dearest, and among more rows the nearest are nearer."""
    missed = max(1 - target_recall, 1e-9) * sqrt(rows / _MISSED_ROWS)
    share: float = _MISSED_SHARE * (_MISSED / missed) ** _MISSED_POWER
    return min(ceil(cells * share), most_probes(cells))


def ivfpq_cost(
    work: Work, memory_bytes: int, gpus: int, specs: tuple[IndexSpec, ...] = ()
) -> tuple[Estimate, tuple[IndexSpec, ...]]:
    """An index of compressed vectors for each side, in shards, and every row of the other looked up in it.

    The second value are the indexes' specifications, of source and target: those given, or those that suit the memory.
    """
    sides = (work.n, work.m)
    try:
        specs = specs or tuple(choose_spec(rows, work.dims, memory_bytes, gpus) for rows in sides)
    except ParameterError as error:
        return Estimate(Method.IVFPQ, _FIXED_SECONDS, _PROCESS_BYTES, 0, "no index", f"cannot be used: {error}"), ()
    products, scanned = 0.0, 0.0
    for spec, rows in zip(specs, sides, strict=True):
        products += _KMEANS_ROUNDS * spec.training_rows * spec.nlist + rows * _CODED + sum(sides) * spec.nlist
        scanned += float(work.n) * work.m * min(_UNEVEN * spec.nprobe / spec.nlist, 1.0) * spec.bytes_per_vector
    codes = sum(spec.bytes_per_vector * rows for spec, rows in zip(specs, sides, strict=True))
    faster = 1 + gpus * _GPU_CORES / work.threads
    seconds = (
        _FIXED_SECONDS
        + products * work.dims / (work.rates.float_products * faster)
        + scanned / (_SCANNED * work.threads * faster)
        + codes / work.rates.written
        + work.in_floats(_SAMPLED)
        + _CANDIDATES * work.rescored(memory_bytes)
    )
    disk = codes + 2 * work.found_bytes
    how = " and ".join(sorted({f"{spec.factory} with {spec.nprobe:,} cells probed" for spec in specs}))
    return Estimate(Method.IVFPQ, seconds, _ivfpq_memory(work, specs, memory_bytes), disk, how), specs


def _ivfpq_memory(work: Work, specs: tuple[IndexSpec, ...], memory_bytes: int) -> int:
    """The most of training and of searching: shards that are kept open, and the block of queries."""
    training = max(2 * 4 * spec.training_rows * spec.dims for spec in specs)
    shards = max(
        min(rows, spec.shard_rows) * spec.bytes_per_vector for spec, rows in zip(specs, (work.n, work.m), strict=True)
    )
    kept = min(memory_bytes // 4, sum((work.n, work.m)) * specs[0].bytes_per_vector) + shards
    queries = _QUERY_ROWS * max(12 * (spec.nprobe + _CANDIDATES * work.count) + 8 * spec.dims for spec in specs)
    return int(_PROCESS_BYTES + max(training, kept + queries) + 2 * work.found_bytes)
