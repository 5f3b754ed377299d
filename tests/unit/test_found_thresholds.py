"""The estimate of a bitext is found again from the bitext alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bitextmine.bitext import Bitext
from bitextmine.corpus import CorpusFile, CorpusFormat, ingest
from bitextmine.documents import DocumentRule, DocumentUse
from bitextmine.filtered import filter_bitext
from bitextmine.filters import FilterSettings
from bitextmine.margin import Margin
from bitextmine.mining import MiningParameters, mine
from bitextmine.thresholds.found import find_estimate, point_at
from tests.unit.test_thresholds import Bench, sides


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("found"), sides(600, 400))


def mined(bench: Bench, parameters: MiningParameters) -> Bitext:
    return mine(*bench.corpora, bench.given, bench.store, parameters)


def test_it_is_found_whatever_the_threshold_and_after_filters(bench: Bench) -> None:
    assert find_estimate(mined(bench, MiningParameters()), bench.store) is None
    wanted = bench.estimate()
    for threshold in (None, 1.05):
        bitext = mined(bench, MiningParameters(threshold=threshold))
        assert find_estimate(bitext, bench.store) == wanted
    settings = FilterSettings.parse("default")
    assert settings is not None
    assert find_estimate(filter_bitext(bitext, settings, bench.store), bench.store) == wanted


@pytest.mark.parametrize("other", [{"margin": Margin.DISTANCE}, {"ceiling": 1.5}, {"k": 5}, {"drop_identical": True}])
def test_that_of_other_pairs_is_not_taken(bench: Bench, other: dict[str, object]) -> None:
    bench.estimate()
    assert find_estimate(mined(bench, MiningParameters(**other)), bench.store) is None  # type: ignore[arg-type]


def test_of_what_was_mined_by_documents_there_is_none(tmp_path: Path) -> None:
    """Its neighbours are those of what was mined without them, whose estimate must not be shown for it."""
    bench = Bench(tmp_path, sides(600, 400))
    for place, name in enumerate("ab"):
        lines = [{"text": f"sentence {name} {row}", "doc_id": f"d{row // 20}"} for row in range(600)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        lang = bench.corpora[place].lang
        bench.corpora[place] = ingest(CorpusFile(tmp_path / f"{name}.jsonl", lang, CorpusFormat.JSONL), bench.store)
    wanted = bench.estimate()
    plain = mined(bench, MiningParameters())
    assert find_estimate(plain, bench.store) == wanted
    for use in DocumentUse:
        bitext = mined(bench, MiningParameters(documents=DocumentRule(use=use)))
        assert bitext.artifact.manifest["inputs"]["neighbors"] == plain.artifact.manifest["inputs"]["neighbors"]
        assert find_estimate(bitext, bench.store) is None
        settings = FilterSettings.parse("default")
        assert settings is not None
        assert find_estimate(filter_bitext(bitext, settings, bench.store), bench.store) is None


def test_points_are_those_at_or_below(bench: Bench) -> None:
    estimate = bench.estimate()
    first, second = estimate.points[:2]
    assert point_at(estimate, first.threshold) == first
    assert point_at(estimate, (first.threshold + second.threshold) / 2) == first
    assert point_at(estimate, second.threshold) == second
    assert point_at(estimate, first.threshold - 0.001) is None
    assert point_at(estimate, 1e6) == estimate.points[-1]
