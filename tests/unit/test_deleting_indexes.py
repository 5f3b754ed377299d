"""What searches keep of a corpus's vectors goes with the corpus, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitextmine.artifacts import ArtifactKey
from bitextmine.embeddings import INDEX_KINDS, delete_indexes, digests_of_vectors, embeddings_digest
from bitextmine.encoders import Encoder, open_encoder
from bitextmine.online.search_index import KIND, build_search_index, find_search_index
from bitextmine.search import index_shards, ivfpq
from tests.online_place import SHARD_ROWS, Place, sentences

MEMORY = 1 << 30


@pytest.fixture(scope="module")
def tiny(encoders: Path) -> Encoder:
    return open_encoder("tiny", encoders)


@pytest.fixture
def place(tmp_path: Path, tiny: Encoder) -> Place:
    """A corpus, one that begins with the same shard, and one of the same sentences by another name and file."""
    place = Place(tmp_path, tiny)
    texts = sentences("house", 3 * SHARD_ROWS)
    for name, part in (("whole", texts), ("part", texts[:SHARD_ROWS]), ("twin", texts)):
        place.add(name, "eng_Latn" if name != "twin" else "deu_Latn", part)
        if name != "twin":
            build_search_index(place.embed(name), place.store, memory_bytes=MEMORY)
    return place


def kept(place: Place) -> dict[str, int]:
    return {kind: len(place.store.list(kind)) for kind in INDEX_KINDS[:3]}


def test_the_kinds_are_those_that_searches_make() -> None:
    assert set(INDEX_KINDS) == {KIND, index_shards.KIND, index_shards.TRAINING_KIND, ivfpq.CANDIDATES_KIND}
    assert INDEX_KINDS[0] == KIND  # it names the others, so it goes first


def test_an_index_goes_with_its_corpus(place: Place) -> None:
    assert kept(place) == {"search-index": 2, "index": 2, "index-training": 2}
    place.catalog.delete("part")
    assert kept(place) == {"search-index": 1, "index": 1, "index-training": 1}
    assert find_search_index(place.embed("whole"), place.store) is not None


def test_it_stays_while_the_same_sentences_have_another_name(place: Place) -> None:
    place.catalog.delete("whole")
    assert find_search_index(place.embed("twin"), place.store) is not None
    place.catalog.delete("twin")
    assert kept(place) == {"search-index": 1, "index": 1, "index-training": 1}  # that of `part`
    place.catalog.delete("part")
    assert kept(place) == {"search-index": 0, "index": 0, "index-training": 0}
    assert place.store.list("embeddings") == []


def test_it_goes_though_another_corpus_keeps_the_vectors(place: Place) -> None:
    """`part` is a beginning of `whole`: its vectors are shared, its index is not."""
    vectors = place.embed("part").digest
    place.catalog.delete("part")
    assert len(place.store.list("embeddings")) == 3
    assert all(
        vectors not in made.manifest["inputs"].values() for kind in INDEX_KINDS for made in place.store.list(kind)
    )


def test_a_query_block_of_an_unfinished_search_goes_by_either_side(place: Place) -> None:
    for side in ("queries", "base"):
        with place.store.publish(
            ArtifactKey("candidates", {"k": 4, "side": side}, {side: "gone", "index": "x"})
        ) as made:
            (made.path / "ids.npy").write_bytes(b"ids")
    delete_indexes(place.store, {"other"})
    assert len(place.store.list("candidates")) == 2
    delete_indexes(place.store, {"gone"})
    assert place.store.list("candidates") == []


def test_vectors_are_known_by_the_digest_that_searches_use(place: Place, tiny: Encoder) -> None:
    corpus = place.catalog.open("whole")
    shards = [shard.digest for shard in corpus.shards]
    assert digests_of_vectors(place.store, shards) == {place.embed("whole").digest}
    assert embeddings_digest(corpus, tiny.signature) == place.embed("whole").digest
    assert digests_of_vectors(place.store, [*shards, "another"]) == set()  # not all of them are there
    assert digests_of_vectors(place.store, []) == set()
