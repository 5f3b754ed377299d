"""The searchable corpora that are kept open, and how changes on the disk are noticed."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bitextmine.encoders import Encoder, open_encoder
from bitextmine.errors import ArtifactError, ConflictError, ParameterError
from bitextmine.online import opened as opened_module
from bitextmine.online import searchable, watched
from bitextmine.online.holdings import Holdings
from bitextmine.online.opened import OpenCorpora
from bitextmine.online.search_index import build_search_index
from bitextmine.online.searchable import SearchableCorpus
from bitextmine.online.watched import Watched
from tests.online_place import Place, sentences


@pytest.fixture(scope="module")
def tiny(encoders: Path) -> Encoder:
    return open_encoder("tiny", encoders)


@pytest.fixture
def place(tmp_path: Path, tiny: Encoder) -> Place:
    place = Place(tmp_path / "place", tiny)
    for name, word in (("a", "house"), ("b", "lake"), ("c", "map")):
        place.add(name, "eng_Latn", sentences(word, 30))
    return place


def get(corpora: OpenCorpora, place: Place, name: str) -> SearchableCorpus:
    return corpora.get(name, place.catalog.open(name), place.encoder, place.store)


def test_the_one_not_used_for_longest_is_let_go(place: Place) -> None:
    corpora = OpenCorpora(most=2, max_bytes=1 << 30)
    first, second = get(corpora, place, "a"), get(corpora, place, "b")
    assert get(corpora, place, "a") is first
    get(corpora, place, "c")
    assert len(corpora) == 2
    assert get(corpora, place, "a") is first
    assert get(corpora, place, "b") is not second
    assert second.nearest(second.vectors(np.arange(3)), 1).found.all()  # whoever still has it goes on


def test_indexes_are_bounded_by_bytes_and_one_always_stays(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searchable, "SCANNED_ROWS", 10)
    for name in ("a", "b", "c"):
        build_search_index(place.embed(name), place.store, memory_bytes=1 << 30)
    monkeypatch.setattr(searchable, "_loaded_bytes", lambda index: 100)
    two = OpenCorpora(most=10, max_bytes=200)
    for name in ("a", "b", "c"):
        assert get(two, place, name).index is not None
    assert len(two) == 2
    none = OpenCorpora(most=10, max_bytes=1)
    for name in ("a", "b"):
        get(none, place, name)
    assert len(none) == 1


@pytest.mark.parametrize(("most", "max_bytes"), [(0, 1), (1, 0)])
def test_a_bound_below_one_is_refused(most: int, max_bytes: int) -> None:
    with pytest.raises(ParameterError):
        OpenCorpora(most=most, max_bytes=max_bytes)


def test_many_threads_open_a_corpus_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    openings: list[str] = []
    real = opened_module.open_searchable

    def slow(name: str, *rest: object, **options: object) -> SearchableCorpus:
        openings.append(name)
        time.sleep(0.05)
        return real(name, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(opened_module, "open_searchable", slow)
    corpora = OpenCorpora(most=4, max_bytes=1 << 30)
    start = threading.Barrier(8)

    def ask(_: int) -> SearchableCorpus:
        start.wait()
        return get(corpora, place, "a")

    with ThreadPoolExecutor(8) as pool:
        found = set(map(id, pool.map(ask, range(8))))
    assert len(found) == 1
    assert openings == ["a"]


def test_an_index_that_came_later_is_used(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searchable, "SCANNED_ROWS", 10)
    corpora = OpenCorpora(most=4, max_bytes=1 << 30)
    assert get(corpora, place, "a").index is None
    build_search_index(place.embed("a"), place.store, memory_bytes=1 << 30)
    indexed = get(corpora, place, "a")
    assert indexed.index is not None
    assert get(corpora, place, "a") is indexed


def test_what_is_deleted_is_let_go(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened_module, "_LOOK_AGAIN_SECONDS", 0.0)
    corpora = OpenCorpora(most=4, max_bytes=1 << 30)
    for name in ("a", "b"):
        get(corpora, place, name)
    corpus = place.catalog.open("a")
    place.catalog.delete("a")
    get(corpora, place, "b")
    assert len(corpora) == 1
    with pytest.raises(ConflictError):
        corpora.get("a", corpus, place.encoder, place.store)


def test_vectors_that_are_deleted_are_no_longer_searched(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened_module, "_LOOK_AGAIN_SECONDS", 0.0)
    corpora = OpenCorpora(most=4, max_bytes=1 << 30)
    for artifact in get(corpora, place, "a").embeddings.artifacts:
        place.store.delete("embeddings", artifact.digest)
    with pytest.raises(ConflictError) as error:
        get(corpora, place, "a")
    assert error.value.code == "corpus-not-embedded"


def test_an_index_that_is_deleted_meanwhile_is_missed_and_not_damaged(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searchable, "SCANNED_ROWS", 10)
    built = build_search_index(place.embed("a"), place.store, memory_bytes=1 << 30)
    corpora = OpenCorpora(most=4, max_bytes=1 << 30)
    corpus = get(corpora, place, "a")
    query = corpus.vectors(np.arange(2))
    place.store.delete("index", built.shards[0].digest)
    with pytest.raises(ConflictError, match="deleted") as error:
        corpus.nearest(query, 1)
    assert error.value.code == "corpus-not-indexed"
    assert corpus.nearest(query, 1, exact=True).ids[:, 0].tolist() == [0, 1]
    get(corpora, place, "b")  # which looks at what is loaded
    monkeypatch.setattr(opened_module, "_LOOK_AGAIN_SECONDS", 0.0)
    assert get(corpora, place, "a").index is None
    build_search_index(place.embed("a"), place.store, memory_bytes=1 << 30)
    assert get(corpora, place, "a").nearest(query, 1).found.all()
    damaged = place.store.list("index")[-1].path / "index.faiss"
    damaged.write_bytes(b"x" * damaged.stat().st_size)
    fresh = OpenCorpora(most=4, max_bytes=1 << 30)
    with pytest.raises(ArtifactError, match="not readable"):
        get(fresh, place, "a").nearest(query, 1)


def test_two_workspaces_share_nothing_though_their_corpora_are_the_same(tmp_path: Path, tiny: Encoder) -> None:
    corpora = OpenCorpora(most=4, max_bytes=1 << 30)
    places = [Place(tmp_path / name, tiny) for name in ("one", "two")]
    for place in places:
        place.add("a", "eng_Latn", sentences("house", 30))
    one, two = (get(corpora, place, "a") for place in places)
    assert one.corpus.digest == two.corpus.digest
    assert one is not two


def test_a_directory_is_read_again_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []

    def load() -> list[str]:
        reads.append(1)
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    folder = tmp_path / "names"
    seen = Watched(folder, load)
    assert seen.get() == []
    folder.mkdir()
    assert seen.get() == []
    for name in "abc":
        (folder / name).touch()
        assert seen.get() == sorted(name for name in "abc" if (folder / name).exists())
    long_ago = time.time_ns() - 10 * watched._SETTLED_NS
    os.utime(folder, ns=(long_ago, long_ago))
    assert seen.get() == ["a", "b", "c"]
    count = len(reads)
    for _ in range(5):
        seen.get()
    assert len(reads) == count  # it has settled
    (folder / "d").touch()
    assert seen.get()[-1] == "d"


def test_two_changes_within_one_tick_are_both_seen(tmp_path: Path) -> None:
    seen = Watched(tmp_path, lambda: sorted(path.name for path in tmp_path.iterdir()))
    now = time.time_ns()
    for name in "ab":
        (tmp_path / name).touch()
        os.utime(tmp_path, ns=(now, now))  # as a file system with coarse time stamps would have it
        assert seen.get()[-1] == name


def test_names_and_mined_pairs_are_noticed(tmp_path: Path, tiny: Encoder) -> None:
    place = Place(tmp_path / "place", tiny)
    holdings = Holdings(place.workspace)
    assert holdings.of_language("deu_Latn") == []
    de, en = place.add("de", "deu_Latn", sentences("Haus", 20)), place.add("en", "eng_Latn", sentences("house", 20))
    assert [entry.name for entry in holdings.of_language("deu_Latn")] == ["de"]
    digests = [holdings.vectors_digest(holdings.entry(name), tiny.signature) for name in ("de", "en")]
    assert digests == [place.embed(name).digest for name in ("de", "en")]
    assert holdings.mined(*digests, 4) is None
    place.mine("de", "en", k=4)
    pair = holdings.mined(*digests, 4)
    assert pair is not None
    assert pair == holdings.mined(digests[1], digests[0], 3)
    assert holdings.mined(*digests, 5) is None
    assert (len(de), len(en)) == (20, 20)
    (pair.artifact.path / "manifest.json").write_text("{}")  # damaged: passed over, and no reason to fail
    assert Holdings(place.workspace).mined(*digests, 4) is None
    place.store.delete("neighbors", pair.artifact.digest)
    assert holdings.mined(*digests, 4) is None
    place.catalog.delete("de")
    assert holdings.of_language("deu_Latn") == []
