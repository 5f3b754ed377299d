"""Runs one method in a process of its own: `mining_engine.py` starts it with the thread counts in the environment.

Reads src.npy and tgt.npy from a directory; writes METHOD.npz (neighbours and pairs) and METHOD.json (times, memory).
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from engine_methods import METHODS, SCALES_WITH_ROWS, Found, NotAvailableError
from engine_peers import MISSING, PEERS, Peer
from numpy.typing import NDArray

from bitextmine.margin import select_pairs
from bitextmine.search import Neighbors

QUERY_ROWS = 8192
WARM_ROWS = 2048
PROBE_SHARE = 32

Sides = tuple[Any, Any]


@dataclass
class Outcome:
    """One repeat: neighbours both ways, pairs, and the seconds of each stage (as if all rows had been searched)."""

    forward: tuple[NDArray[np.int64], NDArray[np.float32]]
    backward: tuple[NDArray[np.int64], NDArray[np.float32]]
    pairs: tuple[NDArray[np.int64], NDArray[np.int64]]
    stages: dict[str, float]  # build, search, select
    rows: tuple[int, int]  # rows of either side that were searched: the first ones
    bytes_per_vector: float
    details: dict[str, object]
    margins: NDArray[np.float32] | None = None  # of the pairs, where known


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("method", choices=[*METHODS, *PEERS])
    parser.add_argument("--k", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--repeats", type=int, required=True)
    parser.add_argument("--limit", type=float, required=True)
    arguments = parser.parse_args()
    faiss.omp_set_num_threads(arguments.threads)
    sides = tuple(np.load(arguments.directory / f"{side}.npy", mmap_mode="r") for side in ("src", "tgt"))
    try:
        report = measured(sides, arguments)
    except NotAvailableError as error:
        report = {"skipped": str(error)}
    (arguments.directory / f"{arguments.method}.json").write_text(json.dumps(report), encoding="utf-8")


def measured(sides: Sides, arguments: argparse.Namespace) -> dict[str, Any]:
    """Warm up on a few rows, then repeat until the repeats or the limit are reached; medians."""
    once = runner(arguments)
    once((sides[0][:WARM_ROWS], sides[1][:WARM_ROWS]), np.inf)
    before, outcomes = peak_mib(), []
    started, cpu = time.monotonic(), cpu_seconds()
    while len(outcomes) < arguments.repeats and time.monotonic() - started < arguments.limit:
        outcomes.append(once(sides, arguments.limit))
    wall, cpu, peak = time.monotonic() - started, cpu_seconds() - cpu, peak_mib()
    last = outcomes[-1]
    totals = [sum(outcome.stages.values()) for outcome in outcomes]
    save(arguments.directory / f"{arguments.method}.npz", last)
    return {
        "seconds": statistics.median(totals),
        "all_seconds": totals,
        **{f"{stage}_seconds": statistics.median(o.stages[stage] for o in outcomes) for stage in last.stages},
        "extrapolated": last.rows != (len(sides[0]), len(sides[1])),
        "rows_searched": list(last.rows),
        "cores_used": round(cpu / wall, 2),
        "bytes_per_vector": last.bytes_per_vector,
        "peak_resident_mib": peak,
        "resident_before_mib": before,
        **last.details,
    }


def runner(arguments: argparse.Namespace) -> Callable[[Sides, float], Outcome]:
    k, threads = arguments.k, arguments.threads
    if arguments.method in METHODS:
        scales = arguments.method in SCALES_WITH_ROWS
        return lambda sides, limit: run_product(
            METHODS[arguments.method], sides, k, threads, limit if scales else np.inf
        )
    peer = PEERS[arguments.method]
    if reason := peer.missing():
        raise NotAvailableError(reason)
    return lambda sides, limit: run_peer(peer(k, threads), sides, limit)


def run_product(method: Callable[..., Found], sides: Sides, k: int, threads: int, limit: float) -> Outcome:
    """Both directions at once. Where a first part of the source rows shows that all would take too long, a part only.

    Then the backward neighbours are among those rows alone and say nothing; they are not counted as searched.
    """
    n, m = len(sides[0]), len(sides[1])
    rows = n
    if np.isfinite(limit):
        probe = max(n // PROBE_SHARE, min(n, WARM_ROWS))
        seconds = timed(lambda: method(sides[0][:probe], sides[1], k, threads))[1] * n / probe
        rows = n if seconds <= limit else max(probe, int(n * limit / seconds))
    found, seconds = timed(lambda: method(sides[0][:rows], sides[1], k, threads))
    whole = rows == n
    forward = tuple(filled(array, n) for array in found.forward)
    backward = found.backward if whole else tuple(filled(array[:0], m) for array in found.backward)
    selected, select_seconds = timed(lambda: select_pairs(Neighbors(*forward), Neighbors(*backward)))
    stages = {
        "build": found.build_seconds,
        "search": (seconds - found.build_seconds) * n / rows,
        "select": select_seconds,
    }
    pairs = (selected.src, selected.tgt)
    searched = (n, m) if whole else (rows, 0)
    return Outcome(forward, backward, pairs, stages, searched, found.bytes_per_vector, found.details, selected.margin)


def run_peer(peer: Peer, sides: Sides, limit: float) -> Outcome:
    """Index the targets and search the sources, then the other way; each way has half of the limit for searching."""
    prepared, build = timed(lambda: peer.prepare(*sides))
    found, search, searched = [], 0.0, []
    for queries, base in (prepared, prepared[::-1]):
        build += timed(lambda base=base: peer.build(base))[1]
        ids, sims, rows, seconds = searched_until(peer, queries, limit / 2)
        search += seconds * len(queries) / max(rows, 1)
        searched.append(rows)
        found.append((filled(ids, len(queries)), filled(sims, len(queries))))
    held = peer.bytes_per_vector()
    (pairs, margins), select = timed(lambda: peer.select(prepared, found[0], found[1]))
    select *= len(prepared[0]) / max(searched[0], 1)
    stages = {"build": build, "search": search, "select": select}
    return Outcome(found[0], found[1], pairs, stages, (searched[0], searched[1]), held, peer.details(), margins)


def searched_until(peer: Peer, queries: Any, limit: float) -> tuple[Any, Any, int, float]:
    """Search blocks of queries until the time is up; ids, cosines, rows done and seconds."""
    started = time.monotonic()
    parts = [peer.search(queries[:QUERY_ROWS])]
    done = min(QUERY_ROWS, len(queries))
    while done < len(queries) and time.monotonic() - started < limit:
        parts.append(peer.search(queries[done : done + QUERY_ROWS]))
        done = min(done + QUERY_ROWS, len(queries))
    seconds = time.monotonic() - started
    ids, sims = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return ids, sims, done, seconds


def filled(array: NDArray[Any], rows: int) -> NDArray[Any]:
    """The array with rows that mean "not searched" at its end."""
    value = MISSING if np.issubdtype(array.dtype, np.integer) else -np.inf
    return np.pad(array, ((0, rows - len(array)), (0, 0)), constant_values=value)


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    started = time.monotonic()
    value = function()
    return value, time.monotonic() - started


def save(path: Path, outcome: Outcome) -> None:
    names = ("forward_ids", "forward_sims", "backward_ids", "backward_sims", "pairs_src", "pairs_tgt")
    arrays = (*outcome.forward, *outcome.backward, *outcome.pairs)
    margins = np.empty(0, np.float32) if outcome.margins is None else outcome.margins
    np.savez(path, **dict(zip(names, arrays, strict=True)), rows=np.array(outcome.rows), pairs_margin=margins)


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_mib() -> float:
    """The most memory resident so far, mapped files included (ru_maxrss would count the parent's)."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    return float("nan")


if __name__ == "__main__":
    main()
