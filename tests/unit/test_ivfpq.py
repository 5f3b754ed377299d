"""ivfpq: results that do not depend on shards, resuming, damage, concurrency, budgets, and what it reports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from bitextmine.artifacts import ArtifactStore
from bitextmine.errors import ArtifactError, MismatchError, ParameterError
from bitextmine.search import ivfpq
from bitextmine.search.floats import search_rows
from bitextmine.search.index_shards import FILE, KIND, TRAINING_KIND, build_index, training_sample
from bitextmine.search.index_spec import CodeKind, choose_spec, make_spec
from bitextmine.search.ivfpq import CANDIDATES_KIND, IndexSearcher, with_probes
from bitextmine.search.ivfpq_report import Recall
from bitextmine.search.neighbors import MISSING, Neighbors
from bitextmine.search.rescore import Scorer
from bitextmine.vectors import StoredVectors, unit_rows
from tests.unit import ivfpq_inputs
from tests.unit.ivfpq_inputs import DIMS, QUERY_ROWS, ROWS, SHARDS, K, pairs, search, spec_of

PATIENCE = 60.0


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ivfpq, "QUERY_ROWS", QUERY_ROWS)


def assert_same(one: Neighbors, other: Neighbors) -> None:
    assert one.ids.tobytes() == other.ids.tobytes()
    assert one.sims.tobytes() == other.sims.tobytes()


def files(store: Path, kind: str) -> dict[Path, tuple[int, int]]:
    """Every file of a kind with its inode and time: what is made again differs in one of them."""
    return {
        file: (file.stat().st_ino, file.stat().st_mtime_ns)
        for file in sorted((store / kind).rglob("*"))
        if file.is_file()
    }


@pytest.mark.parametrize("kind", list(CodeKind))
def test_one_shard_and_seven_give_the_same_bytes(kind: CodeKind, tmp_path: Path) -> None:
    one = search(tmp_path / "1", spec_of(1, kind))
    seven = search(tmp_path / "7", spec_of(SHARDS, kind))
    assert len(list((tmp_path / "7" / KIND).iterdir())) == 2 * SHARDS
    for i in range(2):
        assert_same(one[i], seven[i])
        assert one[2].quality[i] == seven[2].quality[i]


@pytest.mark.parametrize("kind", [CodeKind.RABITQ, CodeKind.PQ_FASTSCAN])
def test_neither_threads_nor_a_budget_of_one_open_shard_change_the_result(kind: CodeKind, tmp_path: Path) -> None:
    roomy = search(tmp_path / "roomy", spec_of(SHARDS, kind))
    tight = search(tmp_path / "tight", spec_of(SHARDS, kind), threads=2, memory=1 << 16)
    assert_same(roomy[0], tight[0])
    assert_same(roomy[1], tight[1])


@pytest.mark.parametrize("shards", [1, SHARDS])
def test_more_copies_than_candidates_come_by_rising_id(shards: int, tmp_path: Path) -> None:
    _, tgt = pairs()
    index = build_index(StoredVectors.of(tgt), "tgt", spec_of(shards), ArtifactStore(tmp_path))
    found = IndexSearcher(index, StoredVectors.of(tgt)).search(tgt[100:101].astype(np.float32), 10)
    assert found.ids[0].tolist() == list(range(100, 110))  # of 120


def test_the_recall_is_measured_before_and_after_rescoring(tmp_path: Path) -> None:
    forward, backward, report = search(tmp_path, spec_of(SHARDS))
    src, tgt = (StoredVectors.of(side) for side in pairs())
    for found, scorer, quality in (
        (forward, Scorer(src, tgt), report.quality[0]),
        (backward, Scorer(tgt, src), report.quality[1]),
    ):
        truth = search_rows(scorer, np.arange(len(found)), K)
        whole = Recall.of(found.ids, truth.ids)
        assert quality.rows == 256
        assert quality.after.low <= whole.value <= quality.after.high
        assert quality.before.value < quality.after.value
        assert quality.after.value > 0.9
        assert 0 <= quality.margin_error <= quality.worst_margin_error < 0.2
    assert (report.candidates, report.nprobe) == (64, (8, 8))
    assert report.bytes_per_vector > DIMS / 8
    assert report.build_seconds > 0
    assert report.search_seconds > 0


def test_missing_neighbours_never_leak(tmp_path: Path) -> None:
    """One cell of few rows: the rest of the lists is FAISS's -1 with a score, and stays MISSING."""
    src, tgt = (side[:30] for side in pairs())
    spec = make_spec(CodeKind.PQ_FASTSCAN, DIMS, nlist=10, nprobe=1, training_rows=30, shard_rows=4)
    forward, backward, report = ivfpq.search_ivfpq(
        StoredVectors.of(src),
        StoredVectors.of(tgt),
        8,
        store=ArtifactStore(tmp_path),
        spec=spec,
        memory_bytes=1 << 24,
        src_digest="s",
        tgt_digest="t",
    )
    for found, left, right in ((forward, src, tgt), (backward, tgt, src)):
        assert not found.found.all()
        assert ((found.ids >= 0) & (found.ids < len(right)))[found.found].all()
        assert (np.diff(found.found.astype(int), axis=1) <= 0).all()
        cosines = unit_rows(left) @ unit_rows(right).T
        rows, places = np.nonzero(found.found)
        np.testing.assert_allclose(found.sims[rows, places], cosines[rows, found.ids[rows, places]], atol=1e-5)
        assert (found.sims[~found.found] == -np.inf).all()
    assert np.isfinite(report.quality[0].margin_error)


@pytest.mark.parametrize("kind", [CodeKind.RABITQ, CodeKind.PQ_FASTSCAN])
def test_concurrent_requests_with_different_probes_change_nothing_shared(kind: CodeKind, tmp_path: Path) -> None:
    src, tgt = pairs()
    index = build_index(StoredVectors.of(tgt), "tgt", spec_of(SHARDS, kind), ArtifactStore(tmp_path))
    searcher = IndexSearcher(index, StoredVectors.of(tgt))
    before = [index.shard(i).ivf.nprobe for i in range(len(index))]
    queries = src[:40].astype(np.float32)
    alone = {nprobe: searcher.search(queries, K, nprobe) for nprobe in (1, 2, 8, 32)}
    assert alone[1].ids.tolist() != alone[32].ids.tolist()
    with ThreadPoolExecutor(8) as pool:
        jobs = [(nprobe, pool.submit(searcher.search, queries, K, nprobe)) for nprobe in (1, 2, 8, 32) * 10]
    for nprobe, job in jobs:
        assert_same(job.result(), alone[nprobe])
    assert_same(searcher.search(queries, K), alone[8])
    assert [index.shard(i).ivf.nprobe for i in range(len(index))] == before


@pytest.mark.parametrize("until", ["index-src 900", "index-tgt 1200", "search-forward 1024", "search-backward 512"])
def test_a_search_killed_with_9_goes_on_with_what_was_finished(until: str, tmp_path: Path) -> None:
    undisturbed = search(tmp_path / "undisturbed", spec_of(SHARDS))
    store = tmp_path / "killed"
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.unit.ivfpq_inputs", str(store)],
        cwd=Path(ivfpq_inputs.__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdin
    assert program.stdout
    for line in program.stdout:
        if line.strip() == until:
            break
        program.stdin.write("\n")
        program.stdin.flush()
    os.kill(program.pid, signal.SIGKILL)
    program.communicate(timeout=PATIENCE)
    kinds = (TRAINING_KIND, KIND, CANDIDATES_KIND)
    finished = {kind: files(store, kind) for kind in kinds}
    assert finished[KIND]
    resumed = search(store, spec_of(SHARDS))
    for kind in kinds:
        assert finished[kind].items() <= files(store, kind).items()
    assert files(store, CANDIDATES_KIND).keys() > finished[CANDIDATES_KIND].keys()
    assert_same(resumed[0], undisturbed[0])
    assert_same(resumed[1], undisturbed[1])


def test_another_number_of_probes_builds_nothing_again(tmp_path: Path) -> None:
    search(tmp_path, spec_of(SHARDS))
    built = files(tmp_path, KIND) | files(tmp_path, TRAINING_KIND)
    search(tmp_path, with_probes(spec_of(SHARDS), 16))
    assert files(tmp_path, KIND) | files(tmp_path, TRAINING_KIND) == built


@pytest.mark.parametrize("kind", [KIND, TRAINING_KIND, CANDIDATES_KIND])
def test_a_truncated_file_is_made_again(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = search(tmp_path, spec_of(SHARDS))
    damaged = next(file for file in files(tmp_path, kind) if file.suffix in {".faiss", ".npy"})
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    again = search(tmp_path, spec_of(SHARDS))
    assert "truncated" in caplog.text
    assert damaged.read_bytes() == whole
    assert_same(first[0], again[0])
    assert_same(first[1], again[1])


def test_a_file_that_is_no_index_is_named(tmp_path: Path) -> None:
    index = build_index(StoredVectors.of(pairs()[1]), "tgt", spec_of(2), ArtifactStore(tmp_path))
    file = index.shards[0].path / FILE
    file.write_bytes(b"\0" * file.stat().st_size)
    with pytest.raises(ArtifactError, match="not readable; delete"):
        index.shard(0)


def test_a_shard_that_reads_back_differently_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, store = StoredVectors.of(pairs()[1]), ArtifactStore(tmp_path)
    other = build_index(vectors, "tgt", spec_of(1), ArtifactStore(tmp_path / "other"))
    wrong = faiss.read_index(str(other.training.path / FILE))
    wrong.add(unit_rows(pairs(seed=2)[1][:300]))
    write = faiss.write_index
    build = build_index(vectors, "tgt", spec_of(SHARDS), store)
    for shard in build.shards:
        store.delete(KIND, shard.digest)
    monkeypatch.setattr(faiss, "write_index", lambda _, path: write(wrong, path))
    with pytest.raises(ArtifactError, match="answers differently"):
        build_index(vectors, "tgt", spec_of(SHARDS), store)
    assert store.list(KIND) == []


class Counting(StoredVectors):
    """Remembers how many rows were read at a time."""

    most = 0

    def shard(self, number: int) -> NDArray[np.float16]:
        outer = self

        class Watched(np.ndarray):  # type: ignore[type-arg]
            def __getitem__(self, rows: object) -> NDArray[np.float16]:  # type: ignore[override]
                part = np.asarray(self)[rows]  # type: ignore[index]
                outer.most = max(outer.most, len(part))
                return np.asarray(part)

        return super().shard(number).view(Watched)


def test_the_training_sample_keeps_its_budget_and_is_read_piece_by_piece() -> None:
    rows, memory = 40_000, 4 << 20
    spec = choose_spec(rows, DIMS, memory)
    assert spec.training_rows * DIMS * 4 <= memory // 4
    values = np.random.default_rng(0).standard_normal((rows, DIMS)).astype(np.float16)
    vectors = Counting([values], rows, DIMS, rows)
    sample = training_sample(vectors, 20_000, seed=1)
    assert sample.shape == (20_000, DIMS)
    assert sample.dtype == np.float32
    assert 0 < vectors.most <= 8192
    assert len(np.unique(sample, axis=0)) == len(sample)
    np.testing.assert_array_equal(sample, training_sample(StoredVectors.of(values), 20_000, seed=1))
    assert (sample != training_sample(StoredVectors.of(values), 20_000, seed=2)).any()


@pytest.mark.parametrize(
    ("rows", "memory", "gpus", "factory"),
    [
        (0, 1 << 30, 0, "IVF1,RaBitQ"),
        (1, 1 << 30, 0, "IVF1,RaBitQ"),
        (5_000, 1 << 30, 0, "IVF256,RaBitQ"),
        (100_000, 3 << 30, 0, "IVF1024,PQ128x4fs"),
        (1_000_000, 3 << 30, 0, "IVF2048,PQ128x4fs"),
        (100_000_000, 64 << 30, 0, "IVF16384,PQ128x4fs"),
        (100_000_000, 8 << 30, 0, "IVF16384,RaBitQ"),
        (100_000_000, 64 << 30, 8, "IVF32768,PQ64"),
    ],
)
def test_the_index_is_chosen_by_size_memory_and_device(rows: int, memory: int, gpus: int, factory: str) -> None:
    assert choose_spec(rows, 512, memory, gpus).factory == factory


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="too few to train"):
        choose_spec(100, 512, 1000)
    with pytest.raises(ParameterError, match="between 1 and the 4 cells"):
        make_spec(CodeKind.RABITQ, 8, nlist=4, nprobe=5, training_rows=10)
    vectors = StoredVectors.of(pairs()[1])
    index = build_index(vectors, "tgt", spec_of(2), ArtifactStore(tmp_path))
    searcher = IndexSearcher(index, vectors)
    for nprobe in (0, 33):
        with pytest.raises(ParameterError, match="between 1 and the 32 cells"):
            searcher.search(np.ones((1, DIMS), np.float32), K, nprobe)
    for queries in (np.ones((1, DIMS)), np.ones((1, DIMS - 1), np.float32), np.ones(DIMS, np.float32)):
        with pytest.raises(MismatchError, match="queries are float32"):
            searcher.search(queries, K)  # type: ignore[arg-type]
    with pytest.raises(MismatchError, match="does not belong"):
        IndexSearcher(index, StoredVectors.of(pairs()[0]))


def test_recall_counts_what_is_there() -> None:
    truth = np.array([[1, 2], [3, MISSING]])
    assert Recall.of(truth, truth) == Recall.of(truth[:, ::-1], truth)
    assert Recall.of(truth, truth).value == 1.0
    half = Recall.of(np.array([[2, 9], [MISSING, MISSING]]), truth)
    assert half.value == pytest.approx(1 / 3)
    many = Recall.of(np.repeat(truth[:1], 100, 0), np.repeat([[1, 5]], 100, 0))
    assert (many.low, many.high) == (
        pytest.approx(0.4038, abs=1e-3),
        pytest.approx(0.5962, abs=1e-3),
    )  # Wilson's, n=100


def test_rows_of_the_inputs_are_as_the_tests_say() -> None:
    assert [len(side) for side in pairs()] == [ROWS, ROWS - 50]
