"""A searchable corpus: scanned or searched by its index, among all rows or some."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bitextmine.encoders import Encoder, open_encoder
from bitextmine.errors import ConflictError, MismatchError, ParameterError
from bitextmine.online import searchable
from bitextmine.online.filters import Filter
from bitextmine.online.search_index import KIND, build_search_index, find_search_index, online_spec
from bitextmine.online.searchable import SearchableCorpus, open_searchable
from bitextmine.search.index_spec import CodeKind
from bitextmine.search.neighbors import MISSING, Neighbors
from tests.online_place import Place, sentences

ROWS = 3_000
MEMORY = 1 << 30


@pytest.fixture(scope="module")
def tiny(encoders: Path) -> Encoder:
    return open_encoder("tiny", encoders)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny: Encoder) -> Place:
    place = Place(tmp_path_factory.mktemp("place"), tiny)
    texts = sentences("house", ROWS)
    place.add("en", "eng_Latn", [{"text": text, "doc_id": f"doc-{n % 50}"} for n, text in enumerate(texts)])
    return place


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Corpora of more than 100 sentences are large."""
    monkeypatch.setattr(searchable, "SCANNED_ROWS", 100)


@pytest.fixture
def indexed(place: Place, few: None) -> SearchableCorpus:
    build_search_index(place.embed("en"), place.store, memory_bytes=MEMORY)
    return place.searchable("en")


def queries(place: Place, count: int = 20) -> NDArray[np.float32]:
    return place.encoder.encode(sentences("Haus", 200)[:count])


def assert_same(one: Neighbors, other: Neighbors) -> None:
    assert np.array_equal(one.ids, other.ids)
    assert np.array_equal(one.sims, other.sims)


def test_a_small_corpus_needs_no_index(place: Place) -> None:
    corpus = place.searchable("en")
    assert corpus.index is None
    assert corpus.scanned
    assert_same(corpus.nearest(queries(place), 5), corpus.nearest(queries(place), 5, exact=True))


@pytest.mark.usefixtures("few")
def test_a_large_one_without_an_index_is_searched_exactly_or_not_at_all(tmp_path: Path, tiny: Encoder) -> None:
    place = Place(tmp_path, tiny)
    place.add("en", "eng_Latn", sentences("house", 150))
    corpus = place.searchable("en")
    with pytest.raises(ConflictError, match="no index") as error:
        corpus.nearest(queries(place), 5)
    assert error.value.code == "corpus-not-indexed"
    assert corpus.nearest(queries(place), 5, exact=True).found.all()
    assert corpus.nearest(queries(place), 5, rows=np.arange(100)).found.all()


def test_an_index_finds_nearly_all_with_exact_cosines(indexed: SearchableCorpus, place: Place) -> None:
    wanted = queries(place, 100)
    exact, found = indexed.nearest(wanted, 10, exact=True), indexed.nearest(wanted, 10)
    shared = [np.isin(one, other).mean() for one, other in zip(found.ids, exact.ids, strict=True)]
    assert np.mean(shared) > 0.95
    for one, other in zip(found.ids.tolist(), exact.ids.tolist(), strict=True):
        assert one[0] == other[0]
    same = found.ids == exact.ids
    assert np.array_equal(found.sims[same], exact.sims[same])


def test_probes_decide_what_is_found_and_too_many_mean_all(indexed: SearchableCorpus, place: Place) -> None:
    wanted = queries(place, 100)
    exact = indexed.nearest(wanted, 10, exact=True).ids
    recall = [np.mean(indexed.nearest(wanted, 10, probes=probes).ids == exact) for probes in (1, 1000)]
    assert recall[0] < recall[1]
    assert_same(indexed.nearest(wanted, 10, probes=1000), indexed.nearest(wanted, 10, probes=indexed.index.spec.nlist))
    with pytest.raises(ParameterError, match="probes is 0"):
        indexed.nearest(wanted, 10, probes=0)


@pytest.mark.parametrize("share", [0.04, 0.1, 0.5, 0.97])
def test_never_fewer_are_found_than_pass(indexed: SearchableCorpus, place: Place, share: float) -> None:
    rows = np.flatnonzero(np.random.default_rng(1).random(ROWS) < share)
    for k in (1, 10, len(rows) + 3):
        found = indexed.nearest(queries(place), k, rows=rows)
        count = min(k, len(rows))
        assert found.found[:, :count].all()
        assert not found.found[:, count:].any()
        assert np.isin(found.ids[:, :count], rows).all()
    exact = indexed.nearest(queries(place), 10, rows=rows, exact=True)
    assert np.mean(indexed.nearest(queries(place), 10, rows=rows).ids == exact.ids) > 0.9


@pytest.mark.usefixtures("few")
def test_rows_far_from_the_query_are_found_though_no_candidate_is_among_them(
    indexed: SearchableCorpus, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searchable, "_MOST_CANDIDATES", 300)
    query = queries(place, 1)
    farthest = np.sort(indexed.nearest(query, ROWS, exact=True).ids[0, -200:])
    found = indexed.nearest(query, 7, rows=farthest)
    assert_same(found, indexed.nearest(query, 7, rows=farthest, exact=True))
    assert found.found.all()


def test_no_rows_are_no_hits(place: Place, indexed: SearchableCorpus) -> None:
    found = indexed.nearest(queries(place), 3, rows=np.empty(0, np.int64))
    assert (found.ids == MISSING).all()


def test_a_sentence_of_the_corpus_finds_itself_with_a_cosine_of_one(place: Place) -> None:
    corpus = place.searchable("en")
    rows = np.array([0, 17, ROWS - 1])
    found = corpus.nearest(corpus.vectors(rows), 1)
    assert found.ids[:, 0].tolist() == rows.tolist()
    np.testing.assert_allclose(found.sims, 1, atol=1e-6)


@pytest.mark.parametrize(
    ("vectors", "k", "expected"),
    [
        (np.ones((1, 31), np.float32), 1, MismatchError),
        (np.ones((1, 33), np.float16), 1, MismatchError),
        (np.full((1, 32), np.nan, np.float32), 1, MismatchError),
        (np.ones(32, np.float32), 1, MismatchError),
        (np.ones((1, 32), np.float32), 0, ParameterError),
    ],
)
def test_rubbish_is_refused(place: Place, vectors: NDArray[np.floating], k: int, expected: type[Exception]) -> None:
    with pytest.raises(expected):
        place.searchable("en").nearest(vectors, k)


def test_without_vectors_there_is_nothing_to_search(tmp_path: Path, tiny: Encoder) -> None:
    place = Place(tmp_path, tiny)
    corpus = place.add("en", "eng_Latn", sentences("house", 40), embedded=False)
    with pytest.raises(ConflictError, match="no vectors by tiny") as error:
        open_searchable("en", corpus, tiny, place.store)
    assert error.value.code == "corpus-not-embedded"
    embeddings = place.embed("en")
    place.store.delete("embeddings", embeddings.artifacts[1].digest)  # some of them are not enough
    with pytest.raises(ConflictError):
        open_searchable("en", corpus, tiny, place.store)


def test_vectors_of_another_corpus_are_refused(place: Place, tmp_path: Path, tiny: Encoder) -> None:
    other = Place(tmp_path, tiny)
    corpus = other.add("en", "eng_Latn", sentences("house", 40))
    with pytest.raises(MismatchError, match="do not belong"):
        SearchableCorpus(corpus, place.embed("en"))


@pytest.mark.usefixtures("few")
def test_an_index_is_made_once_and_found_by_the_vectors_alone(tmp_path: Path, tiny: Encoder) -> None:
    place = Place(tmp_path, tiny)
    place.add("en", "eng_Latn", sentences("house", 600))
    vectors = place.embed("en")
    assert find_search_index(vectors, place.store) is None
    made = build_search_index(vectors, place.store, memory_bytes=MEMORY)
    again = build_search_index(vectors, place.store, memory_bytes=MEMORY // 2)
    found = find_search_index(vectors, place.store)
    assert found is not None
    assert made.digest == again.digest == found.digest
    assert found.spec == made.spec
    assert place.searchable("en").index is not None


@pytest.mark.usefixtures("few")
def test_an_index_that_has_lost_a_part_is_not_used_and_made_again(
    tmp_path: Path, tiny: Encoder, caplog: pytest.LogCaptureFixture
) -> None:
    place = Place(tmp_path, tiny)
    place.add("en", "eng_Latn", sentences("house", 600))
    vectors = place.embed("en")
    made = build_search_index(vectors, place.store, memory_bytes=MEMORY)
    place.store.delete("index", made.shards[0].digest)
    with caplog.at_level(logging.WARNING):
        assert find_search_index(vectors, place.store) is None
    assert "cannot be used" in caplog.text
    assert build_search_index(vectors, place.store, memory_bytes=MEMORY).digest == made.digest
    (damaged,) = place.store.list(KIND)
    (damaged.path / "index.json").write_text("[]")
    assert find_search_index(vectors, place.store) is None
    assert build_search_index(vectors, place.store, memory_bytes=MEMORY).digest == made.digest
    assert find_search_index(vectors, place.store) is not None


def test_large_indexes_are_mapped_and_small_ones_loaded() -> None:
    assert online_spec(1_000_000, 512, 64 << 30).kind is CodeKind.PQ_FASTSCAN
    huge = online_spec(100_000_000, 512, 64 << 30)
    assert (huge.kind, huge.nlist) == (CodeKind.RABITQ, 16_384)


def test_the_last_filters_are_kept(place: Place) -> None:
    corpus = place.searchable("en")
    wanted = Filter.of(["doc-3"])
    rows = corpus.rows_where(wanted)
    assert rows is not None
    assert rows.tolist() == list(range(3, ROWS, 50))
    assert corpus.rows_where(Filter.of(["doc-3"])) is rows
    for number in range(20):
        corpus.rows_where(Filter.of([f"doc-{number}"]))
    assert corpus.rows_where(wanted) is not rows
    assert corpus.rows_where(Filter()) is None
