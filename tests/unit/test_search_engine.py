"""The engine: which corpora and backgrounds it takes, what it refuses, and what it keeps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitextmine.encoders import Encoder, open_encoder
from bitextmine.errors import BitextmineError
from bitextmine.margin import Margin
from bitextmine.online import budget, engine, searchable
from bitextmine.online.budget import Budget
from bitextmine.online.engine import SearchEngine
from bitextmine.online.filters import Filter
from bitextmine.online.means import HitMeans
from bitextmine.online.request import SearchRequest
from bitextmine.search.method import Method
from tests.online_place import Place, sentences

TEXT = "Haus 3 station 10 museum 9"


@pytest.fixture(scope="module")
def tiny(encoders: Path) -> Encoder:
    return open_encoder("tiny", encoders)


@pytest.fixture
def place(tmp_path: Path, tiny: Encoder) -> Place:
    place = Place(tmp_path, tiny)
    place.add("de-few", "deu_Latn", sentences("Haus", 20))
    place.add("de-many", "deu_Latn", sentences("Haus", 60))
    place.add("de-raw", "deu_Latn", sentences("See", 90), embedded=False)
    place.add("en", "eng_Latn", sentences("house", 50))
    return place


def background(place: Place, **wanted: Any) -> tuple[str | None, bool]:
    answer = place.search(SearchEngine(), [TEXT], **{"corpora": ["en"], "lang": "deu_Latn", **wanted})
    (searched,) = answer.searched
    return searched.background, searched.background_mined


def refused(place: Place, **wanted: Any) -> str:
    with pytest.raises(BitextmineError) as error:
        place.search(SearchEngine(), [TEXT], **wanted)
    return error.value.code


def test_the_background_is_the_largest_corpus_that_is_ready_unless_one_was_mined(place: Place) -> None:
    assert background(place) == ("de-many", False)
    place.mine("de-few", "en", k=4)
    assert background(place) == ("de-few", True)
    assert background(place, neighborhood=5) == ("de-many", False)
    assert background(place, background="de-many") == ("de-many", False)
    assert background(place, lang="fra_Latn") == (None, False)
    assert background(place, lang=None) == (None, False)


def test_neighbors_found_exactly_go_before_approximate_ones(place: Place) -> None:
    place.mine("de-many", "en", k=4, method=Method.IVF)
    assert background(place) == ("de-many", True)
    assert background(place, exact=True) == ("de-many", False)  # asked for exactly, and not stored so
    place.mine("de-few", "en", k=4, method=Method.EXACT)
    assert background(place) == ("de-few", True)
    assert background(place, exact=True) == ("de-few", True)


def test_a_corpus_is_never_its_own_background(place: Place) -> None:
    answer = place.search(SearchEngine(), [TEXT], corpora=["de-many"], lang="deu_Latn")
    assert answer.searched[0].background == "de-few"
    place.catalog.add("same", place.catalog.open("en"))
    assert place.search(SearchEngine(), ["house"], corpora=["en"], lang="eng_Latn").searched[0].background is None
    assert refused(place, corpora=["en"], background="same") == "same-corpus"


def test_with_stored_neighbors_the_background_needs_no_vectors(place: Place) -> None:
    place.mine("de-many", "en", k=4)
    for artifact in place.embed("de-many").artifacts:
        place.store.delete("embeddings", artifact.digest)
    assert background(place) == ("de-many", True)
    assert background(place, background="de-many") == ("de-many", True)


def test_stored_neighbors_that_vanish_meanwhile_leave_no_margin(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.mine("de-many", "en", k=4)
    asked = SearchEngine()
    assert all(hit.margin for hit in place.search(asked, [TEXT], corpora=["en"], lang="deu_Latn").hits[0])
    (artifact,) = place.store.list("neighbors")
    pair = asked.holdings(place.workspace).mined(place.embed("de-many").digest, place.embed("en").digest, 4)
    monkeypatch.setattr(engine.Holdings, "mined", lambda *_, **__: pair)
    place.store.delete("neighbors", artifact.digest)
    hits = place.search(asked, [TEXT], corpora=["en"], lang="deu_Latn").hits[0]
    assert len(hits) == 10
    assert {hit.margin for hit in hits} == {None}


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"corpora": ["none"]}, "corpus-not-found"),
        ({"corpora": ["../en"]}, "invalid-name"),
        ({"corpora": ["en", "de-raw"]}, "corpus-not-embedded"),
        ({"langs": ["fra_Latn"]}, "corpus-not-found"),
        ({"corpora": ["en"], "background": "none"}, "corpus-not-found"),
        ({"corpora": ["en"], "background": "de-raw"}, "corpus-not-embedded"),
        ({"corpora": ["en"], "background": "en"}, "same-corpus"),
        ({"corpora": ["en"], "background": "de-few", "lang": "fra_Latn"}, "background-language"),
        ({"corpora": ["en"], "min_margin": 1.0}, "background-needed"),
        ({"corpora": ["en"], "lang": "swh_Latn"}, "language-not-covered"),
        ({"corpora": []}, "invalid-parameter"),
        ({"corpora": ["en"], "k": 0}, "invalid-k"),
        ({"corpora": ["en"], "neighborhood": 0}, "invalid-k"),
        ({"corpora": ["en"], "probes": -1}, "invalid-parameter"),
    ],
)
def test_what_cannot_be_searched_is_refused(place: Place, wanted: dict[str, Any], code: str) -> None:
    assert refused(place, **wanted) == code


@pytest.mark.parametrize("vectors", [np.ones((1, 31)), np.full((1, 32), np.inf), np.ones(32), np.ones((1, 32), int)])
def test_vectors_that_are_none_are_refused(place: Place, vectors: Any) -> None:
    with pytest.raises(BitextmineError) as error:
        place.search_vectors(SearchEngine(), vectors, corpora=["en"])
    assert error.value.code == "vectors-mismatch"


def test_no_queries_are_no_hits(place: Place) -> None:
    assert place.search_vectors(SearchEngine(), np.empty((0, 32), np.float32), corpora=["en"]).hits == []


def test_of_languages_what_is_not_ready_is_left_out(place: Place) -> None:
    answer = place.search(SearchEngine(), [TEXT], langs=["deu_Latn", "eng_Latn"])
    assert [each.name for each in answer.searched] == ["de-few", "de-many", "en"]
    assert answer.skipped == [("de-raw", "corpus-not-embedded")]
    named = place.search(SearchEngine(), [TEXT], langs=["deu_Latn"], background="de-many", lang="deu_Latn")
    assert ("de-many", "same-corpus") in named.skipped


def test_corpora_of_languages_are_bounded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MOST_CORPORA", 2)
    assert refused(place, langs=["deu_Latn"]) == "too-many-corpora"


def test_a_large_corpus_without_an_index_is_refused_and_no_background(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searchable, "SCANNED_ROWS", 55)
    assert refused(place, corpora=["de-many"]) == "corpus-not-indexed"
    assert refused(place, corpora=["en"], background="de-many") == "corpus-not-indexed"
    assert background(place) == ("de-few", False)
    assert background(place, exact=True) == ("de-many", False)
    skipped = place.search(SearchEngine(), [TEXT], langs=["deu_Latn"]).skipped
    assert ("de-many", "corpus-not-indexed") in skipped


def test_the_order_is_by_margin_only_where_all_have_one(place: Place) -> None:
    place.add("fr", "fra_Latn", sentences("gare", 30))
    both = place.search(SearchEngine(), [TEXT], corpora=["en", "fr"], lang="deu_Latn", k=20)
    margins = [hit.margin for hit in both.hits[0]]
    assert both.by_margin
    assert margins == sorted(margins, reverse=True)
    assert {hit.corpus for hit in both.hits[0]} == {"en", "fr"}
    mixed = place.search(SearchEngine(), [TEXT], corpora=["en", "fr"], lang="fra_Latn", k=20)
    assert not mixed.by_margin  # nothing but fr is French
    assert [hit.cosine for hit in mixed.hits[0]] == sorted((hit.cosine for hit in mixed.hits[0]), reverse=True)
    assert {hit.margin is None for hit in mixed.hits[0] if hit.corpus == "fr"} == {True}
    absolute = place.search(SearchEngine(), [TEXT], corpora=["en", "fr"], k=20, margin=Margin.ABSOLUTE)
    assert all(hit.margin == hit.cosine for hit in absolute.hits[0])


def test_a_request_may_compare_so_much_and_no_more(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "Budget", lambda: Budget(2 * 50 + 9))
    vectors = place.encoder.encode([TEXT] * 3)
    place.search_vectors(SearchEngine(), vectors[:2], corpora=["en"])
    for wanted in ({"vectors": vectors}, {"vectors": vectors[:2], "lang": "deu_Latn"}):
        given = wanted.pop("vectors")
        with pytest.raises(BitextmineError, match="one by one") as error:
            place.search_vectors(SearchEngine(), given, corpora=["en"], **wanted)
        assert error.value.code == "search-too-large"
    place.search_vectors(SearchEngine(), vectors[:1], corpora=["en"], filter=Filter.of(["x"]))
    assert budget.MOST_COMPARED >= 64 * searchable.SCANNED_ROWS * 100  # any search of small corpora is possible


def test_means_are_computed_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = SearchEngine()
    first = place.search(asked, [TEXT], corpora=["en"], lang="deu_Latn")
    spent: list[int] = []
    real = Budget.spend

    def counted(self: Budget, corpus: Any, queries: int, **rest: Any) -> None:
        spent.append(queries)
        real(self, corpus, queries, **rest)

    monkeypatch.setattr(Budget, "spend", counted)
    assert place.search(asked, [TEXT], corpora=["en"], lang="deu_Latn") == first
    assert spent == [1]  # the query's own search


def test_the_means_kept_are_bounded(place: Place) -> None:
    kept = HitMeans(most=7)
    corpus, other = place.searchable("en"), place.searchable("de-many")
    where = engine.Backgrounds(
        SearchEngine().holdings(place.workspace),
        engine.OpenCorpora(most=2, max_bytes=1),
        place.encoder,
        SearchRequest(corpora=["en"], background="de-many"),
    ).of(corpus)
    assert where is not None
    rows = np.arange(20)
    means = kept.of(rows, corpus, where, 4, exact=False, budget=Budget())
    expected = other.nearest(corpus.vectors(rows), 4).sims.mean(axis=1)
    np.testing.assert_allclose(means, expected, atol=1e-6)
    assert len(kept._known) == 7
    np.testing.assert_allclose(kept.of(rows[::-1], corpus, where, 4, exact=False, budget=Budget()), expected[::-1])


def test_a_corpus_that_is_deleted_in_the_middle_of_a_search_is_not_found(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = engine.search_target

    def late(*arguments: Any) -> Any:
        found = real(*arguments)
        place.catalog.delete("en")
        return found

    monkeypatch.setattr(engine, "search_target", late)
    with pytest.raises(BitextmineError, match="deleted while") as error:
        place.search(SearchEngine(), [TEXT], corpora=["en"])
    assert error.value.code == "corpus-not-found"


def test_threads_get_what_one_gets(place: Place) -> None:
    texts = sentences("Haus", 30)
    asked = SearchEngine(most_corpora=1)
    alone = [place.search(asked, [text], corpora=["en"], lang="deu_Latn") for text in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda text: place.search(asked, [text], corpora=["en"], lang="deu_Latn"), texts * 3))
    assert together == alone * 3


def test_hits_stand_for_no_more_than_there_is(place: Place) -> None:
    hits = place.search(SearchEngine(), [TEXT], corpora=["en"], lang="deu_Latn", k=100, neighborhood=64).hits[0]
    assert len(hits) == 50
    assert sorted(hit.row for hit in hits) == list(range(50))
