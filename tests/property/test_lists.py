"""The lists of best candidates: whatever the order in which sums come, the best stay, equal ones by rising id."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bitextmine.search.lists import HIGHEST, LOWEST, Best, ids_of, list_length, merge, offer, sums_of
from bitextmine.search.native import insert_key, lowest_bit
from bitextmine.search.rotation import Rotation

Offers = list[tuple[int, int]]  # sum, id


@numba.njit
def offer_all(keys, bounds, row, sums, ids):  # type: ignore[no-untyped-def]
    for place in range(len(sums)):
        offer((keys, bounds), row, sums[place], ids[place])


def listed(offers: Offers, count: int, row: int = 1, rows: int = 3) -> Best:
    best = Best.empty(rows, count, rows + 2)
    sums, ids = (
        (np.array(column, np.int32) for column in zip(*offers, strict=True)) if offers else (np.empty(0, np.int32),) * 2
    )
    offer_all(best.keys, best.bounds, row, sums, ids)
    return best


def expected(offers: Offers, count: int) -> Offers:
    chosen = sorted(offers, key=lambda offered: (-offered[0], offered[1]))[:count]
    return chosen + [(LOWEST, -1)] * (count - len(chosen))


def decoded(keys: NDArray[np.int64]) -> Offers:
    return list(zip(sums_of(keys).tolist(), ids_of(keys).tolist(), strict=True))


def some_offers(most: int = 60) -> st.SearchStrategy[Offers]:
    sums = st.integers(-3, 3) | st.integers(1 - (1 << 30), (1 << 30) - 1)
    ids = st.lists(st.integers(0, (1 << 31) - 1), unique=True, max_size=most)
    return ids.flatmap(lambda drawn: st.tuples(*(st.tuples(sums, st.just(each)) for each in drawn)).map(list))


@settings(deadline=None)
@given(offers=some_offers(), count=st.sampled_from([8, 16, 24]), data=st.data())
def test_the_best_stay_in_order_however_they_come(offers: Offers, count: int, data: st.DataObject) -> None:
    best = listed(data.draw(st.permutations(offers)), count)
    assert decoded(best.keys[1]) == expected(offers, count)
    for untouched in (0, 2):
        assert decoded(best.keys[untouched]) == expected([], count)


@settings(deadline=None)
@given(offers=some_offers())
def test_the_bound_lets_in_all_that_may_enter(offers: Offers) -> None:
    best = listed(offers, 8)
    last = expected(offers, 8)[-1][0]
    assert best.bounds[1] == max(LOWEST, last - 1)
    assert best.bounds.tolist()[3:] == [HIGHEST, HIGHEST]


@settings(deadline=None)
@given(offers=some_offers(), cut=st.integers(0, 60), count=st.sampled_from([8, 16]))
def test_lists_of_two_threads_merge_into_the_list_of_one(offers: Offers, cut: int, count: int) -> None:
    merged = merge([listed(offers[:cut], count), listed(offers[cut:], count)])
    np.testing.assert_array_equal(merged.keys, listed(offers, count).keys)


def test_a_list_has_some_to_spare_and_is_a_multiple_of_eight() -> None:
    assert [list_length(k) for k in (1, 4, 8, 9, 16, 17)] == [16, 16, 16, 24, 24, 32]


@numba.njit
def inserted(keys, count, key):  # type: ignore[no-untyped-def]
    insert_key(keys.ctypes.data, np.int64(count), key)


@settings(deadline=None)
@given(held=st.lists(st.integers(-(1 << 62), 1 << 62), min_size=16, max_size=16), key=st.integers(-(1 << 62), 1 << 62))
def test_a_key_goes_where_it_belongs_and_nothing_beyond_is_touched(held: list[int], key: int) -> None:
    keys = np.array([*sorted(held, reverse=True), 7, 7], np.int64)
    inserted(keys, 16, key)
    assert keys.tolist() == [*sorted([*held, key], reverse=True)[:16], 7, 7]


@numba.njit
def bits_of(word):  # type: ignore[no-untyped-def]
    found = []
    while word:
        found.append(lowest_bit(word))
        word &= word - np.uint32(1)
    return found


@pytest.mark.parametrize("bits", [[0], [31], [0, 31], [3, 4, 17]])
def test_bits_are_found_from_the_lowest(bits: list[int]) -> None:
    assert list(bits_of(np.uint32(sum(1 << bit for bit in bits)))) == bits


@pytest.mark.parametrize("dims", [1, 2, 7, 12, 64, 384, 512, 768, 1021])
def test_a_rotation_keeps_products_and_spreads_a_coordinate_over_all(dims: int) -> None:
    rotation = Rotation.random(dims, seed=1)
    matrix = rotation.apply(np.eye(dims, dtype=np.float32)).astype(np.float64)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(dims), atol=1e-5)
    assert np.abs(matrix).max() <= 2.01 / np.sqrt(dims) * (1 if dims > 3 else 2)
    assert (np.linalg.norm(matrix, axis=1, ord=1) > 0.5 * np.sqrt(dims) * 0.9).all()


@settings(deadline=None)
@given(offers=some_offers(), floor=st.integers(-3, 3))
def test_nothing_enters_that_is_not_above_the_bound_a_list_began_with(offers: Offers, floor: int) -> None:
    best = Best.empty(3, 8, 5)
    best.bounds[1] = floor
    for value, identifier in offers:
        offer((best.keys, best.bounds), 1, np.int32(value), np.int64(identifier))
    assert decoded(best.keys[1]) == expected([(value, each) for value, each in offers if value > floor], 8)
