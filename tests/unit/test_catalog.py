"""Corpora are named, found and forgotten by name, and what another name needs stays."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bitextmine.artifacts import ArtifactKey, ArtifactStore, write_atomically
from bitextmine.catalog import Catalog, CatalogEntry, check_name
from bitextmine.corpus import Corpus, CorpusFile, ingest
from bitextmine.errors import ArtifactError, ConflictError, NotFoundError, ParameterError

EMBEDDINGS = "embeddings"


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


@pytest.fixture
def catalog(tmp_path: Path, store: ArtifactStore) -> Catalog:
    return Catalog(tmp_path / "corpora", store)


Make = Callable[[str], Corpus]


@pytest.fixture
def make(tmp_path: Path, store: ArtifactStore) -> Make:
    """A corpus with a sentence a letter, two a shard, and each shard's embeddings by two encoders."""

    def corpus(letters: str) -> Corpus:
        path = tmp_path / letters
        path.write_text("\n".join(letters))
        corpus = ingest(CorpusFile(path, "eng_Latn"), store, shard_rows=2)
        for shard in corpus.shards:
            for encoder in ("muse", "labse"):
                with store.publish(
                    ArtifactKey(EMBEDDINGS, {"encoder": encoder}, {"sentences": shard.digest})
                ) as staging:
                    (staging.path / "vectors.npy").write_bytes(b"vectors")
        return corpus

    return corpus


def embedded(store: ArtifactStore) -> set[str]:
    return {artifact.manifest["inputs"]["sentences"] for artifact in store.list(EMBEDDINGS)}


def digests(*corpora: Corpus) -> set[str]:
    return {shard.digest for corpus in corpora for shard in corpus.shards}


# --- names


@pytest.mark.parametrize("name", ["a", "0", "news", "wiki.en", "a-b_c.d", "a..b", "9" * 64, "con", "a.json"])
def test_names_that_can_be_paths_and_urls_are_taken(catalog: Catalog, make: Make, name: str) -> None:
    assert check_name(name) == name
    catalog.add(name, make("ab"))
    assert [entry.name for entry in catalog.list()] == [name]
    catalog.delete(name)
    assert catalog.list() == []


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../a", "a/b", "/etc/passwd", "a\\b", "News", "a" * 65, "a\x00", "a\n", "\na", " a", "a b"),
        *("-a", "_a", ".hidden", "é", "ａ", "٣", "a%2e", "a?b", "a" * 100_000),
    ],
)
def test_other_names_are_refused_everywhere_and_touch_nothing(catalog: Catalog, make: Make, tmp_path, name) -> None:
    corpus = make("ab")
    before = sorted(tmp_path.rglob("*"))
    for use in (check_name, catalog.get, catalog.open, catalog.delete, lambda name: catalog.add(name, corpus)):
        with pytest.raises(ParameterError, match="cannot name a corpus") as raised:
            use(name)
        assert raised.value.code == "invalid-name"
        assert "\n" not in str(raised.value)
        assert len(str(raised.value)) < 600
    assert sorted(tmp_path.rglob("*")) == before


# --- adding and finding


def test_a_named_corpus_is_found_and_opened(catalog: Catalog, make: Make) -> None:
    corpus = make("abc")
    entry = catalog.add("letters", corpus)
    assert catalog.get("letters") == entry
    assert (entry.name, entry.lang, entry.digest) == ("letters", "eng_Latn", corpus.digest)
    assert catalog.open("letters").digest == corpus.digest


def test_a_new_catalog_over_the_same_directory_knows_the_names(catalog: Catalog, make: Make, tmp_path, store) -> None:
    catalog.add("letters", make("abc"))
    assert Catalog(tmp_path / "corpora", store).list() == catalog.list()


def test_naming_the_same_corpus_again_changes_nothing(catalog: Catalog, make: Make) -> None:
    first: CatalogEntry = catalog.add("letters", make("abc"))
    assert catalog.add("letters", make("abc")) == first


def test_a_name_that_stands_for_another_corpus_is_a_conflict(catalog: Catalog, make: Make) -> None:
    first = catalog.add("letters", make("abc"))
    with pytest.raises(ConflictError, match="'letters' exists with other content") as raised:
        catalog.add("letters", make("abd"))
    assert raised.value.code == "corpus-exists"
    assert catalog.get("letters") == first


def test_names_are_listed_in_alphabetical_order(catalog: Catalog, make: Make) -> None:
    assert catalog.list() == []
    for name in ("b", "a.b", "a", "c"):
        catalog.add(name, make("ab"))
    assert [entry.name for entry in catalog.list()] == ["a", "a.b", "b", "c"]


def test_an_unknown_name_is_not_found(catalog: Catalog) -> None:
    for use in (catalog.get, catalog.open, catalog.delete):
        with pytest.raises(NotFoundError, match="no corpus 'nothing'") as raised:
            use("nothing")
        assert raised.value.code == "corpus-not-found"


# --- deleting


def test_deleting_a_name_deletes_its_corpus_and_embeddings(catalog: Catalog, make: Make, store) -> None:
    corpus = make("abcdef")
    catalog.add("letters", corpus)
    assert embedded(store) == digests(corpus)
    catalog.delete("letters")
    assert (catalog.list(), store.list("corpus"), store.list(EMBEDDINGS)) == ([], [], [])


def test_deleting_one_of_two_names_of_a_corpus_deletes_the_name_only(catalog: Catalog, make: Make, store) -> None:
    corpus = make("abcd")
    for name in ("one", "two"):
        catalog.add(name, corpus)
    catalog.delete("one")
    assert catalog.open("two").digest == corpus.digest
    assert embedded(store) == digests(corpus)
    catalog.delete("two")
    assert (store.list("corpus"), store.list(EMBEDDINGS)) == ([], [])


def test_embeddings_of_shards_that_another_corpus_shares_stay(catalog: Catalog, make: Make, store) -> None:
    one, two = make("abcdef"), make("abcdxy")
    assert len(digests(one) & digests(two)) == 2
    catalog.add("one", one)
    catalog.add("two", two)
    catalog.delete("one")
    assert store.open("corpus", one.digest) is None
    assert embedded(store) == digests(two)
    assert len(store.list(EMBEDDINGS)) == 6, "by both encoders"
    catalog.delete("two")
    assert store.list(EMBEDDINGS) == []


def test_a_corpus_that_lost_its_artifact_says_so_and_can_be_deleted_and_added_again(catalog, make, store) -> None:
    corpus = make("ab")
    catalog.add("letters", corpus)
    store.delete("corpus", corpus.digest)
    with pytest.raises(ArtifactError, match="'letters' has lost its artifact"):
        catalog.open("letters")
    catalog.delete("letters")
    catalog.add("letters", make("ab"))
    assert len(catalog.open("letters")) == 2


def test_a_damaged_corpus_can_be_deleted(catalog: Catalog, make: Make, store: ArtifactStore) -> None:
    corpus = make("ab")
    catalog.add("letters", corpus)
    os.truncate(corpus.artifact.path / "sentences.arrow", 10)
    catalog.delete("letters")
    assert (catalog.list(), store.list("corpus")) == ([], [])


def test_a_damaged_corpus_does_not_stand_in_the_way_of_deleting_another(catalog, make, store) -> None:
    damaged, sound = make("ab"), make("cd")
    catalog.add("damaged", damaged)
    catalog.add("sound", sound)
    os.truncate(damaged.artifact.path / "sentences.arrow", 10)
    catalog.delete("sound")
    assert store.open("corpus", sound.digest) is None
    assert embedded(store) == digests(damaged)


DAMAGED_NAMES = [
    *("", "{", "[]", "[1]", "null", "{}", '{"name": "letters", "what": 1}', "\x00"),
    '{"name": "others", "lang": "eng_Latn", "digest": "00", "created": "2026-01-01"}',
    '{"name": "letters", "lang": null, "digest": "00", "created": "2026-01-01"}',
    '{"name": "letters", "lang": "eng_Latn", "digest": "00", "created": "long ago"}',
]


@pytest.mark.parametrize("content", DAMAGED_NAMES)
def test_a_damaged_name_says_so_hides_no_other_and_can_be_deleted(catalog, make, tmp_path, caplog, content) -> None:
    corpus = make("ab")
    catalog.add("sound", corpus)
    (tmp_path / "corpora" / "letters.json").write_text(content)
    for use in (lambda: catalog.get("letters"), lambda: catalog.add("letters", corpus)):
        with pytest.raises(ArtifactError, match=r"letters\.json is damaged: .*; delete corpus 'letters' over the API"):
            use()
    assert catalog.has("letters")
    assert [entry.name for entry in catalog.list()] == ["sound"]
    assert "letters.json is damaged" in caplog.text
    catalog.delete("letters")
    assert not catalog.has("letters")
    catalog.add("letters", corpus)
    assert [entry.name for entry in catalog.list()] == ["letters", "sound"]


def test_a_damaged_corpus_goes_with_the_first_of_its_names_so_that_it_can_be_made_again(catalog, make, store) -> None:
    corpus = make("ab")
    for name in ("one", "two"):
        catalog.add(name, corpus)
    os.truncate(corpus.artifact.path / "sentences.arrow", 10)
    with pytest.raises(ArtifactError, match="truncated; delete corpus 'one' over the API and upload it again"):
        catalog.open("one")
    catalog.delete("one")
    catalog.add("one", make("ab"))
    assert catalog.open("one").digest == catalog.open("two").digest == corpus.digest


def test_a_corpus_that_found_no_name_is_deleted_unless_another_name_stands_for_it(catalog, make, store) -> None:
    corpus = make("ab")
    catalog.add("letters", corpus)
    catalog.delete_unnamed(corpus.digest)
    assert catalog.open("letters").digest == corpus.digest
    nameless = make("xy")
    catalog.delete_unnamed(nameless.digest)
    assert [artifact.digest for artifact in store.list("corpus")] == [corpus.digest]
    assert embedded(store) == digests(corpus)


def test_of_two_that_take_a_name_at_once_the_first_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "corpora" / "news.json"
    write_atomically(path, b"first", replace=False)
    with pytest.raises(FileExistsError):
        write_atomically(path, b"second", replace=False)
    assert path.read_bytes() == b"first"
    assert list(path.parent.iterdir()) == [path]
