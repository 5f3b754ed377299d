"""Histograms, samples and the precision of a bitext's pairs, against plain counting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import MarginRange
from bitextmine.judgements import Judgement, Verdict
from bitextmine.pair_scores import Histogram, histogram, precisions, sample, wilson
from tests.unit.bitexts import published


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def judged(margin: float, *, good: bool) -> Judgement:
    return Judgement(0, 0, Verdict.GOOD if good else Verdict.BAD, margin, "a", "b", "2026-01-01T00:00:00.000Z")


@pytest.mark.parametrize("bins", [1, 3, 100, 500])
def test_a_histogram_counts_as_pages_do(store: ArtifactStore, bins: int) -> None:
    margins = np.sort(np.random.default_rng(3).normal(1.2, 0.2, 300).astype(np.float32))[::-1]
    bitext = published(store, 300, margins.tolist())
    found = histogram(bitext, bins)
    assert len(found.edges) == len(found.counts) + 1 == bins + 1
    assert found.edges == sorted(found.edges)
    assert found.edges[0] <= margins.min()
    assert found.edges[-1] >= margins.max()
    assert sum(found.counts) == found.at_least[0] == 300
    for edge, count in zip(found.edges[:-1], found.at_least, strict=True):
        assert count == sum(margin >= np.float32(edge) for margin in margins)
        assert count == bitext.page(0, 1, MarginRange(least=edge)).total
    for low, high, count in zip(found.edges[:-1], found.edges[1:-1], found.counts, strict=False):
        assert count == sum(np.float32(low) <= margin < np.float32(high) for margin in margins)


@pytest.mark.parametrize("margin", [1.3, 0.0, -2.0, 123456.7])
def test_equal_margins_make_one_bin(store: ArtifactStore, margin: float) -> None:
    found = histogram(published(store, 4, [margin] * 4), 100)
    assert sum(found.counts) == 4
    assert found.at_least[0] == 4
    assert len(found.edges) == len(found.counts) + 1


def test_of_no_pairs_there_is_nothing(store: ArtifactStore) -> None:
    empty = published(store, 0)
    found = histogram(empty, 10)
    assert (found.edges, found.counts, found.at_least) == ([], [], [])
    assert precisions(found, []) == []
    assert sample(empty, 5).pairs == []


def test_a_sample_is_random_within_its_bounds_and_repeatable(store: ArtifactStore) -> None:
    bitext = published(store, 200)
    bounds = MarginRange(0.9, 1.3)
    inside = bitext.page(0, 200, bounds)
    first = sample(bitext, 20, bounds, seed=1)
    assert first == sample(bitext, 20, bounds, seed=1)
    assert first != sample(bitext, 20, bounds, seed=2)
    assert first.total == inside.total
    assert len({pair.src_row for pair in first.pairs}) == 20
    assert {pair.src_row for pair in first.pairs} <= {pair.src_row for pair in inside.pairs}
    assert [pair.margin for pair in first.pairs] == sorted((pair.margin for pair in first.pairs), reverse=True)
    assert sample(bitext, 500, bounds, seed=1).pairs == inside.pairs
    seen = {pair.src_row for seed in range(150) for pair in sample(bitext, 20, seed=seed).pairs}
    assert seen == set(range(200))


def test_wilson_is_as_published() -> None:
    # Newcombe (1998), Statistics in Medicine 17, table I: 81 of 263, 15 of 148, 0 of 20, 29 of 29
    for good, trials, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)):
        assert wilson(good / trials, trials) == pytest.approx((low, high), abs=5e-5)
    assert wilson(1.0, 29) == pytest.approx((0.8830, 1.0), abs=5e-5)


TEN = Histogram([n / 10 for n in range(11)], [100 - 10 * n for n in range(10)])  # a hundred pairs, evenly spread


def test_evenly_judged_pairs_give_wilsons_interval() -> None:
    judgements = [judged(n / 10 + 0.05, good=n >= 3) for n in range(10)]
    found = precisions(TEN, judgements)
    assert found[0] is not None
    assert (found[0].judged, found[0].good, found[0].precision, found[0].covered) == (10, 7, 0.7, 1.0)
    assert (found[0].low, found[0].high) == wilson(0.7, 10)
    assert found[3] is not None
    assert found[3].precision == 1.0
    assert found[9] is not None
    assert found[9].judged == 1


def test_many_judgements_of_one_score_count_as_that_score_only() -> None:
    few = [judged(n / 10 + 0.05, good=n >= 5) for n in range(10)]
    many = few + [judged(0.95, good=True)] * 90
    found = precisions(TEN, many)[0]
    assert found is not None
    assert found.precision == pytest.approx(0.5)
    assert (found.judged, found.good) == (100, 95)
    assert (found.low, found.high) == wilson(0.5, 100 / (9 + 1 / 91))


def test_what_was_not_judged_is_not_known() -> None:
    found = precisions(TEN, [judged(0.25, good=True), judged(0.26, good=False), judged(0.95, good=True)])
    assert found[0] is not None
    assert found[0].covered == pytest.approx(0.2)
    assert found[0].precision == pytest.approx(0.75)
    assert found[3] is not None
    assert found[3].judged == 1
    assert precisions(TEN, [judged(0.05, good=True)])[1:] == [None] * 9
    assert precisions(TEN, []) == [None] * 10
    above = precisions(TEN, [judged(1.0, good=True)])[9]  # the highest margin of all belongs to the last bin
    assert above is not None
