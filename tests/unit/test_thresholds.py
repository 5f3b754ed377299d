"""Estimates of precision and recall without gold, on vectors whose true pairs are known."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, ingest
from bitextmine.documents import DocumentRule, DocumentUse
from bitextmine.errors import ArtifactError, ParameterError
from bitextmine.given import GivenVectors
from bitextmine.margin import Margin, Retrieval
from bitextmine.mining import MiningParameters, mine, plan_mining
from bitextmine.resources import Resources
from bitextmine.thresholds import ThresholdEstimate, estimate_for, plot_svg
from bitextmine.thresholds.estimate import ESTIMATE, KIND, LEAST_KEPT, check_documents, histogram
from bitextmine.thresholds.model import survival, weighted_quantile

DIMS = 64
TOPICS = 40
DEFAULT = MiningParameters()
Sides = tuple[NDArray[np.float32], NDArray[np.float32]]


def sides(rows: int, translated: int, noise: float = 0.7, seed: int = 1) -> Sides:
    """Sentences about some topics; the first `translated` of either side are translations of one another."""
    rng = np.random.default_rng(seed)
    topics = rng.standard_normal((TOPICS, DIMS))
    meanings = [topics[rng.integers(0, TOPICS, rows)] + rng.standard_normal((rows, DIMS)) for _ in range(2)]
    meanings[1][:translated] = meanings[0][:translated]
    return tuple((each + noise * rng.standard_normal((rows, DIMS))).astype(np.float32) for each in meanings)  # type: ignore[return-value]


class Bench:
    """Corpora of given vectors, in a directory of their own."""

    def __init__(self, place: Path, vectors: Sides) -> None:
        self.store = ArtifactStore(place / "artifacts")
        self.corpora: list[Corpus] = []
        for name, lang, rows in zip("ab", ("deu_Latn", "eng_Latn"), vectors, strict=True):
            (place / f"{name}.txt").write_text("".join(f"sentence {name} {i}\n" for i in range(len(rows))))
            np.save(place / f"{name}.npy", rows)
            self.corpora.append(ingest(CorpusFile(place / f"{name}.txt", lang, CorpusFormat.TEXT), self.store))
        self.given = GivenVectors(place / "a.npy", place / "b.npy")

    def estimate(self, parameters: MiningParameters = DEFAULT, threads: int = 1) -> ThresholdEstimate:
        resources = Resources(threads=threads, memory_bytes=4 << 30)
        plan = plan_mining(*self.corpora, self.given, parameters, resources=resources)
        return estimate_for((self.corpora[0], self.corpora[1]), self.given, self.store, parameters, plan=plan)

    def truth(self, translated: int, parameters: MiningParameters) -> tuple[float, float, int]:
        """Precision and recall of what mining gives, and how many pairs that are."""
        table = mine(*self.corpora, self.given, self.store, parameters).table(["src_row", "tgt_row"])
        src, tgt = (table[f"{side}_row"].to_numpy() for side in ("src", "tgt"))
        right = int(((src == tgt) & (src < translated)).sum())
        return right / max(len(table), 1), right / translated, len(table)


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """3,000 sentences a side, of which 1,500 are translated."""
    return Bench(tmp_path_factory.mktemp("half"), sides(3_000, 1_500))


@pytest.mark.parametrize("margin", Margin)
@pytest.mark.parametrize("precision", [0.95, 0.98])
def test_keeps_its_promise_for_every_margin(half: Bench, margin: Margin, precision: float) -> None:
    parameters = MiningParameters(margin=margin)
    choice = half.estimate(parameters).choose(precision)
    found, recall, pairs = half.truth(1_500, replace(parameters, threshold=choice.threshold))
    assert choice.precision >= precision
    assert abs(found - choice.precision) <= 0.06  # random vectors: what decoys count is not too much here
    assert choice.low <= found <= choice.high
    assert pairs == choice.pairs
    assert abs(recall - choice.recall) <= 0.1
    assert choice.low < choice.precision < choice.high
    assert choice.recall_low <= recall <= choice.recall_high


@pytest.mark.parametrize("retrieval", Retrieval)
def test_keeps_its_promise_for_every_retrieval(half: Bench, retrieval: Retrieval) -> None:
    parameters = MiningParameters(retrieval=retrieval)
    choice = half.estimate(parameters).choose(0.95)
    found, _, pairs = half.truth(1_500, replace(parameters, threshold=choice.threshold))
    assert abs(found - choice.precision) <= 0.03
    assert pairs == choice.pairs


def test_fewer_translations_need_a_higher_threshold(half: Bench, tmp_path: Path) -> None:
    few = Bench(tmp_path, sides(3_000, 300))
    choice = few.estimate().choose(0.9)
    found, _, _ = few.truth(300, MiningParameters(threshold=choice.threshold))
    assert choice.threshold > half.estimate().choose(0.9).threshold
    assert choice.low <= found <= choice.high


def test_a_lowest_threshold_is_chosen_and_both_curves_go_their_way(half: Bench) -> None:
    found = half.estimate()
    precision, recall = ([getattr(point, name) for point in found.points] for name in ("precision", "recall"))
    assert precision == sorted(precision)
    assert recall == sorted(recall, reverse=True)
    choice = found.choose(0.9)
    assert all(point.precision < 0.9 for point in found.points if point.threshold < choice.threshold)


def test_is_made_once_and_the_same_with_more_threads(half: Bench, tmp_path: Path) -> None:
    first = half.estimate()
    made = half.store.list(KIND)
    assert half.estimate(MiningParameters(threshold=1.2)) == first  # which threshold mining has does not matter
    assert [artifact.digest for artifact in half.store.list(KIND)] == [artifact.digest for artifact in made]
    again = Bench(tmp_path, sides(3_000, 1_500))
    assert again.estimate(threads=2) == first


def test_a_ceiling_takes_pairs_and_decoys_away(half: Bench) -> None:
    bounded = half.estimate(MiningParameters(ceiling=1.3))
    assert bounded.points[-1].threshold <= np.float32(1.3)
    assert bounded.pairs < half.estimate().pairs


def test_without_any_translation_no_precision_is_promised(tmp_path: Path) -> None:
    with pytest.raises(ParameterError) as refused:
        Bench(tmp_path, sides(1_500, 0)).estimate().choose(0.9)
    assert refused.value.code in ("precision-not-reached", "precision-unknown")


def test_all_translated_promises_much_at_the_lowest_threshold(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sides(1_500, 1_500, noise=0.3))
    choice = bench.estimate().choose(0.95)
    assert choice.pairs > 1_450
    assert choice.precision > 0.97


@pytest.mark.parametrize("rows", [2, 40, 90])
def test_few_pairs_tell_nothing(tmp_path: Path, rows: int) -> None:
    found = Bench(tmp_path, sides(rows, rows)).estimate(MiningParameters(k=2))
    assert found.points == ()
    assert sum(found.counts) == found.pairs <= rows
    assert f"{found.pairs} pairs" in str(found.unknown)
    with pytest.raises(ParameterError, match="no threshold can be chosen") as refused:
        found.choose(0.9)
    assert refused.value.code == "precision-unknown"
    assert "no threshold" not in plot_svg(found, "few")
    assert str(found.unknown) in plot_svg(found, "few")


def test_one_margin_for_all_tells_nothing(tmp_path: Path) -> None:
    same = np.ones((300, DIMS), np.float32)
    found = Bench(tmp_path, (same, same)).estimate(MiningParameters(retrieval=Retrieval.FORWARD))
    assert found.unknown == "all pairs have the same margin"
    assert sum(found.counts) == 300


@pytest.mark.parametrize("precision", [0.0, 1.0, -0.5, 95.0, float("nan"), float("inf")])
def test_a_precision_lies_between_0_and_1(half: Bench, precision: float) -> None:
    with pytest.raises(ParameterError) as refused:
        half.estimate().choose(precision)
    assert refused.value.code == "invalid-target-precision"


def test_what_cannot_be_reached_is_said_with_the_best_there_is(half: Bench) -> None:
    found = half.estimate()
    capped = replace(found, points=tuple(replace(point, precision=min(point.precision, 0.8)) for point in found.points))
    with pytest.raises(ParameterError, match=r"the best is threshold .* precision 0\.800") as refused:
        capped.choose(0.9)
    assert refused.value.code == "precision-not-reached"


def test_no_threshold_is_offered_for_a_handful_of_pairs(half: Bench) -> None:
    found = half.estimate()
    rare = tuple(
        replace(point, pairs=LEAST_KEPT - 1, precision=0.99) if point.precision >= 0.9 else point
        for point in found.points
    )
    with pytest.raises(ParameterError, match="no threshold is expected"):
        replace(found, points=rare).choose(0.95)


def test_mining_by_documents_is_refused() -> None:
    with pytest.raises(ParameterError, match="by documents"):
        check_documents(MiningParameters(documents=DocumentRule(use=DocumentUse.BOOST)))


def test_a_damaged_estimate_is_an_error(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sides(200, 100))
    bench.estimate()
    (artifact,) = bench.store.list(KIND)
    file = artifact.path / ESTIMATE
    file.write_bytes(b"{" + b" " * (file.stat().st_size - 1))
    with pytest.raises(ArtifactError, match="delete"):
        bench.estimate()


def test_json_has_the_histogram_and_all_points(half: Bench) -> None:
    found = half.estimate()
    told = json.loads(json.dumps(found.as_json()))
    assert len(told["histogram"]["edges"]) == len(told["histogram"]["counts"]) + 1
    assert sum(told["histogram"]["counts"]) == told["pairs"]
    assert len(told["points"]) == len(found.points)
    assert told["points"][0]["pairs"] == told["pairs"]


def test_the_drawing_is_an_svg_with_a_bar_for_each_bin(half: Bench) -> None:
    found = half.estimate()
    drawn = ET.fromstring(plot_svg(found, 'a & b <"c">', found.choose(0.9)))
    space = "{http://www.w3.org/2000/svg}"
    assert len(drawn.findall(f"{space}rect/{space}title")) == len(found.counts)
    assert len(drawn.findall(f"{space}polyline")) == len(drawn.findall(f"{space}polygon")) == 2
    assert drawn.find(f"{space}text").text == 'a & b <"c">'  # type: ignore[union-attr]


def test_a_histogram_counts_what_lies_beyond_in_its_ends() -> None:
    margins = np.concatenate([np.linspace(1, 2, 5_000), [-50.0, 90.0]]).astype(np.float32)
    edges, counts = histogram(margins)
    assert sum(counts) == len(margins)
    assert edges[0] >= 0.9
    assert edges[-1] <= 2.1
    assert histogram(margins[:0]) == ((), ())


def test_survival_is_a_share_of_weight_and_then_an_exponential_tail() -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.exponential(1.0, 4_000), rng.uniform(0.5, 1.5, 4_000)
    at = np.array([0.0, 0.5, 1.0, 8.0, 12.0])
    plain = [float(weights[values >= threshold].sum() / weights.sum()) for threshold in at[:3]]
    found = survival(values, weights, at)
    assert found[:3] == pytest.approx(plain)
    assert np.log(found[3:]) == pytest.approx(-at[3:], rel=0.2)
    assert survival(np.full(40, -np.inf), np.ones(40), at) == pytest.approx(0)


def test_a_weighted_quantile_is_that_of_repeated_values() -> None:
    values, weights = np.array([3.0, 1.0, 2.0, np.inf]), np.array([2.0, 3.0, 1.0, 5.0])
    assert weighted_quantile(values, weights, 0.5) == np.quantile([1, 1, 1, 2, 3, 3], 0.5, method="inverted_cdf")
    assert np.isnan(weighted_quantile(values, np.zeros(4), 0.5))
