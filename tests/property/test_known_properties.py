"""A search that knows the neighbours of the first rows finds what a search from scratch does, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bitextmine.errors import MismatchError
from bitextmine.search import MISSING, ExactOptions, Neighbors, search_exact
from bitextmine.search.known import NOTHING, Known
from bitextmine.search.quantize import Quantizer
from bitextmine.search.rescore import Scorer
from bitextmine.search.rotation import Rotation
from bitextmine.vectors import StoredVectors

Sides = tuple[NDArray[np.float16], NDArray[np.float16]]


@st.composite
def grown_sides(draw: st.DrawFn) -> Sides:
    """Up to 150 rows a side: random ones, copies in large numbers, near-copies that float32 tells from them, zeros."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dims = draw(st.sampled_from([1, 3, 7, 64, 128]))
    kinds = draw(st.integers(1, 40))
    centres = rng.standard_normal((kinds, dims)) + draw(st.sampled_from([0.0, 3.0])) * rng.standard_normal(dims)
    if draw(st.booleans()):
        centres = np.rint(centres)
    sides = []
    for _ in range(2):
        matrix = centres[rng.integers(0, kinds, draw(st.integers(1, 150)))]
        near = rng.random(len(matrix)) < draw(st.sampled_from([0.0, 0.3]))
        matrix = np.where(near[:, None], matrix * (1 + 2e-3 * rng.standard_normal(matrix.shape)), matrix)
        matrix[rng.random(len(matrix)) < draw(st.sampled_from([0.0, 0.1]))] = 0
        sides.append(matrix.astype(np.float16))
    return sides[0], sides[1]


options = st.builds(
    ExactOptions,
    threads=st.integers(1, 3),
    rows=st.integers(1, 150),
    columns=st.integers(1, 4).map(lambda tiles: 32 * tiles),
    portable=st.sampled_from([True, None]),
)


def bits(neighbors: Neighbors) -> tuple[bytes, bytes]:
    return np.asarray(neighbors.ids).tobytes(), np.asarray(neighbors.sims).tobytes()


def searched(sides: Sides, sizes: tuple[int, int], k: int, how: ExactOptions, known: Known = NOTHING) -> Known:
    src, tgt = (StoredVectors.of(side[:size]) for side, size in zip(sides, sizes, strict=True))
    forward, backward, _ = search_exact(src, tgt, k, options=how, known=known)
    return Known(forward, backward)


@settings(deadline=None, max_examples=300)
@given(sides=grown_sides(), k=st.integers(1, 9), how=options, other=options, data=st.data())
def test_growing_step_by_step_equals_searching_at_once(
    sides: Sides, k: int, how: ExactOptions, other: ExactOptions, data: st.DataObject
) -> None:
    most = tuple(map(len, sides))
    if min(most) < k:
        k = min(most)
    sizes = sorted(data.draw(st.lists(st.integers(k, most[0]), min_size=1, max_size=3)))
    others = sorted(data.draw(st.lists(st.integers(k, most[1]), min_size=len(sizes), max_size=len(sizes))))
    known = NOTHING
    for rows in [*zip(sizes, others, strict=True), most]:  # a side may stay as it is
        known = searched(sides, rows, k, how, known)
    scratch = searched(sides, most, k, other)
    assert bits(known.forward) == bits(scratch.forward)
    assert bits(known.backward) == bits(scratch.backward)
    assert known.holds(Scorer(*map(StoredVectors.of, sides), how.threads))


@settings(deadline=None, max_examples=100)
@given(sides=grown_sides(), k=st.integers(1, 9), how=options)
def test_the_nearest_are_the_first_of_all_cosines_in_order(sides: Sides, k: int, how: ExactOptions) -> None:
    found = searched(sides, (len(sides[0]), len(sides[1])), k, how)
    scorer = Scorer(*map(StoredVectors.of, sides))
    for neighbors, one_way in ((found.forward, scorer), (found.backward, scorer.reversed())):
        every = np.tile(np.arange(len(one_way.base)), (len(one_way.queries), 1))
        cosines = one_way.cosines(np.arange(len(one_way.queries)), every)
        ids = np.lexsort((every, -cosines))[:, :k]
        assert np.array_equal(neighbors.ids[:, : ids.shape[1]], ids)
        assert np.array_equal(neighbors.sims[:, : ids.shape[1]], np.take_along_axis(cosines, ids, axis=1))


@settings(deadline=None, max_examples=60)
@given(sides=grown_sides(), how=options, rows=st.integers(1, 40))
@example(sides=(np.ones((40, 64), np.float16), np.ones((140, 64), np.float16)), how=ExactOptions(), rows=7)
def test_a_cosine_has_the_same_bits_in_whatever_block_and_direction(sides: Sides, how: ExactOptions, rows: int) -> None:
    one, many = (Scorer(*map(StoredVectors.of, sides), threads) for threads in (1, how.threads))
    n, m = map(len, sides)
    ids = np.tile(np.arange(m), (n, 1))
    cosines = one.cosines(np.arange(n), ids)
    assert many.cosines(np.arange(n), ids).tobytes() == cosines.tobytes()
    assert one.reversed().cosines(np.arange(m), np.tile(np.arange(n), (m, 1))).T.tobytes() == cosines.tobytes()
    pieces = [many.cosines(np.arange(at, min(at + rows, n)), ids[at : at + rows]) for at in range(0, n, rows)]
    assert np.concatenate(pieces).tobytes() == cosines.tobytes()
    single = [one.cosines(np.arange(n), ids[:, [column]]) for column in range(m)]
    assert np.hstack(single).tobytes() == cosines.tobytes()


def test_nothing_is_searched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    sides = tuple(rng.standard_normal((size, 64)).astype(np.float16) for size in (110, 88))
    known = searched(sides, (100, 80), 4, ExactOptions())
    totals: list[tuple[str, int, int]] = []
    src, tgt = map(StoredVectors.of, sides)
    search_exact(src, tgt, 4, known=known, progress=lambda *told: totals.append(told))
    pairs = [(done, total) for stage, done, total in totals if stage == "search"]
    assert {total for _, total in pairs} == {110 * 88 - 100 * 80}
    assert pairs[-1][0] == pairs[-1][1]


@pytest.mark.parametrize("spoil", ["sims", "ids", "missing", "far"])
def test_cosines_of_other_arithmetic_or_other_vectors_do_not_hold(spoil: str) -> None:
    rng = np.random.default_rng(3)
    sides = tuple(rng.standard_normal((50, 64)).astype(np.float16) for _ in range(2))
    known = searched(sides, (50, 50), 4, ExactOptions())
    scorer = Scorer(*map(StoredVectors.of, sides))
    assert known.holds(scorer)
    if spoil == "sims":
        known.backward.sims[49, 3] = np.nextafter(known.backward.sims[49, 3], np.float32(2))
    else:
        known.forward.ids[7, 0] = {"ids": (known.forward.ids[7, 0] + 1) % 50, "missing": MISSING, "far": 50}[spoil]
    assert not known.holds(scorer)


@pytest.mark.parametrize(("rows", "k"), [((20, 10), 5), ((10, 31), 5), ((10, 10), 4), ((4, 10), 5)])
def test_what_cannot_be_known_is_refused(rows: tuple[int, int], k: int) -> None:
    one, other = StoredVectors.of(np.ones((15, 3), np.float16)), StoredVectors.of(np.ones((30, 3), np.float16))
    known = Known(Neighbors.none(rows[0], k), Neighbors.none(rows[1], k))
    with pytest.raises(MismatchError, match="not a part of"):
        search_exact(one, other, 5, known=known)


def spiked(rng: np.random.Generator, rows: int, spikes: int, dims: int = 64) -> NDArray[np.float16]:
    """Random rows; the last few lie along an axis once the quantiser has rotated them, which bytes cannot hold."""
    matrix = rng.standard_normal((rows, dims))
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    rotation = Rotation.random(dims, seed=1).apply(np.eye(dims, dtype=np.float32))  # row i is where axis i goes
    matrix[rows - spikes :] = 0.95 * rotation.T[:spikes] + 0.05 * matrix[rows - spikes :]
    return matrix.astype(np.float16)


def test_sums_of_rows_that_bytes_cannot_hold_are_never_too_low() -> None:
    rng = np.random.default_rng(11)
    src, tgt = (StoredVectors.of(spiked(rng, 3000, spikes)) for spikes in (2, 1))
    quantizer = Quantizer.fit(src, tgt)
    scorer = Scorer(src, tgt)
    (left, of_left), (right, of_right) = (quantizer.quantize(side.block(0, 3000)) for side in (src, tgt))
    assert (np.abs(left[2998:].astype(np.int16)).max(axis=1) == 127).all(), "or nothing is tested"
    sums = left.astype(np.float64) @ right.astype(np.float64).T + of_left[:, None] + of_right[None]
    exact = scorer.cosines(np.arange(3000), np.tile(np.arange(3000), (3000, 1)))
    too_low = exact - (sums * quantizer.unit + quantizer.base)
    usual = float(np.std(too_low[:2998, :2999]))
    assert too_low[2998:].max() < 6 * usual
    assert too_low[:, 2999:].max() < 6 * usual
    assert too_low[2998:].min() < -6 * usual, "they are made too high"
