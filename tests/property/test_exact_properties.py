"""The exact search, both directions, against the formula: all cosines, sorted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from bitextmine.errors import MismatchError
from bitextmine.search import MISSING, ExactOptions, Neighbors, exact, nearest_exact, search_exact
from bitextmine.search.native import has_int8_tile
from bitextmine.vectors import StoredVectors

TOLERANCE = 1e-6
Sides = tuple[NDArray[np.float16], NDArray[np.float16]]


@st.composite
def small_integers(draw: st.DrawFn, least: int = 0, most: int = 12) -> Sides:
    """Vectors of small integers: duplicates, ties, opposite and zero vectors are common."""
    dims = draw(st.integers(1, 6))
    src, tgt = (
        draw(arrays(np.int8, (draw(st.integers(least, most)), dims), elements=st.integers(-2, 2))).astype(np.float16)
        for _ in range(2)
    )
    return src, tgt


@st.composite
def random_sides(draw: st.DrawFn) -> Sides:
    """More rows than a tile, some of them copies, near-copies or zero; sizes that are no multiple of anything."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dims = draw(st.sampled_from([7, 64, 128]))
    offset = draw(st.sampled_from([0.0, 3.0])) * rng.standard_normal(dims)
    sides = []
    for _ in range(2):
        matrix = rng.standard_normal((draw(st.integers(1, 120)), dims)) + offset
        matrix[rng.random(len(matrix)) < 0.05] = 0
        matrix = matrix[rng.integers(0, len(matrix), len(matrix))] + 1e-3 * rng.standard_normal(matrix.shape)
        sides.append(matrix.astype(np.float16))
    return sides[0], sides[1]


options = st.builds(
    ExactOptions,
    threads=st.integers(1, 3),
    rows=st.integers(1, 150),
    columns=st.integers(1, 4).map(lambda tiles: 32 * tiles),
    portable=st.sampled_from([True, None]),
)


def unit(matrix: NDArray[np.float16]) -> NDArray[np.float64]:
    exact = matrix.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    return np.asarray(exact / np.where(lengths > 0, lengths, 1))


def assert_nearest(found: Neighbors, queries: NDArray[np.float16], base: NDArray[np.float16], k: int) -> None:
    """The slow twin: every cosine written out in float64, the k largest by (falling cosine, rising id)."""
    assert found.ids.shape == found.sims.shape == (len(queries), k)
    assert (found.ids.dtype, found.sims.dtype) == (np.int64, np.float32)
    cosines = unit(queries) @ unit(base).T
    count = min(k, len(base))
    for row, cosine in enumerate(cosines):
        order = sorted(range(len(base)), key=lambda i: (-cosine[i], i))
        ids = found.ids[row].tolist()
        assert ids[count:] == [MISSING] * (k - count)
        assert len(set(ids[:count])) == count
        np.testing.assert_allclose(found.sims[row, :count], cosine[order[:count]], atol=TOLERANCE)
        np.testing.assert_allclose(found.sims[row, :count], cosine[ids[:count]], atol=TOLERANCE)
        keys = list(zip((-found.sims[row, :count]).tolist(), ids[:count], strict=True))
        assert keys == sorted(keys), "by falling similarity, equal ones by rising id"


@settings(deadline=None, max_examples=150)
@given(sides=small_integers() | random_sides(), k=st.integers(1, 15), how=options)
def test_both_directions_are_the_sorted_cosines(sides: Sides, k: int, how: ExactOptions) -> None:
    src, tgt = sides
    forward, backward, report = search_exact(StoredVectors.of(src), StoredVectors.of(tgt), k, options=how)
    assert_nearest(forward, src, tgt, k)
    assert_nearest(backward, tgt, src, k)
    assert report.wrong == (0, 0)


@pytest.mark.parametrize("few", [0, 1_024])
@settings(deadline=None, max_examples=50)
@given(sides=small_integers() | random_sides(), k=st.integers(1, 15), how=options)
def test_one_direction_is_the_sorted_cosines(few: int, sides: Sides, k: int, how: ExactOptions) -> None:
    src, tgt = sides
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "_FEW_QUERIES", few)
        assert_nearest(nearest_exact(StoredVectors.of(src), StoredVectors.of(tgt), k, options=how), src, tgt, k)


@settings(deadline=None, max_examples=50)
@given(sides=random_sides(), k=st.integers(1, 6), how=options)
def test_the_result_does_not_depend_on_how_the_work_is_cut(sides: Sides, k: int, how: ExactOptions) -> None:
    src, tgt = map(StoredVectors.of, sides)
    plain, cut = search_exact(src, tgt, k), search_exact(src, tgt, k, options=how)
    for direction in range(2):
        np.testing.assert_array_equal(plain[direction].ids, cut[direction].ids)
        np.testing.assert_array_equal(plain[direction].sims, cut[direction].sims)


def test_a_pair_has_the_same_cosine_in_both_directions() -> None:
    rng = np.random.default_rng(1)
    src, tgt = (StoredVectors.of(rng.standard_normal((200, 192))) for _ in range(2))
    forward, backward, _ = search_exact(src, tgt, 200)
    ahead, back = np.empty((200, 200), np.float32), np.empty((200, 200), np.float32)
    np.put_along_axis(ahead, forward.ids, forward.sims, axis=1)
    np.put_along_axis(back, backward.ids, backward.sims, axis=1)
    np.testing.assert_array_equal(ahead, back.T)


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (3, 0), (1, 1)])
def test_empty_sides_and_single_rows(n: int, m: int) -> None:
    forward, backward, _ = search_exact(StoredVectors.of(np.ones((n, 4))), StoredVectors.of(np.ones((m, 4))), 2)
    assert forward.found.sum() == backward.found.sum() == (1 if n and m else 0)
    assert (forward.ids.shape, backward.ids.shape) == ((n, 2), (m, 2))


@pytest.mark.parametrize("k", [1, 8, 60])
def test_of_many_copies_those_of_lowest_id_are_found(k: int) -> None:
    copies = np.repeat(np.eye(4, 64), 40, axis=0)
    forward, _, _ = search_exact(StoredVectors.of(np.eye(4, 64)), StoredVectors.of(copies), k)
    for row, ids in enumerate(forward.ids):
        copied = list(range(40 * row, 40 * row + min(k, 40)))
        others = [identifier for identifier in range(160) if identifier // 40 != row]
        assert ids.tolist() == copied + others[: k - len(copied)]


@pytest.mark.parametrize("dims", [64, 320])
@pytest.mark.parametrize("spoil", ["near-copies", "constant dimensions", "all alike"])
def test_what_8_bits_cannot_tell_apart_is_searched_again(dims: int, spoil: str) -> None:
    rng = np.random.default_rng(2)
    matrix = rng.standard_normal((600, dims))
    if spoil == "near-copies":  # five of each, at a cosine of about 0.999999
        matrix = np.repeat(matrix[:120], 5, axis=0) + 1e-3 * matrix
    elif spoil == "constant dimensions":
        matrix[:, :3] = 100
    else:
        matrix = 1 + 1e-3 * matrix
    src, tgt = (rng.permutation(matrix).astype(np.float16) for _ in range(2))
    forward, backward, report = search_exact(StoredVectors.of(src), StoredVectors.of(tgt), 4)
    assert_nearest(forward, src, tgt, 4)
    assert_nearest(backward, tgt, src, 4)
    assert report.wrong == (0, 0)


def test_progress_ends_at_its_total() -> None:
    seen: dict[str, tuple[int, int | None]] = {}
    sides = [StoredVectors.of(np.random.default_rng(3).standard_normal((1500, 64))) for _ in range(2)]
    search_exact(*sides, 4, progress=lambda stage, done, total: seen.update({stage: (done, total)}))
    assert list(seen) == ["search", "rescore-forward", "rescore-backward"]
    assert all(done == total for done, total in seen.values())


def test_sides_of_different_dimensions_are_refused() -> None:
    with pytest.raises(MismatchError, match="4 and of 5 dimensions"):
        search_exact(StoredVectors.of(np.ones((2, 4))), StoredVectors.of(np.ones((2, 5))), 1)


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16])
def test_vectors_of_any_precision_are_converted_never_misread(kind: type[np.floating]) -> None:
    matrix = np.asfortranarray(np.random.default_rng(4).standard_normal((50, 64)).astype(np.float16).astype(kind))
    reference = StoredVectors.of(np.ascontiguousarray(matrix, np.float16))
    found, _, _ = search_exact(StoredVectors.of(matrix), reference, 1)
    assert found.ids.ravel().tolist() == list(range(50))


@pytest.mark.parametrize("bad", [np.ones(3), np.ones((2, 3), np.int32), np.full((2, 3), np.nan), np.full((2, 3), 1e9)])
def test_what_is_not_a_matrix_of_finite_floats_is_refused(bad: NDArray[np.generic]) -> None:
    with pytest.raises(MismatchError):
        StoredVectors.of(bad)  # type: ignore[arg-type]


def test_this_machine_says_whether_it_has_the_fast_kernel() -> None:
    assert has_int8_tile() in (True, False)
