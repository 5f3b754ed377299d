"""Searches on GPUs: those marked `gpu` need one; the others go as far as the device call on any machine.

How to run them on a GPU machine without network (../shared/tools/faiss-gpu-slim/README.md makes the archive; FOLDER is
where it was brought to):

    mkdir -p /tmp/site && tar -xJf FOLDER/faiss-slim.tar.xz -C /tmp/site
    PYTHONPATH=/tmp/site:. python3 -c 'import torch, pytest, sys; sys.exit(pytest.main(sys.argv[1:]))' \\
        tests/gpu/test_gpu_search.py -m gpu -p no:cacheprovider -W ignore

(torch first: it loads the libcublas that the archive's FAISS wants.) With a gpu extra: pytest -m gpu tests/gpu.
"""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.errors import ParameterError
from bitextmine.progress import silent
from bitextmine.search import ivfpq
from bitextmine.search.certify import certain_neighbors
from bitextmine.search.floats import search_rows
from bitextmine.search.gpu import (
    SPARE,
    GpuDevice,
    block_rows,
    candidates_of,
    check_gpus,
    gpu_count,
    merged_lists,
    search_exact_gpu,
)
from bitextmine.search.index_shards import build_index
from bitextmine.search.index_spec import CodeKind, make_spec
from bitextmine.search.neighbors import Neighbors
from bitextmine.search.rescore import Scorer, best_of
from bitextmine.vectors import StoredVectors

DIMS, K = 64, 4
needs_gpu = pytest.mark.skipif(gpu_count() == 0, reason="FAISS sees no GPU (or is the CPU build)")
needs_none = pytest.mark.skipif(gpu_count() > 0, reason="this is about machines without a GPU")


def sides(rows: int) -> tuple[StoredVectors, StoredVectors]:
    rng = np.random.default_rng(3)
    topics = rng.standard_normal((100, DIMS))
    meaning = topics[rng.integers(0, 100, rows)] + 0.7 * rng.standard_normal((rows, DIMS))
    src, tgt = (StoredVectors.of(meaning + 0.4 * rng.standard_normal((rows, DIMS))) for _ in range(2))
    return src, tgt


def assert_same(found: Neighbors, truth: Neighbors) -> None:
    np.testing.assert_array_equal(found.ids, truth.ids)
    np.testing.assert_array_equal(found.sims, truth.sims)


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("gpus", [1, 2])
def test_exact_search_on_gpus_is_exact(gpus: int) -> None:
    if gpus > gpu_count():
        pytest.skip(f"{gpus} GPUs are needed")
    src, tgt = sides(20_000)
    forward, backward = search_exact_gpu(src, tgt, K, gpus=gpus, device_bytes=6000 * 2 * DIMS)  # four blocks
    for found, scorer in ((forward, Scorer(src, tgt)), (backward, Scorer(tgt, src))):
        assert_same(found, search_rows(scorer, np.arange(len(found)), K))


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("kind", [CodeKind.PQ, CodeKind.OPQ_PQ])
def test_one_shard_and_seven_give_the_same_on_a_gpu(kind: CodeKind, tmp_path: Path) -> None:
    src, tgt = sides(21_000)
    results = []
    for shards in (1, 7):
        spec = make_spec(kind, DIMS, nlist=64, nprobe=64, training_rows=10_000, shard_rows=21_000 // shards)
        forward, backward, report = ivfpq.search_ivfpq(
            src,
            tgt,
            K,
            store=ArtifactStore(tmp_path / str(shards)),
            spec=spec,
            memory_bytes=1 << 28,
            gpus=1,
            src_digest="src",
            tgt_digest="tgt",
        )
        assert all(quality.after.value > 0.95 for quality in report.quality)
        results.append((forward, backward))
    assert_same(results[0][0], results[1][0])
    assert_same(results[0][1], results[1][1])


@pytest.mark.gpu
@needs_gpu
def test_shards_beyond_the_gpus_memory_are_streamed(tmp_path: Path) -> None:
    _, tgt = sides(7000)
    spec = make_spec(CodeKind.PQ, DIMS, nlist=32, nprobe=32, training_rows=7000, shard_rows=1000)
    index = build_index(tgt, "tgt", spec, ArtifactStore(tmp_path))
    roomy, tight = GpuDevice(index, 1), GpuDevice(index, 1, device_bytes=1)
    assert tight.capacity == 1
    queries = tgt.block(0, 50)
    for number in (0, 3, 6, 0):
        one, other = (device.search(number, device.prepare(queries, 32), 40) for device in (roomy, tight))
        np.testing.assert_array_equal(one[0], other[0])


@needs_none
def test_without_a_gpu_the_search_says_so(tmp_path: Path) -> None:
    src, tgt = sides(300)
    with pytest.raises(ParameterError, match="FAISS sees 0"):
        search_exact_gpu(src, tgt, K)
    spec = make_spec(CodeKind.PQ, DIMS, nlist=4, training_rows=300)
    index = build_index(tgt, "tgt", spec, ArtifactStore(tmp_path))
    with pytest.raises(ParameterError, match="FAISS sees 0"):
        GpuDevice(index, 1)


def test_codes_that_no_gpu_searches_are_refused(tmp_path: Path) -> None:
    _, tgt = sides(300)
    index = build_index(tgt, "t", make_spec(CodeKind.RABITQ, DIMS, nlist=4, training_rows=300), ArtifactStore(tmp_path))
    with pytest.raises(ParameterError, match="rabitq cannot be searched on GPUs; pq can"):
        GpuDevice(index, 1)


@pytest.mark.parametrize("gpus", [0, -1, 10_000])
def test_impossible_numbers_of_gpus_are_refused(gpus: int) -> None:
    with pytest.raises(ParameterError, match="GPUs were asked for"):
        check_gpus(gpus)


@pytest.mark.parametrize("copies", [1, 60])
def test_lists_in_float16_that_prove_nothing_are_searched_again(copies: int) -> None:
    """With more near-copies than a list has places, float16 leaves true neighbours out."""
    rng = np.random.default_rng(5)
    groups = np.repeat(rng.standard_normal((1200 // copies, DIMS)), copies, axis=0)
    src, tgt = (StoredVectors.of(groups + 0.002 * rng.standard_normal(groups.shape)) for _ in range(2))
    scorer, rows = Scorer(src, tgt), len(groups)
    sims = (src.block(0, rows) @ tgt.block(0, rows).T).astype(np.float16).astype(np.float32)
    lists = best_of(np.tile(np.arange(rows), (rows, 1)), sims, K + SPARE)
    found, again = certain_neighbors(scorer, candidates_of(lists, scorer), K, "rescore", silent)
    assert_same(found, search_rows(scorer, np.arange(rows), K))
    assert (again > 0) == (copies > K + SPARE)


@pytest.mark.parametrize(("parallel", "size"), [(1, 100), (1, 7), (2, 30), (3, 9), (8, 10)])
def test_blocks_dealt_to_devices_merge_to_the_whole(parallel: int, size: int) -> None:
    src, tgt = sides(100)
    sims = src.block(0, 100) @ tgt.block(0, 100).T
    used = set()

    def on_device(device: int, block: range) -> Neighbors:
        used.add(device)
        return best_of(np.tile(np.arange(block.start, block.stop), (100, 1)), sims[:, block.start : block.stop], 10)

    blocks = [range(at, min(at + size, 100)) for at in range(0, 100, size)]
    whole = best_of(np.tile(np.arange(100), (100, 1)), sims, 10)
    assert_same(merged_lists(on_device, blocks, 100, 10, parallel), whole)
    assert used == set(range(min(parallel, len(blocks))))


def test_blocks_fill_the_devices_memory_and_are_never_empty() -> None:
    assert block_rows(512, 8 << 30) == 8 << 20
    assert block_rows(512, 1) == 1


@needs_none
def test_this_faiss_has_no_gpu() -> None:
    assert gpu_count() == 0
    assert not hasattr(faiss, "StandardGpuResources") or faiss.get_num_gpus() == 0
