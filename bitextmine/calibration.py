"""How fast this machine is at what a search is made of: measured once, kept in the data directory, used by plans."""

from __future__ import annotations

import json
import logging
import os
import platform
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from bitextmine import __version__
from bitextmine.artifacts import write_atomically
from bitextmine.errors import ParameterError, disk_full_named
from bitextmine.resources import default_threads
from bitextmine.search.floats import search_rows
from bitextmine.search.lists import Best
from bitextmine.search.native import has_int8_tile
from bitextmine.search.quantize import Quantizer, column_block, row_block
from bitextmine.search.rescore import Scorer
from bitextmine.search.scan import scan
from bitextmine.vectors import StoredVectors

FILE = "calibration.json"
DIMS = 512  # that everything is measured with
_CANDIDATES = 16
_ROWS, _SCANNED_ROWS, _SCANNED_COLUMNS, _AGAIN = 1 << 17, 6_144, 16_384, 256
_DISK_BYTES, _CHUNK = 128 << 20, 8 << 20
_LEAST_SECONDS, _MOST_REPEATS = 0.4, 12
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Rates a second on one CPU. `products` are multiplications of two coordinates, 8-bit or float32."""

    cpu: str
    version: str
    measured: bool
    threads: int  # that `products_all` is of
    products_one: float  # by the scan of the similarity matrix, on one thread
    products_all: float  # on `threads` threads
    quantized: float  # coordinates made bytes, on one thread
    rescored: float  # coordinates of candidates, on one thread
    float_products: float  # by the float32 search of single rows
    written: float  # bytes to the data directory
    read: float  # bytes from it, not from the page cache

    def products(self, threads: int) -> float:
        """8-bit products a second on so many threads: what a further thread added when measured, it adds again."""
        if self.threads < 2:
            return self.products_one * threads
        added = (self.products_all - self.products_one) / (self.threads - 1)
        return self.products_one + max(added, 0.0) * (threads - 1)


def default_calibration() -> Calibration:
    """Rates for a machine that nobody measured: a slow core of the last years, half as fast as those we measured."""
    products = 2e11 if has_int8_tile() else 2e10
    return Calibration(
        cpu=cpu_model(),
        version=__version__,
        measured=False,
        threads=2,
        products_one=products,
        products_all=1.8 * products,
        quantized=6e7,
        rescored=1e9,
        float_products=1.5e10,
        written=1e8,
        read=2e8,
    )


def cpu_model() -> str:
    """The CPU's name, as the kernel or the platform gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        numbered = ("model name", "cpu family", "model\t", "stepping")
        found = dict(line.split(":", 1) for line in reversed(lines) if line.startswith(numbered) and ":" in line)
        named = {name.strip(): value.strip() for name, value in found.items()}
        return " ".join(named[name] for name in ("model name", "cpu family", "model") if name in named) or _platform()
    except OSError:
        return _platform()


def _platform() -> str:
    return platform.processor() or platform.machine()


def load_calibration(data_dir: Path) -> Calibration:
    """What was measured here, with this CPU and this version; the defaults otherwise."""
    try:
        calibration = TypeAdapter(Calibration).validate_json((data_dir / FILE).read_bytes())
        rates = [value for value in asdict(calibration).values() if not isinstance(value, str | bool)]
        usable = all(rate > 0 for rate in rates)
    except OSError:
        return default_calibration()
    except ValueError:
        _log.warning("%s is not readable; run: bitextmine calibrate-machine", data_dir / FILE)
        return default_calibration()
    if not usable or (calibration.cpu, calibration.version) != (cpu_model(), __version__):
        return default_calibration()
    return calibration


def store_calibration(calibration: Calibration, data_dir: Path) -> Path:
    """Keep it where `load_calibration` finds it; return the file."""
    file = data_dir / FILE
    write_atomically(file, json.dumps(asdict(calibration), indent=1).encode() + b"\n")
    return file


def measure_machine(data_dir: Path, threads: int | None = None) -> Calibration:
    """Measure it, in about ten seconds; a busy machine seems slower than it is.

    Raises:
        DiskFullError: no room for 128 MB in the data directory.
        ParameterError: nothing can be written there.
    """
    many = threads or default_threads()
    vectors = _random_vectors(_ROWS)
    quantizer = Quantizer.fit(vectors, vectors)
    one = Scorer(vectors, vectors, 1)
    rows = np.arange(min(_ROWS, 4_096))
    ids = np.random.default_rng(2).integers(0, _ROWS, (len(rows), _CANDIDATES))
    block = min(_ROWS, 16_384)
    products = _SCANNED_ROWS * _SCANNED_COLUMNS * DIMS
    scan_once = _scanner(quantizer, vectors, 1)
    scan_all = _scanner(quantizer, vectors, many)
    written, read = _disk_rates(data_dir)
    return Calibration(
        cpu=cpu_model(),
        version=__version__,
        measured=True,
        threads=many,
        products_one=products / _seconds(scan_once),
        products_all=many * products / _seconds(scan_all),
        quantized=block * DIMS / _seconds(lambda: row_block(quantizer, vectors, 0, block)),
        rescored=ids.size * DIMS / _seconds(lambda: one.best(rows, ids, 4)),
        float_products=_AGAIN * _ROWS * DIMS / _seconds(lambda: search_rows(one, rows[:_AGAIN], 4)),
        written=written,
        read=read,
    )


def _random_vectors(rows: int) -> StoredVectors:
    """Positive float16 of any size below 1: what they say does not matter, and making them takes no time."""
    bits = np.random.default_rng(1).integers(0, 0x3C00, (rows, DIMS), np.uint16)
    return StoredVectors.of(bits.view(np.float16))


def _scanner(quantizer: Quantizer, vectors: StoredVectors, threads: int) -> Callable[[], object]:
    """A scan by each thread of a block of its own; the lists are full when it comes again, as in most of a run."""
    rows = row_block(quantizer, vectors, 0, _SCANNED_ROWS)
    columns = column_block(quantizer, vectors, _SCANNED_ROWS, _SCANNED_ROWS + _SCANNED_COLUMNS)
    lists = [
        (
            Best.empty(_SCANNED_ROWS, _CANDIDATES, len(rows.codes)),
            Best.empty(_SCANNED_COLUMNS, _CANDIDATES, len(columns.starts)),
        )
        for _ in range(threads)
    ]
    tiles = range(len(columns.codes))

    def run() -> None:
        with ThreadPoolExecutor(threads) as pool:
            futures = [pool.submit(scan, rows, columns, tiles, *mine, (0, 0)) for mine in lists]
            for future in futures:
                future.result()

    return run


def _seconds(work: Callable[[], object]) -> float:
    """The fastest of some repeats: the others met something else; the first, which compiles and warms, not counted."""
    work()
    taken: list[float] = []
    while not taken or (sum(taken) < _LEAST_SECONDS and len(taken) < _MOST_REPEATS):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)


def _disk_rates(data_dir: Path) -> tuple[float, float]:
    """Bytes a second written to the data directory, and read from it."""
    chunk = np.random.default_rng(3).integers(0, 256, _CHUNK, np.uint8).tobytes()
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with disk_full_named("the test file of the calibration"), tempfile.TemporaryFile(dir=data_dir) as stream:
            started = time.perf_counter()
            for _ in range(_DISK_BYTES // _CHUNK):
                stream.write(chunk)
            stream.flush()
            os.fsync(stream.fileno())
            written = _DISK_BYTES / (time.perf_counter() - started)
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            started = time.perf_counter()
            stream.seek(0)
            while stream.read(_CHUNK):
                pass
            return written, _DISK_BYTES / (time.perf_counter() - started)
    except OSError as error:
        message = f"the data directory {data_dir} cannot be used: {error.strerror}"
        raise ParameterError(message) from error
