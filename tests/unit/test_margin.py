"""Margins and retrievals on one small matrix of cosines, worked out by hand.

        y0    y1   mean      ratio   y0      y1        distance   y0     y1
  x0   0.9   0.6   0.75         x0   1.125   1.0435          x0   0.1    0.025
  x1   0.8   0.2   0.5          x1   1.1852  0.4444          x1   0.125 -0.25
mean   0.85  0.4
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bitextmine.margin import Margin, Pairs, Retrieval, margin_scores, neighborhood_means, select_pairs
from bitextmine.search import MISSING, Neighbors

COSINES = np.array([[0.9, 0.6], [0.8, 0.2]], np.float32)
RATIOS = [[0.9 / 0.8, 0.6 / 0.575], [0.8 / 0.675, 0.2 / 0.45]]
GARBAGE = np.float32(np.finfo(np.float32).max)


def both_ways(cosines: NDArray[np.float32], k: int) -> tuple[Neighbors, Neighbors]:
    return nearest(cosines, k), nearest(cosines.T, k)


def nearest(cosines: NDArray[np.float32], k: int) -> Neighbors:
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return Neighbors(order, np.take_along_axis(cosines, order, axis=1))


def neighbors(ids: list[list[int]], sims: list[list[float]]) -> Neighbors:
    return Neighbors(np.array(ids, np.int64), np.array(sims, np.float32))


def chosen(pairs: Pairs) -> list[tuple[int, int]]:
    return list(zip(pairs.src.tolist(), pairs.tgt.tolist(), strict=True))


def test_neighbourhood_means_are_those_worked_out() -> None:
    forward, backward = both_ways(COSINES, 2)
    np.testing.assert_allclose(neighborhood_means(forward), [0.75, 0.5], atol=1e-6)
    np.testing.assert_allclose(neighborhood_means(backward), [0.85, 0.4], atol=1e-6)


@pytest.mark.parametrize(
    ("margin", "expected"),
    [(Margin.RATIO, RATIOS), (Margin.DISTANCE, [[0.1, 0.025], [0.125, -0.25]]), (Margin.ABSOLUTE, COSINES.tolist())],
)
def test_each_margin_gives_the_scores_worked_out(margin: Margin, expected: list[list[float]]) -> None:
    means = [neighborhood_means(side) for side in both_ways(COSINES, 2)]
    scores = margin_scores(COSINES, means[0][:, None], means[1], margin)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=1e-6)


@pytest.mark.parametrize("margin", Margin)
def test_scores_are_of_the_broadcast_shape(margin: Margin) -> None:
    one, means = np.array([[0.5]], np.float32), np.full((3, 2), 0.5, np.float32)
    assert margin_scores(one, means, means[:1], margin).shape == (3, 2)


@pytest.mark.parametrize(
    ("margin", "retrieval", "expected"),
    [
        (Margin.RATIO, Retrieval.FORWARD, [(1, 0), (0, 0)]),
        (Margin.RATIO, Retrieval.BACKWARD, [(1, 0), (0, 1)]),
        (Margin.RATIO, Retrieval.INTERSECTION, [(1, 0)]),
        (Margin.RATIO, Retrieval.MAX_SCORE, [(1, 0), (0, 1)]),
        (Margin.DISTANCE, Retrieval.FORWARD, [(1, 0), (0, 0)]),
        (Margin.DISTANCE, Retrieval.BACKWARD, [(1, 0), (0, 1)]),
        (Margin.DISTANCE, Retrieval.INTERSECTION, [(1, 0)]),
        (Margin.DISTANCE, Retrieval.MAX_SCORE, [(1, 0), (0, 1)]),
        (Margin.ABSOLUTE, Retrieval.FORWARD, [(0, 0), (1, 0)]),
        (Margin.ABSOLUTE, Retrieval.BACKWARD, [(0, 0), (0, 1)]),
        (Margin.ABSOLUTE, Retrieval.INTERSECTION, [(0, 0)]),
        (Margin.ABSOLUTE, Retrieval.MAX_SCORE, [(0, 0)]),
    ],
)
def test_each_retrieval_chooses_the_pairs_worked_out(
    margin: Margin, retrieval: Retrieval, expected: list[tuple[int, int]]
) -> None:
    assert chosen(select_pairs(*both_ways(COSINES, 2), margin=margin, retrieval=retrieval)) == expected


def test_a_pair_carries_everything_its_score_was_made_of() -> None:
    pairs = select_pairs(*both_ways(COSINES, 2))
    np.testing.assert_allclose(pairs.margin, [RATIOS[1][0], RATIOS[0][1]], atol=1e-6)
    np.testing.assert_allclose(pairs.cosine, [0.8, 0.6], atol=1e-6)
    np.testing.assert_allclose(pairs.src_mean, [0.5, 0.75], atol=1e-6)
    np.testing.assert_allclose(pairs.tgt_mean, [0.85, 0.4], atol=1e-6)
    assert (pairs.src_rank.tolist(), pairs.tgt_rank.tolist()) == ([1, 2], [2, 1])
    assert (pairs.forward.tolist(), pairs.backward.tolist()) == ([True, False], [True, True])


def test_a_pair_found_one_way_only_has_rank_zero_the_other_way() -> None:
    pairs = select_pairs(*both_ways(COSINES, 1), margin=Margin.ABSOLUTE, retrieval=Retrieval.FORWARD)
    assert chosen(pairs) == [(0, 0), (1, 0)]
    assert pairs.src_rank.tolist() == [1, 1]
    assert pairs.tgt_rank.tolist() == [1, 0]
    assert pairs.backward.tolist() == [True, False]


@pytest.mark.parametrize(
    ("retrieval", "expected"),
    [
        (Retrieval.FORWARD, [(1, 0), (0, 0)]),
        (Retrieval.BACKWARD, [(1, 0)]),
        (Retrieval.INTERSECTION, [(1, 0)]),
        (Retrieval.MAX_SCORE, [(1, 0)]),
    ],
)
def test_no_retrieval_ignores_the_threshold(retrieval: Retrieval, expected: list[tuple[int, int]]) -> None:
    assert chosen(select_pairs(*both_ways(COSINES, 2), retrieval=retrieval, threshold=1.1)) == expected
    assert not len(select_pairs(*both_ways(COSINES, 2), retrieval=retrieval, threshold=1.2))


@pytest.mark.parametrize(
    ("retrieval", "expected"),
    [
        (Retrieval.FORWARD, [(0, 0)]),
        (Retrieval.BACKWARD, [(0, 1)]),
        (Retrieval.INTERSECTION, []),
        (Retrieval.MAX_SCORE, [(0, 1)]),
    ],
)
def test_no_retrieval_ignores_the_ceiling_or_fills_in_a_second_best(
    retrieval: Retrieval, expected: list[tuple[int, int]]
) -> None:
    assert chosen(select_pairs(*both_ways(COSINES, 2), retrieval=retrieval, ceiling=1.15)) == expected


@pytest.mark.parametrize("retrieval", Retrieval)
def test_threshold_and_ceiling_let_a_score_equal_to_them_pass(retrieval: Retrieval) -> None:
    alike = both_ways(np.full((2, 2), 0.5, np.float32), 2)  # every ratio is exactly 1
    assert len(select_pairs(*alike, retrieval=retrieval, threshold=1, ceiling=1))


def test_max_score_uses_no_sentence_twice() -> None:
    cosines = np.random.default_rng(3).random((40, 30)).astype(np.float32)
    pairs = select_pairs(*both_ways(cosines, 4))
    assert len(set(pairs.src.tolist())) == len(set(pairs.tgt.tolist())) == len(pairs) > 10


def test_pairs_come_by_falling_margin_and_equal_ones_by_rising_rows() -> None:
    cosines = np.full((4, 4), 0.25, np.float32)
    np.fill_diagonal(cosines, 0.5)
    cosines[3, 3] = 1
    for retrieval in Retrieval:
        pairs = select_pairs(*both_ways(cosines, 3), retrieval=retrieval)
        assert chosen(pairs) == [(3, 3), (0, 0), (1, 1), (2, 2)]


@pytest.mark.parametrize("margin", Margin)
@pytest.mark.parametrize("garbage", [GARBAGE, -GARBAGE, np.float32("nan"), np.float32("-inf"), np.float32(0.9)])
def test_what_an_index_did_not_find_is_neither_averaged_in_nor_chosen(margin: Margin, garbage: np.float32) -> None:
    forward = neighbors([[0, MISSING], [MISSING, MISSING]], [[0.5, garbage], [garbage, garbage]])
    backward = neighbors([[0, MISSING], [MISSING, MISSING], [MISSING, MISSING]], [[0.5, garbage], *[[garbage] * 2] * 2])
    assert neighborhood_means(forward).tolist() == [0.5, 0]
    for retrieval in Retrieval:
        pairs = select_pairs(forward, backward, margin=margin, retrieval=retrieval)
        assert chosen(pairs) == [(0, 0)]
        assert pairs.margin.tolist() == [{Margin.RATIO: 1.0, Margin.DISTANCE: 0.0, Margin.ABSOLUTE: 0.5}[margin]]


def test_a_neighbour_that_only_one_way_found_counts_from_there_alone() -> None:
    forward = neighbors([[MISSING, MISSING]], [[0, 0]])
    backward = neighbors([[0, MISSING]], [[0.5, 0]])
    assert not len(select_pairs(forward, backward, retrieval=Retrieval.FORWARD))
    assert not len(select_pairs(forward, backward, retrieval=Retrieval.INTERSECTION))
    pairs = select_pairs(forward, backward, retrieval=Retrieval.MAX_SCORE)
    assert (chosen(pairs), pairs.src_rank.tolist(), pairs.tgt_rank.tolist()) == ([(0, 0)], [0], [1])
    assert pairs.src_mean.tolist() == [0]


def test_fewer_neighbours_than_k_are_averaged_over_those_there_are() -> None:
    side = neighbors([[0, MISSING, MISSING, MISSING]], [[0.8, 0, 0, 0]])
    assert neighborhood_means(side).tolist() == [np.float32(0.8)]
    assert select_pairs(side, side).margin.tolist() == [1.0]


@pytest.mark.parametrize("cosine", [0.0, -0.5])
def test_a_neighbourhood_mean_that_is_not_positive_never_gives_a_pair(cosine: float) -> None:
    sides = both_ways(np.full((2, 2), cosine, np.float32), 2)
    for retrieval in Retrieval:
        assert not len(select_pairs(*sides, margin=Margin.RATIO, retrieval=retrieval))
        assert len(select_pairs(*sides, margin=Margin.DISTANCE, retrieval=retrieval))


def test_a_zero_vector_is_never_paired_by_the_ratio_before_a_real_match() -> None:
    pairs = select_pairs(*both_ways(np.array([[0.9, 0.1], [0, 0]], np.float32), 2), threshold=0.5)
    assert chosen(pairs) == [(0, 0)]


def test_copies_on_one_side_share_their_match_only_where_the_retrieval_allows_it() -> None:
    cosines = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.2]], np.float32)
    assert chosen(select_pairs(*both_ways(cosines, 2), retrieval=Retrieval.FORWARD))[1:] == [(0, 0), (1, 0)]
    assert sorted(chosen(select_pairs(*both_ways(cosines, 2)))) == [(0, 0), (2, 1)]


@pytest.mark.parametrize("margin", Margin)
@pytest.mark.parametrize("retrieval", Retrieval)
@pytest.mark.parametrize(("src", "tgt"), [(0, 0), (0, 2), (2, 0)])
def test_an_empty_side_gives_no_pairs(margin: Margin, retrieval: Retrieval, src: int, tgt: int) -> None:
    forward, backward = (
        Neighbors(np.full((rows, 2), MISSING, np.int64), np.full((rows, 2), GARBAGE)) for rows in (src, tgt)
    )
    pairs = select_pairs(forward, backward, margin=margin, retrieval=retrieval)
    assert len(pairs) == 0
    assert (pairs.src.dtype, pairs.margin.dtype, pairs.src_rank.dtype) == (np.int64, np.float32, np.int16)


@pytest.mark.parametrize("retrieval", Retrieval)
def test_one_sentence_each_side_is_one_pair(retrieval: Retrieval) -> None:
    assert chosen(select_pairs(*both_ways(np.ones((1, 1), np.float32), 1), retrieval=retrieval)) == [(0, 0)]


def test_pairs_can_be_sliced_masked_and_indexed() -> None:
    cosines = np.random.default_rng(5).random((9, 9)).astype(np.float32)
    pairs = select_pairs(*both_ways(cosines, 3), retrieval=Retrieval.FORWARD)
    assert len(pairs) == 9
    assert chosen(pairs[2:5]) == chosen(pairs)[2:5]
    assert chosen(pairs[pairs.backward]) == [
        pair for pair, one in zip(chosen(pairs), pairs.backward, strict=True) if one
    ]
    last_first = pairs[np.arange(8, -1, -1)]
    assert last_first.margin.tolist() == pairs.margin.tolist()[::-1]
    assert last_first.tgt_rank.tolist() == pairs.tgt_rank.tolist()[::-1]
