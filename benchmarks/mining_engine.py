"""Every way of finding neighbours and pairs that we know of, on the same vectors, in one run.

Protocol: the vectors (made up, or of real text: debian_text.py) are written once as float16. Each method runs in a
process of its own, its threads fixed by the environment and by faiss.omp_set_num_threads: a warm-up on 2,048 rows,
then the repeats; medians are reported. `seconds` goes from vectors to pairs: build + search, both ways, + choosing
pairs (ratio margin, max-score), which JSON also has apart. `identical_rows`: share of rows, both ways, with the
neighbours of exact float32 search (ties within 1e-6 count as equal). `pairs_agreement`: share of the pairs mined from
exact neighbours that the method mines too; `good_pairs_agreement`: of those with a margin of 1.04 (WikiMatrix's
threshold) or more. `bytes_per_vector`: of the index, or of the vectors where there is none.
`peak_resident_mib`: of the process, mapped files included. `cores_used`: CPU time over wall time.

A method whose search would take more than --limit seconds is measured on as many queries as fit (the first rows, which
are in random order) and extrapolated: `extrapolated` is true, `rows_searched` says on how many. Its pairs mean nothing
then, so `pairs_agreement` is null. Where that happens to faiss.knn itself, `exact` gives the pairs to agree with
(`pairs_reference`). A method that runs longer than --timeout is stopped and listed with an `error`; one that cannot
run here with `skipped`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import vectors
from engine_judge import GOOD_MARGIN, Judge
from engine_methods import METHODS
from engine_peers import PEERS
from signature import signature, write

REFERENCE = "faiss.knn"
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
ALL = [REFERENCE, *METHODS, *(name for name in PEERS if name != REFERENCE)]


def main() -> None:
    arguments = parsed()
    with tempfile.TemporaryDirectory(prefix="mining-engine-", dir=arguments.tmp) as name:
        directory = Path(name)
        shape = write_vectors(directory, arguments)
        runs = [run(directory, method, arguments) for method in arguments.methods]
        judge_all(directory, runs)
    finish(runs)
    print_table(runs)
    parameters = {name: value for name, value in vars(arguments).items() if name not in ("json", "tmp", "real_dir")}
    write(arguments.json, signature(**{**parameters, **shape}), runs)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000, help="of each side")
    parser.add_argument("--dims", type=int, help="of synthetic vectors (512); real ones have their own")
    parser.add_argument("--k", type=int, default=4)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--data", choices=("synthetic", "real"), default="synthetic")
    parser.add_argument("--real-dir", type=Path, help="holds src.npy and tgt.npy of debian_text.py --embed")
    parser.add_argument("--methods", nargs="+", choices=ALL, default=ALL)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=3, help="of synthetic vectors")
    parser.add_argument("--limit", type=float, default=900, help="seconds of search before extrapolating")
    parser.add_argument("--timeout", type=float, default=7200, help="seconds before a method is stopped")
    parser.add_argument("--tmp", type=Path, help="where the vectors are written meanwhile")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.data == "real" and arguments.real_dir is None:
        parser.error("--data real needs --real-dir")
    arguments.methods = [REFERENCE, *(name for name in arguments.methods if name != REFERENCE)]
    return arguments


def write_vectors(directory: Path, arguments: argparse.Namespace) -> dict[str, int]:
    if arguments.data == "real":
        src, tgt = vectors.real(arguments.real_dir, arguments.rows)
        if arguments.dims not in (None, src.shape[1]):
            raise SystemExit(f"the vectors in {arguments.real_dir} have {src.shape[1]} dimensions")
    else:
        src, tgt = vectors.synthetic(arguments.rows, arguments.dims or 512, arguments.seed)
    np.save(directory / "src.npy", src)
    np.save(directory / "tgt.npy", tgt)
    return {"src_rows": len(src), "tgt_rows": len(tgt), "dims": src.shape[1]}


def run(directory: Path, method: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """One method in its own process."""
    print(f"{method} ...", file=sys.stderr, flush=True)
    child = Path(__file__).with_name("engine_child.py")
    options = {name: getattr(arguments, name) for name in ("k", "threads", "repeats", "limit")}
    flags = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(arguments.threads))
    try:
        subprocess.run(
            [sys.executable, str(child), str(directory), method, *flags],
            env=environment,
            check=True,
            timeout=arguments.timeout,
        )
    except subprocess.TimeoutExpired:
        return {"method": method, "error": f"stopped after {arguments.timeout:g} seconds"}
    except subprocess.CalledProcessError as error:
        return {"method": method, "error": f"exit status {error.returncode}"}
    return {"method": method, **json.loads((directory / f"{method}.json").read_text(encoding="utf-8"))}


def judge_all(directory: Path, runs: list[dict[str, Any]]) -> None:
    """Add identical_rows and pairs_agreement, where there is something exact to compare with."""
    whole = [run["method"] for run in runs if "seconds" in run and not run["extrapolated"]]
    mined = next((method for method in (REFERENCE, "exact") if method in whole), None)
    reference = directory / f"{REFERENCE}.npz"
    judge = Judge.of(directory, reference, mined and directory / f"{mined}.npz") if reference.exists() else None
    for run in runs:
        if "seconds" not in run:
            continue
        found = np.load(directory / f"{run['method']}.npz")
        whole_run = judge is not None and not run["extrapolated"]
        run["identical_rows"] = judge and judge.identical_rows(found)
        run["pairs_agreement"] = judge.pairs_agreement(found) if judge and whole_run else None
        run["good_pairs_agreement"] = judge.pairs_agreement(found, GOOD_MARGIN) if judge and whole_run else None
        run["pairs"] = len(found["pairs_src"]) if not run["extrapolated"] else None
        run["pairs_reference"] = mined


def finish(runs: list[dict[str, Any]]) -> None:
    base = next((run["seconds"] for run in runs if run["method"] == REFERENCE and "seconds" in run), None)
    for run in runs:
        if base and "seconds" in run:
            run["times_faster_than_faiss_knn"] = base / run["seconds"]


def print_table(runs: list[dict[str, Any]]) -> None:
    print(
        f"{'method':<22}{'seconds':>10}{'faster':>8}{'rows':>10}{'pairs':>9}{'good':>9}{'B/vector':>10}{'peak MiB':>10}"
    )
    for run in runs:
        if "seconds" not in run:
            print(f"{run['method']:<22}{run.get('error') or 'skipped: ' + run['skipped']}")
            continue
        mark = "~" if run["extrapolated"] else ""
        keys = ("identical_rows", "pairs_agreement", "good_pairs_agreement")
        rows, agreement, good = ("-" if run[key] is None else f"{run[key]:.5f}" for key in keys)
        faster = run.get("times_faster_than_faiss_knn")
        print(
            f"{run['method']:<22}{mark + format(run['seconds'], '.2f'):>10}{f'{faster:.2f}x' if faster else '-':>8}"
            f"{rows:>10}{agreement:>9}{good:>9}{run['bytes_per_vector']:>10.0f}{run['peak_resident_mib']:>10.0f}"
        )


if __name__ == "__main__":
    main()
