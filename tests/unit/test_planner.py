"""What is planned: which method, within which memory, and what is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitextmine.calibration
from bitextmine.artifacts import ArtifactStore
from bitextmine.calibration import (
    FILE,
    Calibration,
    default_calibration,
    load_calibration,
    measure_machine,
    store_calibration,
)
from bitextmine.costs import SearchSize
from bitextmine.errors import ParameterError
from bitextmine.planner import LONG_SECONDS, WORTH_SECONDS, Plan, format_seconds, make_plan
from bitextmine.progress import silent
from bitextmine.resources import Resources
from bitextmine.search.gpu import gpu_count
from bitextmine.search.method import Method
from bitextmine.search_as_planned import search_as_planned
from bitextmine.vectors import StoredVectors

FAST = replace(
    default_calibration(),
    products_one=4.5e11,
    products_all=8.8e11,
    quantized=4.5e7,
    rescored=3e9,
    float_products=2e10,
    written=1e9,
    read=1e9,
    measured=True,
)
PLENTY = 1 << 40


def plan_of(rows: int, memory: float = PLENTY, dims: int = 512, threads: int = 2, **wanted: object) -> Plan:
    size = SearchSize(rows, rows, dims, 4)
    return make_plan(size, Resources(threads, int(memory)), FAST, **wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [1, 10, 1000, 100_000, 1_000_000, 3_000_000])
def test_auto_is_exact_up_to_a_few_million_rows_a_side(rows: int) -> None:
    plan = plan_of(rows)
    assert plan.method is Method.EXACT
    assert "misses nothing" in plan.reason


def test_gpus_do_an_exact_search_unless_it_is_small() -> None:
    size, limits = SearchSize(1_000_000, 1_000_000, 512, 4), Resources(2, PLENTY, 2)
    large, on_cpu = make_plan(size, limits, FAST), make_plan(size, Resources(2, PLENTY), FAST)
    assert (large.method, large.exact_gpus, large.chosen.how) == (Method.EXACT, 2, "float16 on 2 GPUs")
    assert large.chosen.seconds < on_cpu.chosen.seconds
    assert make_plan(SearchSize(1000, 1000, 512, 4), limits, FAST).exact_gpus == 0
    assert large.parameters == on_cpu.parameters, "what they find is the same"


@pytest.mark.skipif(gpu_count() > 0, reason="this is about machines without a GPU")
def test_a_plan_for_gpus_gets_as_far_as_asking_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bitextmine.planner.SMALL_PRODUCTS", 0)
    sides = [StoredVectors.of(np.random.default_rng(seed).standard_normal((50, 8))) for seed in (1, 2)]
    plan = make_plan(SearchSize(50, 50, 8, 4), Resources(1, PLENTY, 1), FAST, method=Method.EXACT)
    with pytest.raises(ParameterError, match="FAISS sees 0") as caught:
        search_as_planned(sides[0], sides[1], plan, ArtifactStore(tmp_path), silent)  # type: ignore[arg-type]
    assert caught.value.code == "no-gpu"


def test_auto_turns_to_an_approximation_when_exact_would_take_days() -> None:
    plan = plan_of(30_000_000)
    assert plan.method.approximate
    assert plan.of(Method.EXACT).seconds > LONG_SECONDS > WORTH_SECONDS
    assert plan.chosen.seconds < plan.of(Method.EXACT).seconds / 10
    assert "exact would take" in plan.reason
    assert plan_of(30_000_000, method=Method.EXACT).method is Method.EXACT  # unless told otherwise


def test_small_problems_are_exact_on_any_machine_and_with_any_memory_that_suffices() -> None:
    slow = replace(FAST, products_one=1e6, products_all=2e6)
    size = SearchSize(50_000, 50_000, 512, 4)
    for memory in (2e9, 4e9, 1e12):
        for threads in (1, 2, 64):
            assert make_plan(size, Resources(threads, int(memory)), slow).method is Method.EXACT
    with pytest.raises(ParameterError, match="exact needs") as caught:
        make_plan(size, Resources(1, 1 << 20), slow)
    assert caught.value.code == "memory-too-small"


@settings(deadline=None, max_examples=60)
@given(
    src=st.integers(1, 10**8),
    tgt=st.integers(1, 10**8),
    dims=st.sampled_from([32, 384, 512, 768, 1024]),
    k=st.integers(1, 64),
    memory=st.floats(1e8, 1e12),
    threads=st.integers(1, 32),
)
def test_what_is_planned_fits_or_is_refused(src: int, tgt: int, dims: int, k: int, memory: float, threads: int) -> None:
    size = SearchSize(src, tgt, dims, k)
    resources = Resources(threads, int(memory))
    with suppress(ParameterError):
        assert_fits(make_plan(size, resources, FAST), size, resources)


def assert_fits(plan: Plan, size: SearchSize, resources: Resources) -> None:
    assert plan.chosen.possible
    assert plan.chosen.memory_bytes <= plan.memory_bytes == resources.memory_bytes
    assert [estimate.method for estimate in plan.estimates] == [Method.EXACT, Method.IVF, Method.IVFPQ]
    for estimate in plan.estimates:
        assert estimate.seconds > 0
        assert estimate.memory_bytes > 0
        assert estimate.possible == (estimate.refusal == "")
        assert estimate.how
    assert 1 <= plan.blocks.rows <= size.src_rows
    assert plan.blocks.columns % 32 == 0
    assert plan.blocks.threads == resources.threads


@pytest.mark.parametrize("method", [Method.EXACT, Method.IVF])
def test_more_rows_take_more_of_everything(method: Method) -> None:
    estimates = [plan_of(rows, method=method).of(method) for rows in (10**4, 10**5, 10**6, 10**7)]
    for less, more in pairwise(estimates):
        assert less.seconds < more.seconds
        assert less.memory_bytes < more.memory_bytes
        assert less.disk_bytes < more.disk_bytes


def test_threads_make_it_faster_and_a_higher_recall_slower() -> None:
    seconds = [plan_of(10**6, threads=threads).chosen.seconds for threads in (1, 2, 8)]
    assert seconds == sorted(seconds, reverse=True)
    targets = [plan_of(10**6, method=Method.IVF, target_recall=recall).chosen.seconds for recall in (0.9, 0.99, 1.0)]
    assert targets == sorted(targets)


def test_less_memory_makes_smaller_blocks_and_the_least_is_named() -> None:
    wide, narrow = plan_of(5_000_000, 64e9), plan_of(5_000_000, 3e9, method=Method.EXACT)
    assert narrow.blocks.rows < wide.blocks.rows
    assert narrow.chosen.memory_bytes <= 3e9 < wide.chosen.memory_bytes
    with pytest.raises(ParameterError, match=r"exact needs [\d.]+ GB of memory, not 2\.0 GB") as caught:
        plan_of(100_000_000, 2e9, method=Method.EXACT)
    assert caught.value.code == "memory-too-small"


def test_a_refusal_names_what_would_fit() -> None:
    with pytest.raises(ParameterError, match=r"ivf needs .* \(exact.* would fit\)"):
        plan_of(1_000_000, 3e9, method=Method.IVF)


@pytest.mark.parametrize("recall", [0.49, 1.01, float("nan"), -1.0])
def test_target_recalls_that_cannot_be_are_refused(recall: float) -> None:
    with pytest.raises(ParameterError) as caught:
        plan_of(1000, target_recall=recall)
    assert caught.value.code == "invalid-target-recall"


def test_a_plan_is_a_line_for_people_and_plain_values_for_machines() -> None:
    plan = plan_of(1_000_000, 8e9)
    line = plan.line()
    assert line.startswith("plan: exact, about ")
    assert "\n" not in line
    assert "ivf" in line
    stored = json.loads(json.dumps(plan.as_json()))
    assert stored["method"] == "exact"
    assert (stored["src_rows"], stored["dims"], stored["k"], stored["calibrated"]) == (1_000_000, 512, 4, True)
    assert [each["method"] for each in stored["estimates"]] == ["exact", "ivf", "ivfpq"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (40, "40 s"), (200, "3 min"), (7200, "2.0 h"), (40 * 3600, "40 h"), (9 * 86_400, "9 days")],
)
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_further_threads_add_what_they_added_when_measured() -> None:
    rates = replace(FAST, threads=4, products_one=10.0, products_all=34.0)
    assert [rates.products(threads) for threads in (1, 2, 4, 6)] == [10, 18, 34, 50]
    assert replace(rates, threads=1).products(3) == 30
    assert replace(rates, products_all=9.0).products(4) == 10  # measured on a busy machine: never fewer than one


def test_the_machine_is_measured_and_what_was_measured_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("_ROWS", 2048), ("_SCANNED_ROWS", 480), ("_SCANNED_COLUMNS", 480), ("_AGAIN", 8),
        ("_LEAST_SECONDS", 0.0), ("_MOST_REPEATS", 1), ("_DISK_BYTES", 1 << 20), ("_CHUNK", 1 << 18),
    ):  # fmt: skip
        monkeypatch.setattr(bitextmine.calibration, name, value)
    assert load_calibration(tmp_path) == default_calibration()
    found = measure_machine(tmp_path / "data", 2)
    rates = [value for name, value in asdict(found).items() if name not in ("cpu", "version", "measured")]
    assert all(np.isfinite(rate) and rate > 0 for rate in rates)
    assert found.measured
    assert found.threads == 2
    assert store_calibration(found, tmp_path) == tmp_path / FILE
    assert load_calibration(tmp_path) == found


def stored_as(tmp_path: Path, text: str) -> Calibration:
    (tmp_path / FILE).write_text(text)
    return load_calibration(tmp_path)


def test_what_another_machine_or_version_measured_is_not_used(tmp_path: Path) -> None:
    good = asdict(FAST)
    assert stored_as(tmp_path, json.dumps(good)) == FAST
    for other in ({"cpu": "another"}, {"version": "0.0.0"}, {"products_one": 0}):
        assert stored_as(tmp_path, json.dumps(good | other)) == default_calibration()
    for damaged in ("", "[1]", "{", '"text"', json.dumps(good | {"read": "fast"})):
        assert stored_as(tmp_path, damaged) == default_calibration()
