"""The recall that known pairs tell, against each of them really put into the corpora and mined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from bitextmine.given import sides as given_sides
from bitextmine.given import vectors_of
from bitextmine.margin import Retrieval, select_pairs
from bitextmine.mining import MiningParameters, find_neighbors, plan_mining
from bitextmine.resources import Resources
from bitextmine.search import Neighbors, nearest_exact
from bitextmine.thresholds import Search, Seeds, ThresholdEstimate, estimate
from bitextmine.vectors import StoredVectors
from tests.unit.test_thresholds import DIMS, Bench, sides

ROWS, TRANSLATED, SEEDS, K = 800, 600, 150, 4
LIMITS = Resources(threads=1, memory_bytes=4 << 30)
CEILING = 1.4


@dataclass(frozen=True)
class Place:
    """Corpora, known pairs that are not in them, and all neighbours with each of these put into the corpora."""

    bench: Bench
    seeds: Seeds
    with_seed: list[tuple[Neighbors, Neighbors]]

    def estimate(self, parameters: MiningParameters) -> ThresholdEstimate:
        bench = self.bench
        plan = plan_mining(*bench.corpora, bench.given, parameters, resources=LIMITS)
        vectors = [
            vectors_of(corpus, given, bench.store)
            for corpus, given in zip(bench.corpora, given_sides(bench.given), strict=True)
        ]
        neighbors = find_neighbors(*vectors, plan, bench.store)
        search = Search(*bench.corpora, *vectors, neighbors)
        return estimate(search, parameters, bench.store, seeds=self.seeds, resources=LIMITS)

    def found(self, parameters: MiningParameters) -> NDArray[np.float32]:
        """The margin of each known pair that is mined; -inf of one that is not."""
        margins = np.full(SEEDS, -np.inf, np.float32)
        for seed, (ahead, back) in enumerate(self.with_seed):
            pairs = select_pairs(ahead, back, retrieval=parameters.retrieval, ceiling=parameters.ceiling)
            here = (pairs.src == ROWS) & (pairs.tgt == ROWS)
            margins[seed] = pairs.margin[here].max(initial=-np.inf)
        return margins


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A third of the known pairs have a rival of the source, a third one of the target, that the other side prefers."""
    mined, others = np.arange(TRANSLATED), np.arange(TRANSLATED + SEEDS, ROWS + SEEDS)
    order = np.concatenate([mined, others, np.arange(TRANSLATED, TRANSLATED + SEEDS)])  # known pairs last
    src, tgt = (each[order] for each in sides(ROWS + SEEDS, TRANSLATED + SEEDS, noise=0.7))
    rng, third = np.random.default_rng(3), SEEDS // 3
    for rivals, own, first in ((src, tgt, 0), (tgt, src, third)):
        near = own[ROWS + first : ROWS + first + third] + 0.4 * rng.standard_normal((third, DIMS))
        rivals[TRANSLATED + first : TRANSLATED + first + third] = near
    bench = Bench(tmp_path_factory.mktemp("corpora"), (src[:ROWS], tgt[:ROWS]))
    known = Bench(tmp_path_factory.mktemp("known"), (src[ROWS:], tgt[ROWS:]))
    rows = np.arange(SEEDS)
    planted = [
        vectors_of(corpus, given, known.store)
        for corpus, given in zip(known.corpora, given_sides(known.given), strict=True)
    ]
    with_seed = []
    for seed in range(SEEDS):
        both = [StoredVectors.of(np.vstack([each[:ROWS], each[ROWS + seed : ROWS + seed + 1]])) for each in (src, tgt)]
        with_seed.append((nearest_exact(both[0], both[1], K), nearest_exact(both[1], both[0], K)))
    return Place(bench, Seeds(planted[0], planted[1], rows, rows, "known"), with_seed)


@pytest.mark.parametrize("ceiling", [None, CEILING])
@pytest.mark.parametrize("retrieval", Retrieval)
def test_recall_is_the_share_of_known_pairs_that_mining_finds(
    place: Place, retrieval: Retrieval, ceiling: float | None
) -> None:
    parameters = MiningParameters(k=K, retrieval=retrieval, ceiling=ceiling)
    told, found = place.estimate(parameters), place.found(parameters)
    assert told.seeds == SEEDS
    for point in told.points[:: len(told.points) // 4]:
        share = float((found >= np.float32(point.threshold)).mean())
        assert point.recall == pytest.approx(share, abs=0.03)  # others' neighbourhoods change a little with the pair


def test_what_is_found_differs_so_that_the_above_means_something(place: Place) -> None:
    share = {
        retrieval: float(np.isfinite(place.found(MiningParameters(k=K, retrieval=retrieval))).mean())
        for retrieval in Retrieval
    }
    bounded = float(np.isfinite(place.found(MiningParameters(k=K, ceiling=CEILING))).mean())
    assert share[Retrieval.FORWARD] > share[Retrieval.INTERSECTION] + 0.1
    assert share[Retrieval.BACKWARD] > share[Retrieval.INTERSECTION] + 0.1
    assert bounded < share[Retrieval.MAX_SCORE] - 0.1
