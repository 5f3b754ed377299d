"""Files that are not what they are said to be, or change while they are read, never become a corpus."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from bitextmine.artifacts import ArtifactStore, file_sha256
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, Limits, ingest, readers
from bitextmine.errors import CorpusInputError

TEXT, JSONL, ID_TSV = CorpusFormat
RECORD = b'{"id": "1", "text": "one"}\n'


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def corpus_of(content: bytes, form: CorpusFormat, store: ArtifactStore) -> Corpus:
    path = store.root.parent / "corpus.txt"
    path.write_bytes(content)
    return ingest(CorpusFile(path, "eng_Latn", form), store)


def refused(content: bytes, form: CorpusFormat, store: ArtifactStore) -> CorpusInputError:
    with pytest.raises(CorpusInputError, match="corpus") as raised:
        corpus_of(content, form, store)
    assert "\n" not in str(raised.value)
    assert store.list("corpus") == []
    return raised.value


@pytest.mark.parametrize("change", [b"longer and longer\n" * 999, b"one\ntwO\n", b"one\n"])
@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_a_file_that_changes_between_hashing_and_reading_is_not_published(
    store: ArtifactStore, tmp_path: Path, change: bytes, packed
) -> None:
    path = tmp_path / "corpus"
    content = packed(b"one\ntwo\n")  # once: gzip writes the time into it
    path.write_bytes(content)
    file = CorpusFile(path, "eng_Latn", sha256=file_sha256(path))
    path.write_bytes(packed(change))
    with pytest.raises(CorpusInputError, match="changed while it was read") as raised:
        ingest(file, store)
    assert raised.value.code == "input-changed"
    assert store.list("corpus") == []
    path.write_bytes(content)
    assert len(ingest(file, store)) == 2


def test_a_file_that_grows_while_it_is_read_is_not_published(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "BLOCK_BYTES", 16)
    path = tmp_path / "corpus"
    path.write_bytes(b"a sentence\n" * 20_000)

    def write_more(stage: str, done: int, total: int | None) -> None:
        if done <= 16:
            with path.open("ab") as stream:
                stream.write(b"another\n")

    with pytest.raises(CorpusInputError, match="changed while it was read"):
        ingest(CorpusFile(path, "eng_Latn"), store, progress=write_more)
    assert store.list("corpus") == []


def test_what_follows_the_compressed_text_is_hashed_too(tmp_path: Path) -> None:
    path = tmp_path / "corpus"
    path.write_bytes(gzip.compress(b"one\n") + bytes(300_000))
    blocks = readers.read_blocks(path, Limits(), sha256=file_sha256(path))
    assert [line for block in blocks for line in block.lines] == [b"one"]


@pytest.mark.parametrize("start", [b"", b"\n \n", b"\xef\xbb\xbf", b"\n" * 99])
def test_jsonl_given_as_text_is_refused_with_what_to_say(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch, start: bytes
) -> None:
    monkeypatch.setattr(readers, "BLOCK_BYTES", 50)
    error = refused(start + RECORD + b"two\n", TEXT, store)
    assert error.code == "unsupported-input"
    assert "looks like JSONL" in str(error)
    assert "--format jsonl" in str(error)
    assert "format=jsonl" in str(error)
    assert len(corpus_of(start + RECORD, JSONL, store)) == 1


@pytest.mark.parametrize(
    "line", ['{"a": 1}', '{"text": 1}', '{"text": "one"} and', "{curly} braces", "[1] cited", '"a"']
)
def test_text_with_braces_is_text(store: ArtifactStore, line: str) -> None:
    assert len(corpus_of(line.encode(), TEXT, store)) == 1


def test_jsonl_in_later_lines_of_a_text_is_text(store: ArtifactStore) -> None:
    assert len(corpus_of(b"one\n" + RECORD, TEXT, store)) == 2


@pytest.mark.parametrize("content", [b'[{"text": "one"}]', b'[\n{"text": "one"},\n', b'{\n  "text": "one"\n}\n'])
def test_json_that_is_not_a_record_a_line_is_refused(store: ArtifactStore, content: bytes) -> None:
    error = refused(content, JSONL, store)
    assert error.code == "unsupported-input"
    assert "one object a line" in str(error)


@pytest.mark.parametrize(
    ("start", "what"),
    [(b"<!DOCTYPE html>", "HTML"), (b"\n  <html lang=de>", "HTML"), (b'<?xml version="1.0"?>', "XML")],
)
@pytest.mark.parametrize("form", CorpusFormat)
def test_markup_is_refused(store: ArtifactStore, start: bytes, what: str, form: CorpusFormat) -> None:
    error = refused(start + b"\nand more\n", form, store)
    assert error.code == "unsupported-input"
    assert what in str(error)


def test_a_table_given_as_text_says_how_to_read_it(store: ArtifactStore) -> None:
    table = b"".join(b"de-%d\tsentence %d\n" % (n, n) for n in range(50))
    error = refused(table, TEXT, store)
    assert error.code == "empty-corpus"
    assert "--format id-tsv" in str(error)
    details = [refusal.detail for refusal in corpus_of(table + b"a title\n", TEXT, store).refusals()]
    assert len(details) == 50
    assert all("--format id-tsv" in detail for detail in details)
    assert len(corpus_of(table, ID_TSV, store)) == 50


def test_a_stray_tab_is_no_table(store: ArtifactStore) -> None:
    text = b"".join(b"sentence %d\n" % n for n in range(50)) + b"a\ttab\n"
    [refusal] = corpus_of(text, TEXT, store).refusals()
    assert refusal.detail == "control character U+0009 at position 1"


def test_a_file_that_is_all_latin_1_says_how_to_convert_it(store: ArtifactStore) -> None:
    error = refused("für\ngrün\n".encode("latin-1"), TEXT, store)
    assert "line 1: not UTF-8: byte 0xfc at position 1" in str(error)
    assert "iconv -f LATIN1 -t UTF-8" in str(error)
