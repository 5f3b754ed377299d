"""A margin online is the one that a mining job gives the same pair."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitextmine.bitext import Bitext
from bitextmine.encoders import Encoder, open_encoder
from bitextmine.margin import Margin, Retrieval
from bitextmine.online.engine import SearchEngine
from bitextmine.online.request import Hit, SearchAnswer
from bitextmine.search.method import Method
from bitextmine.workspace import default_encoders_dir
from tests.online_place import Place, sentences

DEMO = Path(__file__).parents[2] / "demo"
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def tiny(encoders: Path) -> Encoder:
    return open_encoder("tiny", encoders)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny: Encoder) -> Place:
    place = Place(tmp_path_factory.mktemp("place"), tiny)
    rng = np.random.default_rng(5)
    words = ["museum", "lake", "map", "station", "weather", "book", "city", "plan", "See", "Karte", "Bahnhof", "lac"]
    src = [" ".join(rng.choice(words, 6)) for _ in range(90)]
    place.add("de", "deu_Latn", [*src, *sentences("Haus", 40)])
    place.add("en", "eng_Latn", [*(f"{text} !" for text in src[20:]), *sentences("house", 60)])
    return place


def online(place: Place, **request: Any) -> tuple[dict[tuple[int, int], Hit], SearchAnswer]:
    """Every sentence of `de` searched in `en`: hits by (row in de, row in en)."""
    corpus = place.catalog.open("de")
    texts = [text for shard in corpus.shards for text in corpus.shard_texts(shard)]
    answers = [place.search(SearchEngine(), texts[at : at + 64], **request) for at in range(0, len(texts), 64)]
    hits = [hits for answer in answers for hits in answer.hits]
    return {(row, hit.row): hit for row, found in enumerate(hits) for hit in found}, answers[0]


def assert_same_margins(bitext: Bitext, found: dict[tuple[int, int], Hit], *, means: bool) -> None:
    pairs = bitext.table().to_pylist()
    assert len(pairs) > 20
    compared = 0
    for pair in pairs:
        if (hit := found.get((pair["src_row"], pair["tgt_row"]))) is None:
            assert not pair["src_rank"]  # the target is not among the nearest of the source: found the other way only
            continue
        compared += 1
        assert hit.cosine == pytest.approx(pair["cosine"], abs=TOLERANCE)
        assert hit.margin == pytest.approx(pair["margin"], abs=TOLERANCE)
        if means:
            assert hit.query_mean == pytest.approx(pair["src_mean"], abs=TOLERANCE)
            assert hit.hit_mean == pytest.approx(pair["tgt_mean"], abs=TOLERANCE)
        assert hit.sentence.text == pair["tgt"]
    assert compared > 0.7 * len(pairs)


@pytest.mark.parametrize("margin", Margin)
@pytest.mark.parametrize("k", [1, 4])
def test_margins_are_those_that_a_job_stored(place: Place, margin: Margin, k: int) -> None:
    bitext = place.mine("de", "en", k=k, margin=margin, retrieval=Retrieval.FORWARD)
    found, answer = online(place, corpora=["en"], lang="deu_Latn", k=k + 5, neighborhood=k, margin=margin)
    assert_same_margins(bitext, found, means=margin is not Margin.ABSOLUTE)
    if margin is not Margin.ABSOLUTE:
        assert (answer.searched[0].background, answer.searched[0].background_mined) == ("de", True)


@pytest.mark.parametrize("margin", [Margin.RATIO, Margin.DISTANCE])
@pytest.mark.parametrize("exact", [False, True])
def test_margins_computed_on_the_spot_are_a_jobs(
    tmp_path: Path, tiny: Encoder, place: Place, margin: Margin, exact: bool
) -> None:
    bitext = place.mine("de", "en", k=3, margin=margin, retrieval=Retrieval.MAX_SCORE)
    apart = Place(tmp_path, tiny)  # where nothing was mined
    for name in ("de", "en"):
        corpus = place.catalog.open(name)
        apart.add(name, corpus.lang, [text for shard in corpus.shards for text in corpus.shard_texts(shard)])
    found, answer = online(apart, corpora=["en"], lang="deu_Latn", k=3, neighborhood=3, margin=margin, exact=exact)
    assert (answer.searched[0].background, answer.searched[0].background_mined) == ("de", False)
    assert_same_margins(bitext, found, means=True)


def test_the_other_direction_is_the_same_pair(place: Place) -> None:
    place.mine("de", "en", k=4)
    backward = place.mine("en", "de", k=4, method=Method.EXACT, retrieval=Retrieval.FORWARD)
    found, answer = online(place, corpora=["en"], lang="deu_Latn", k=4)
    assert answer.searched[0].background_mined
    by_pair = {(pair["tgt_row"], pair["src_row"]): pair for pair in backward.table().to_pylist()}
    shared = by_pair.keys() & found.keys()
    assert len(shared) > 50
    for pair in shared:
        assert found[pair].margin == pytest.approx(by_pair[pair]["margin"], abs=TOLERANCE)


def test_neighbors_of_a_larger_neighborhood_serve_a_smaller_one_and_not_the_reverse(
    tmp_path: Path, tiny: Encoder
) -> None:
    place = Place(tmp_path, tiny)
    place.add("de", "deu_Latn", sentences("Haus", 60))
    place.add("en", "eng_Latn", sentences("house", 60))
    place.mine("de", "en", k=6)
    smaller, answer = online(place, corpora=["en"], lang="deu_Latn", k=2, neighborhood=2)
    assert answer.searched[0].background_mined
    _, larger = online(place, corpora=["en"], lang="deu_Latn", k=2, neighborhood=7)
    assert not larger.searched[0].background_mined
    job = place.mine("de", "en", k=2, retrieval=Retrieval.FORWARD)
    assert_same_margins(job, smaller, means=True)


@pytest.mark.encoder
@pytest.mark.parametrize("margin", [Margin.RATIO, Margin.DISTANCE])
@pytest.mark.parametrize("mined_first", [False, True])
def test_so_they_are_with_a_real_encoder(tmp_path: Path, margin: Margin, mined_first: bool) -> None:
    place = Place(tmp_path, open_encoder("muse", default_encoders_dir()))
    for name, file, lang in (("de", "deu", "deu_Latn"), ("en", "eng", "eng_Latn")):
        place.add(name, lang, [json.loads(line) for line in (DEMO / f"{file}.jsonl").read_text().splitlines()])
    request: dict[str, Any] = {"corpora": ["en"], "lang": "deu_Latn", "k": 4, "margin": margin, "exact": True}
    if mined_first:
        bitext = place.mine("de", "en", margin=margin)
        found, answer = online(place, **request)
    else:
        found, answer = online(place, **request)
        bitext = place.mine("de", "en", margin=margin)
    assert answer.searched[0].background_mined == mined_first
    assert_same_margins(bitext, found, means=True)
