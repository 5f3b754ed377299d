"""Scores and choice of pairs against a slow twin: Artetxe & Schwenk (2019), section 3, as plain loops.

The twin rounds where the library does (means and scores are float32), so the two must agree to the last bit; that the
rounded scores are those of the paper's equations is a property of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bitextmine.margin import Margin, Pairs, Retrieval, margin_scores, neighborhood_means, select_pairs
from bitextmine.search import MISSING, Neighbors

GARBAGE = np.float32(np.finfo(np.float32).min)  # what FAISS leaves beside a missing id
FIELDS = ("src", "tgt", "margin", "cosine", "src_mean", "tgt_mean", "src_rank", "tgt_rank", "forward", "backward")


@st.composite
def neighborhoods(draw: st.DrawFn) -> tuple[Neighbors, Neighbors]:
    """Both ways over one matrix of cosines: k up to more than there are rows, equal cosines, negative ones, zero
    vectors, copies, and here and there a neighbour that an approximate index did not find."""
    src, tgt, k = draw(st.integers(0, 7)), draw(st.integers(0, 7)), draw(st.integers(1, 5))
    eighths = draw(st.lists(st.integers(draw(st.sampled_from([-8, 1])), 8), min_size=src * tgt, max_size=src * tgt))
    cosines = np.array(eighths, np.float32).reshape(src, tgt) / 8
    for side in (cosines, cosines.T):
        for row in range(len(side)):
            change = draw(st.sampled_from(["", "", "", "", "zero", "copy"]))
            if change:
                side[row] = 0 if change == "zero" else side[draw(st.integers(0, row))]
    lost = st.booleans() if draw(st.booleans()) else st.just(False)
    return tuple(_nearest(draw, side, k, lost) for side in (cosines, cosines.T))  # type: ignore[return-value]


def _nearest(draw: st.DrawFn, cosines: NDArray[np.float32], k: int, lost: st.SearchStrategy[bool]) -> Neighbors:
    ids = np.full((len(cosines), k), MISSING, np.int64)
    sims = np.full((len(cosines), k), draw(st.sampled_from([GARBAGE, np.float32(-np.inf), np.float32(0.9)])))
    for row, cosine in enumerate(cosines):
        order = [i for i in sorted(range(len(cosine)), key=lambda i: (-cosine[i], i)) if not draw(lost)][:k]
        ids[row, : len(order)], sims[row, : len(order)] = order, cosine[order]
    return Neighbors(ids, sims)


@dataclass
class SlowTwin:
    """Everything that `select_pairs` decides, one candidate at a time."""

    forward: Neighbors
    backward: Neighbors
    margin: Margin

    def __post_init__(self) -> None:
        self.src_means = [slow_mean(row) for row in candidates(self.forward)]
        self.tgt_means = [slow_mean(row) for row in candidates(self.backward)]
        self.ahead = [
            self._best([(y, cosine, self.src_means[x], self.tgt_means[y]) for y, cosine in row])
            for x, row in enumerate(candidates(self.forward))
        ]
        self.back = [
            self._best([(x, cosine, self.tgt_means[y], self.src_means[x]) for x, cosine in row])
            for y, row in enumerate(candidates(self.backward))
        ]

    def _best(
        self, row: list[tuple[int, np.float32, np.float32, np.float32]]
    ) -> tuple[int, np.float32, np.float32] | None:
        best = None
        for other, cosine, mean_a, mean_b in row:
            score = slow_score(cosine, mean_a, mean_b, self.margin)
            if score is not None and (best is None or score > best[1]):
                best = (other, score, cosine)
        return best

    def select(
        self, retrieval: Retrieval, threshold: float | None, ceiling: float | None
    ) -> list[dict[str, int | float | bool]]:
        forward = {(x, best[0]): best[1:] for x, best in enumerate(self.ahead) if best}
        backward = {(best[0], y): best[1:] for y, best in enumerate(self.back) if best}
        chosen = {
            Retrieval.FORWARD: forward,
            Retrieval.BACKWARD: backward,
            Retrieval.INTERSECTION: {pair: forward[pair] for pair in forward if pair in backward},
            Retrieval.MAX_SCORE: backward | forward,
        }[retrieval]
        rows = []
        src_taken: set[int] = set()
        tgt_taken: set[int] = set()
        for score, src, tgt, cosine in sorted((-score, *pair, cosine) for pair, (score, cosine) in chosen.items()):
            if threshold is not None and -score < np.float32(threshold):
                continue
            if retrieval is Retrieval.MAX_SCORE and (src in src_taken or tgt in tgt_taken):
                continue
            src_taken.add(src)
            tgt_taken.add(tgt)
            if ceiling is not None and -score > np.float32(ceiling):
                continue
            ranks = slow_rank(self.forward, src, tgt), slow_rank(self.backward, tgt, src)
            found = (src, tgt) in forward, (src, tgt) in backward
            values = (src, tgt, -score, cosine, self.src_means[src], self.tgt_means[tgt], *ranks, *found)
            rows.append(dict(zip(FIELDS, values, strict=True)))
        return rows


def candidates(neighbors: Neighbors) -> list[list[tuple[int, np.float32]]]:
    return [
        [(int(i), sim) for i, sim in zip(ids, sims, strict=True) if i != MISSING]
        for ids, sims in zip(neighbors.ids, neighbors.sims, strict=True)
    ]


def slow_mean(row: list[tuple[int, np.float32]]) -> np.float32:
    """Over the neighbours that there are: the denominators of equation 2, each of its two sums."""
    return np.float32(sum(float(sim) for _, sim in row) / len(row)) if row else np.float32(0)


def slow_score(cosine: np.float32, mean_a: np.float32, mean_b: np.float32, margin: Margin) -> np.float32 | None:
    """margin(a, b) of section 3.1 with b the mean of both neighbourhoods; None where a ratio would mean nothing."""
    if margin is Margin.ABSOLUTE:
        return cosine
    mean = (mean_a + mean_b) / np.float32(2)
    if margin is Margin.DISTANCE:
        return cosine - mean
    return cosine / mean if mean > 0 else None


def slow_rank(neighbors: Neighbors, row: int, other: int) -> int:
    ids = neighbors.ids[row].tolist()
    return ids.index(other) + 1 if other in ids else 0


def as_rows(pairs: Pairs) -> list[dict[str, int | float | bool]]:
    columns = [getattr(pairs, name).tolist() for name in FIELDS]
    return [dict(zip(FIELDS, values, strict=True)) for values in zip(*columns, strict=True)]


bounds = st.none() | st.integers(-8, 16).map(lambda eighths: eighths / 8) | st.floats(-1, 2)


@pytest.mark.parametrize("retrieval", Retrieval)
@pytest.mark.parametrize("margin", Margin)
@settings(max_examples=60, deadline=None)
@given(neighbors=neighborhoods(), threshold=bounds, ceiling=bounds)
def test_the_pairs_are_those_of_the_plain_loops(
    margin: Margin,
    retrieval: Retrieval,
    neighbors: tuple[Neighbors, Neighbors],
    threshold: float | None,
    ceiling: float | None,
) -> None:
    pairs = select_pairs(*neighbors, margin=margin, retrieval=retrieval, threshold=threshold, ceiling=ceiling)
    assert as_rows(pairs) == SlowTwin(*neighbors, margin).select(retrieval, threshold, ceiling)


@settings(deadline=None)
@given(neighbors=neighborhoods())
def test_means_are_over_the_neighbours_that_were_found(neighbors: tuple[Neighbors, Neighbors]) -> None:
    for side in neighbors:
        assert neighborhood_means(side).tolist() == [slow_mean(row) for row in candidates(side)]


@settings(deadline=None)
@given(cosine=st.floats(-1, 1, width=32), mean_a=st.floats(-1, 1, width=32), mean_b=st.floats(-1, 1, width=32))
def test_scores_are_those_of_the_equations(cosine: float, mean_a: float, mean_b: float) -> None:
    ratio, distance, absolute = (
        float(margin_scores(*(np.array([value], np.float32) for value in (cosine, mean_a, mean_b)), margin)[0])
        for margin in (Margin.RATIO, Margin.DISTANCE, Margin.ABSOLUTE)
    )
    mean = (mean_a + mean_b) / 2
    assert absolute == cosine
    assert distance == pytest.approx(cosine - mean, abs=1e-6)
    if mean > 1e-3:
        assert ratio == pytest.approx(cosine / mean, rel=1e-4)
    if mean <= 0:
        assert ratio == -np.inf


@settings(deadline=None)
@given(neighbors=neighborhoods(), margin=st.sampled_from(Margin), retrieval=st.sampled_from(Retrieval))
def test_swapping_the_sides_swaps_the_pairs(
    neighbors: tuple[Neighbors, Neighbors], margin: Margin, retrieval: Retrieval
) -> None:
    mirrored = {Retrieval.FORWARD: Retrieval.BACKWARD, Retrieval.BACKWARD: Retrieval.FORWARD}
    there = select_pairs(*neighbors, margin=margin, retrieval=retrieval)
    back = select_pairs(*neighbors[::-1], margin=margin, retrieval=mirrored.get(retrieval, retrieval))
    assume(retrieval is not Retrieval.MAX_SCORE or len(np.unique(there.margin)) == len(there))  # ties go by source row
    assert set(zip(there.src.tolist(), there.tgt.tolist(), strict=True)) == set(
        zip(back.tgt.tolist(), back.src.tolist(), strict=True)
    )


@settings(deadline=None)
@given(neighbors=neighborhoods(), margin=st.sampled_from(Margin), bound=st.floats(-1, 2))
def test_a_threshold_only_cuts_the_tail_of_the_ranking(
    neighbors: tuple[Neighbors, Neighbors], margin: Margin, bound: float
) -> None:
    for retrieval in Retrieval:
        everything = select_pairs(*neighbors, margin=margin, retrieval=retrieval)
        kept = select_pairs(*neighbors, margin=margin, retrieval=retrieval, threshold=bound)
        assert as_rows(kept) == as_rows(everything)[: len(kept)]
        below = select_pairs(*neighbors, margin=margin, retrieval=retrieval, ceiling=bound)
        assert as_rows(below) == as_rows(everything)[len(everything) - len(below) :]
        assert all(a >= b for a, b in pairwise(everything.margin))
