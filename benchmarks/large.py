"""Exact search of many rows within a memory limit: resident memory as the kernel counts it, and how true the ETA is.

Protocol: clustered float16 vectors are written to files in a temporary directory, shard by shard, and searched from
there both ways (k = 4). Every ten seconds a line says what is done, the time left by the rate so far, and the resident
memory. With `--stop-after SECONDS` the run ends early, and the projected total is that of the last line.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from signature import signature, write

from bitextmine.resources import format_bytes, parse_memory
from bitextmine.search import ExactOptions, search_exact
from bitextmine.vectors import StoredVectors

SHARD_ROWS = 16_384
K = 4
EVERY_SECONDS = 10


class Watch:
    """Prints and keeps where the search is."""

    def __init__(self, stop_after: float | None) -> None:
        self.lines: list[dict[str, object]] = []
        self._stop_after = stop_after
        self._began = self._said = time.monotonic()
        self._stage, self._stage_began = "", self._began

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._stage_began = stage, now
        if now - self._said < EVERY_SECONDS and done != total:
            return
        self._said = now
        spent = now - self._stage_began
        left = spent * (total - done) / done if total and done else float("nan")
        line = {"seconds": round(now - self._began), "stage": stage, "done": done, "total": total}
        line |= {"eta_seconds": round(left) if left == left else None, "resident": resident("VmRSS")}
        self.lines.append(line)
        spoken = f"{line['seconds']:>5} s  {stage} {done:,}/{total:,}  {left:,.0f} s left"
        print(f"{spoken}  {format_bytes(resident('VmRSS'))}", flush=True)
        if self._stop_after and now - self._began > self._stop_after:
            raise TimeoutError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dims", type=int, default=512)
    parser.add_argument("--memory", default="3GB")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--stop-after", type=float)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    memory = parse_memory(arguments.memory)
    with tempfile.TemporaryDirectory(dir=arguments.directory) as name:
        sides = [side(Path(name) / str(seed), arguments.rows, arguments.dims, seed) for seed in (1, 2)]
        options = ExactOptions.within(memory, arguments.rows, arguments.rows, arguments.dims, K, arguments.threads)
        print(options, flush=True)
        watch = Watch(arguments.stop_after)
        try:
            report = search_exact(*sides, K, options=options, progress=watch)[2]
        except TimeoutError:
            report = None
    peak = resident("VmHWM")
    print(f"peak resident memory {format_bytes(peak)}, limit {format_bytes(memory)}; {report or 'stopped early'}")
    parameters = {name: str(value) for name, value in vars(arguments).items()}
    write(arguments.json, signature(**parameters), [{"peak_resident": peak, "limit": memory, "lines": watch.lines}])


def side(directory: Path, rows: int, dims: int, seed: int) -> StoredVectors:
    """Rows around 10,000 centres that both sides share, in files."""
    directory.mkdir()
    centres = np.random.default_rng(0).standard_normal((10_000, dims), dtype=np.float32)
    rng = np.random.default_rng(seed)
    files = []
    for start in range(0, rows, SHARD_ROWS):
        count = min(SHARD_ROWS, rows - start)
        block = centres[rng.integers(0, len(centres), count)] + rng.standard_normal((count, dims), dtype=np.float32)
        files.append(directory / f"{start:09}.npy")
        np.save(files[-1], (block / np.linalg.norm(block, axis=1, keepdims=True)).astype(np.float16))
    return StoredVectors(files, rows, dims, SHARD_ROWS)


def resident(field: str) -> int:
    """Bytes of this process's VmRSS (now) or VmHWM (peak)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(field))


if __name__ == "__main__":
    main()
