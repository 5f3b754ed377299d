"""What is appended to a corpus is all that is embedded; versions follow one another and go together."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bitextmine.artifacts import ArtifactStore
from bitextmine.catalog import Catalog
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, ingest
from bitextmine.embeddings import VECTORS, embed
from bitextmine.encoders import Encoder, Encoding
from bitextmine.errors import ArtifactError, ConflictError, CorpusInputError, InputError, NotFoundError

TEXTS = [f"The {noun} costs {number} and opens at nine." for number, noun in enumerate(["museum", "lake", "map"] * 4)]


class RecordingEncoder(Encoder):
    """An encoder that remembers the sentences it was given."""

    seen: list[str]

    def encode_counted(self, sentences: Sequence[str], *, progress: Callable[[int], None] | None = None) -> Encoding:
        self.seen += sentences
        return super().encode_counted(sentences, progress=progress)


@pytest.fixture
def encoder(encoders: Path) -> RecordingEncoder:
    encoder = RecordingEncoder.open(encoders / "tiny")
    assert isinstance(encoder, RecordingEncoder)
    encoder.seen = []
    return encoder


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


@pytest.fixture
def catalog(tmp_path: Path, store: ArtifactStore) -> Catalog:
    return Catalog(tmp_path / "corpora", store)


def made(store: ArtifactStore, *lines: str, after: Corpus | None = None, name: str = "file", rows: int = 4) -> Corpus:
    path = store.root.parent / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return ingest(CorpusFile(path, "eng_Latn"), store, shard_rows=rows, after=after)


def bits(corpus: Corpus, encoder: Encoder, store: ArtifactStore) -> NDArray[np.uint16]:
    """The float16 bits of all vectors, as they lie on the disk."""
    embeddings = embed(corpus, encoder, store)
    return np.concatenate([np.load(shard.path / VECTORS) for shard in embeddings.artifacts]).view(np.uint16)


@pytest.mark.parametrize("cut", range(1, 12))
def test_only_new_sentences_are_embedded_and_the_vectors_are_those_of_one_file(encoder, store, tmp_path, cut) -> None:
    first = made(store, *TEXTS[:cut])
    before = bits(first, encoder, store)
    encoder.seen.clear()
    appended = made(store, *TEXTS[:2], *TEXTS[cut:], after=first)
    after = bits(appended, encoder, store)
    assert encoder.seen == TEXTS[cut:]
    assert (after[:cut] == before).all()
    other = ArtifactStore(tmp_path / "other" / "artifacts")
    other.root.mkdir(parents=True)
    at_once = made(other, *TEXTS)
    assert (after == bits(at_once, encoder, other)).all()
    assert [shard.digest for shard in appended.shards] == [shard.digest for shard in at_once.shards]


def test_vectors_are_taken_from_the_newest_version_that_has_them(encoder, store) -> None:
    versions = [made(store, TEXTS[0], rows=8)]
    for text in TEXTS[1:5]:
        versions.append(made(store, text, after=versions[-1]))
    embed(versions[0], encoder, store)
    embed(versions[2], encoder, store)
    encoder.seen.clear()
    whole = embed(versions[4], encoder, store)
    assert encoder.seen == TEXTS[3:5]
    assert whole.artifacts[0].summary["rows"] == 5


def test_progress_counts_the_sentences_that_are_encoded(encoder, store) -> None:
    first = made(store, *TEXTS[:6])
    embed(first, encoder, store)
    told: list[tuple[int, int | None]] = []
    embed(
        made(store, *TEXTS[6:9], after=first),
        encoder,
        store,
        progress=lambda _, done, total: told.append((done, total)),
    )
    assert told[-1] == (3, 3)
    assert {total for _, total in told} == {3}


def test_damaged_vectors_of_a_former_version_are_made_again(encoder, store) -> None:
    first = made(store, *TEXTS[:3])
    shard = embed(first, encoder, store).artifacts[0]
    os.truncate(shard.path / VECTORS, 100)
    encoder.seen.clear()
    embed(made(store, TEXTS[3], after=first), encoder, store)
    assert encoder.seen == TEXTS[:4]


def test_counts_add_up_and_files_are_told_apart(store) -> None:
    first = made(store, "one", "two", "", "one", name="a")
    second = made(store, "two", "three", "x" * 20_000, after=first, name="b")
    third = made(store, "", "three", after=second, name="c")
    counts = {name: third.summary[name] for name in ("lines", "sentences", "duplicates", "refused")}
    assert counts == {"lines": 9, "sentences": 3, "duplicates": 3, "refused": {"empty": 2, "too-long": 1}}
    assert third.source == "a, b, c"
    assert [(part.source, refusal.line) for part, refusal in third.refusals_by_part()] == [("a", 3), ("b", 3), ("c", 1)]
    assert [third.part_of(row).source for row in range(3)] == ["a", "a", "b"]
    assert third.take("line", np.arange(3)).to_pylist() == [1, 2, 2]
    assert third.take("id", np.arange(3)).to_pylist() == ["1", "2", "6"], "ids stay different"


def test_the_text_of_former_versions_takes_no_more_room(store) -> None:
    first = made(store, *TEXTS)
    second = made(store, "one more", after=first)
    for name in ("sentences.arrow", "copies.arrow", "refused.jsonl"):
        assert (first.artifact.path / name).samefile(second.artifact.path / name)
    store.delete("corpus", first.digest)
    second.artifact.verify()
    assert second.shard_texts(second.shards[0]) == TEXTS[:4]


def test_where_files_cannot_have_two_names_they_are_copied(store, monkeypatch) -> None:
    def refuse(path: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    first = made(store, *TEXTS)
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    second = made(store, "one more", after=first)
    assert not (first.artifact.path / "sentences.arrow").samefile(second.artifact.path / "sentences.arrow")
    second.artifact.verify()


def test_a_file_with_nothing_usable_is_refused_and_nothing_is_published(store) -> None:
    first = made(store, *TEXTS)
    with pytest.raises(CorpusInputError, match="no usable sentence") as raised:
        made(store, "", "", after=first)
    assert raised.value.code == "empty-corpus"
    assert len(store.list("corpus")) == 1


def test_a_quota_counts_new_sentences_only_and_leaves_nothing(store, tmp_path) -> None:
    first = made(store, *TEXTS[:5])
    path = tmp_path / "more"
    path.write_text("\n".join(TEXTS[3:8]))
    file = CorpusFile(path, "eng_Latn")
    with pytest.raises(InputError, match="more than 2 new sentences") as raised:
        ingest(file, store, after=first, max_sentences=2)
    assert raised.value.code == "quota-exceeded"
    assert [artifact.digest for artifact in store.list("corpus")] == [first.digest]
    assert list((store.root / ".staging").iterdir()) == []
    assert len(ingest(file, store, after=first, max_sentences=3)) == 8
    with pytest.raises(InputError, match="more than 2 new sentences"):  # also of one that is there
        ingest(file, store, after=first, max_sentences=2)


def test_metadata_is_kept_from_version_to_version(store, tmp_path) -> None:
    first = made(store, "plain")
    path = tmp_path / "records.jsonl"
    path.write_text(json.dumps({"text": "with", "meta": {"b": " ü ", "a": ""}}) + "\n" + json.dumps({"text": "none"}))
    second = ingest(CorpusFile(path, "eng_Latn", CorpusFormat.JSONL), store, after=first)
    third = made(store, "again plain", after=second)
    assert third.take("meta", np.arange(4)).to_pylist() == [None, '{"a": "", "b": "ü"}', None, None]
    assert first.take("meta", np.arange(1)).to_pylist() == [None]
    assert "meta" not in first.shard_batch(0).schema.names


# --- names


def test_appending_makes_versions_and_deleting_deletes_all_of_them(catalog, store, encoder) -> None:
    first = made(store, *TEXTS[:3])
    catalog.add("news", first)
    second = made(store, *TEXTS[3:6], after=first)
    entry = catalog.append("news", second, after=first.digest, made_by="upload")
    assert (entry.version, entry.digest, [version.digest for version in entry.versions]) == (
        2, second.digest, [first.digest, second.digest],
    )  # fmt: skip
    assert entry.created <= entry.updated
    assert catalog.get("news") == entry
    embed(first, encoder, store)
    embed(second, encoder, store)
    other = made(store, *TEXTS[:4], "else", name="other")
    catalog.add("other", other)
    catalog.delete("news")
    assert [artifact.digest for artifact in store.list("corpus")] == [other.digest]
    left = {artifact.manifest["inputs"]["sentences"] for artifact in store.list("embeddings")}
    assert left == {other.shards[0].digest}, "the shard that the other corpus has too"


def test_what_was_appended_once_is_not_appended_again(catalog, store) -> None:
    first = made(store, "one")
    catalog.add("news", first, made_by="job 1")
    second = made(store, "two", after=first)
    entry = catalog.append("news", second, after=first.digest, made_by="job 2")
    third = made(store, "two", after=second)
    assert catalog.append("news", third, after=second.digest, made_by="job 2") == entry
    assert entry.made_by("job 2").digest == second.digest
    assert entry.made_by("job 1").digest == first.digest
    assert entry.made_by("") is None


def test_an_append_to_what_has_changed_is_a_conflict(catalog, store) -> None:
    first = made(store, "one")
    catalog.add("news", first)
    catalog.append("news", made(store, "two", after=first), after=first.digest)
    late = made(store, "three", after=first)
    with pytest.raises(ConflictError, match="append it again") as raised:
        catalog.append("news", late, after=first.digest)
    assert raised.value.code == "corpus-changed"
    assert catalog.get("news").version == 2
    with pytest.raises(NotFoundError):
        catalog.append("gone", late, after=first.digest)


def test_of_many_that_append_at_once_one_wins(catalog, store) -> None:
    first = made(store, "one")
    catalog.add("news", first)
    grown = [made(store, f"number {n}", after=first) for n in range(8)]
    outcomes: list[str] = []

    def append(corpus: Corpus) -> None:
        try:
            catalog.append("news", corpus, after=first.digest)
            outcomes.append("won")
        except ConflictError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=append, args=(corpus,)) for corpus in grown]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["corpus-changed"] * 7 + ["won"]
    assert catalog.get("news").version == 2


def test_names_from_before_there_were_versions_are_read(catalog, store, tmp_path) -> None:
    corpus = made(store, "one")
    record = {"name": "old", "lang": "eng_Latn", "digest": corpus.digest, "created": "2026-01-01T00:00:00+00:00"}
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora" / "old.json").write_text(json.dumps(record))
    entry = catalog.get("old")
    assert (entry.digest, entry.version, entry.created) == (corpus.digest, 1, record["created"])
    assert catalog.add("old", corpus) == entry
    catalog.append("old", made(store, "two", after=corpus), after=corpus.digest)
    assert len(catalog.open("old")) == 2


@pytest.mark.parametrize(
    "versions", ["[]", "[1]", '[{"digest": "00"}]', '[{"digest": 1, "created": "2026-01-01"}]', "null", "{}"]
)
def test_a_record_of_damaged_versions_is_damaged(catalog, tmp_path, versions) -> None:
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora" / "bad.json").write_text(f'{{"name": "bad", "lang": "eng_Latn", "versions": {versions}}}')
    with pytest.raises(ArtifactError, match="damaged"):
        catalog.get("bad")
    catalog.delete("bad")
    assert not catalog.has("bad")
