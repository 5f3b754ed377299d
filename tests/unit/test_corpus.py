"""A file becomes a corpus: distinct sentences with their provenance, every line accounted for."""

import gzip
import json
import lzma
import os
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from backports import zstd

from bitextmine.artifacts import ArtifactStore, file_sha256
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, Limits, Reason, format_of, ingest, readers
from bitextmine.errors import ArtifactError, CorpusInputError

PACKED = {"plain": bytes, "gz": gzip.compress, "xz": lzma.compress, "zst": zstd.compress}


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


Make = Callable[..., Corpus]


@pytest.fixture
def make(tmp_path: Path, store: ArtifactStore) -> Make:
    """Ingest content from a file."""

    def corpus(content: bytes | str, *, name: str = "corpus.txt", form: CorpusFormat = CorpusFormat.TEXT, **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return ingest(CorpusFile(path, "eng_Latn", form), store, **options)

    return corpus


def column(corpus: Corpus, name: str) -> list[object]:
    return corpus.take(name, np.arange(len(corpus))).to_pylist()


def numbered(count: int) -> str:
    return "".join(f"sentence {i}\n" for i in range(count))


def test_a_corpus_knows_where_its_sentences_came_from(make: Make) -> None:
    corpus = make("\ufeffone\n\n two\r\none\ncafe\u0301\ncafé")
    assert column(corpus, "text") == ["one", "two", "café"]
    assert column(corpus, "line") == [1, 3, 5]
    assert column(corpus, "id") == ["1", "3", "5"]
    assert column(corpus, "doc_id") == [None] * 3
    assert (len(corpus), corpus.lang, corpus.source) == (3, "eng_Latn", "corpus.txt")
    counts = {name: corpus.summary[name] for name in ("lines", "sentences", "duplicates", "refused")}
    assert counts == {"lines": 6, "sentences": 3, "duplicates": 2, "refused": {"empty": 1}}


@pytest.mark.parametrize("packing", PACKED)
def test_shards_do_not_depend_on_packing_or_name(make: Make, packing: str) -> None:
    plain = make(numbered(10), shard_rows=4)
    packed = make(PACKED[packing](numbered(10).encode()), name=f"other.{packing}", shard_rows=4)
    assert packed.shards == plain.shards
    assert [(shard.start, shard.stop) for shard in plain.shards] == [(0, 4), (4, 8), (8, 10)]
    assert packed.digest != plain.digest, "its provenance is another"


@pytest.mark.parametrize("size", [1, 3, 10, 100])
def test_the_corpus_does_not_depend_on_how_bytes_fall_into_blocks(make: Make, size: int, monkeypatch, tmp_path) -> None:
    content = "\ufeffeins\n\nzwei\r\ne\u0301 é\neins\n\x00\né é\n" + "x" * 200 + "\nlast"
    options = {"limits": Limits(max_chars=150), "shard_rows": 2}
    whole = make(content, **options)
    monkeypatch.setattr(readers, "BLOCK_BYTES", size)
    store = ArtifactStore(tmp_path / "other")
    pieces = ingest(CorpusFile(tmp_path / "corpus.txt", "eng_Latn"), store, **options)
    assert pieces.digest == whole.digest
    assert pieces.summary == whole.summary
    assert list(pieces.all_ids()) == list(whole.all_ids())
    assert list(pieces.refusals()) == list(whole.refusals())
    for name in ("text", "line", "hash"):
        assert column(pieces, name) == column(whole, name)


# --- being found again


def test_the_same_file_is_found_and_not_written_again(make: Make) -> None:
    first = make("a\nb\n")
    written = (first.artifact.path / "manifest.json").stat()
    again = make("a\nb\n")
    assert again.digest == first.digest
    assert (again.artifact.path / "manifest.json").stat() == written


def test_changed_content_at_the_same_path_is_another_corpus(make: Make) -> None:
    one, other = make("a\nb\n"), make("a\nc\n")
    assert one.digest != other.digest
    assert (column(one, "text"), column(other, "text")) == (["a", "b"], ["a", "c"])


def test_language_format_name_limits_and_shard_size_each_make_another_corpus(store: ArtifactStore, tmp_path) -> None:
    path = tmp_path / "c"
    path.write_text('text\n{"text": "a"}\n')
    file = CorpusFile(path, "eng_Latn")
    changed = [{"lang": "deu_Latn"}, {"format": CorpusFormat.JSONL}, {"source": "d"}]
    corpora = [ingest(replace(file, **change), store) for change in changed]
    corpora += [
        ingest(file, store),
        ingest(file, store, limits=Limits(max_chars=50)),
        ingest(file, store, shard_rows=1),
    ]
    assert len({corpus.digest for corpus in corpora}) == 6


def test_an_upload_is_known_by_its_sha256_without_being_read(store: ArtifactStore, tmp_path: Path) -> None:
    path = tmp_path / "upload-17"
    path.write_text("a\n")
    known = CorpusFile(path, "eng_Latn", source="news.txt", sha256=file_sha256(path))
    corpus = ingest(known, store)
    assert corpus.source == "news.txt"
    path.unlink()
    assert ingest(known, store).digest == corpus.digest


def test_a_damaged_corpus_is_not_believed(make: Make) -> None:
    corpus = make("a\n")
    os.truncate(corpus.artifact.path / "sentences.arrow", 10)
    with pytest.raises(ArtifactError, match="truncated"):
        make("a\n")


# --- duplicates and refusals


def test_all_copies_keep_their_ids_and_documents(make: Make) -> None:
    records = [("a", 1, "x"), ("b", 2, "x"), ("a", 3, "y"), ("a ", 4, None), ("b", None, "z")]
    lines = [json.dumps({"text": text, "id": name, "doc_id": document}) for text, name, document in records]
    corpus = make("\n".join(lines), form=CorpusFormat.JSONL)
    assert sorted(corpus.all_ids()) == [(0, "1"), (0, "3"), (0, "4"), (1, "2"), (1, "5")]
    assert corpus.copies().to_pylist() == [
        {"sentence": 0, "id": "3", "doc_id": "y", "line": 3},
        {"sentence": 0, "id": "4", "doc_id": None, "line": 4},
        {"sentence": 1, "id": "5", "doc_id": "z", "line": 5},
    ]
    assert corpus.summary["duplicates"] == 3


def test_a_corpus_without_duplicates_or_refusals_has_none(make: Make) -> None:
    corpus = make("a\nb\n")
    assert corpus.copies().num_rows == 0
    assert list(corpus.refusals()) == []


def test_every_refused_line_is_reported_across_blocks(make: Make, monkeypatch) -> None:
    monkeypatch.setattr(readers, "BLOCK_BYTES", 50)
    lines = [f"sentence {i}".encode() for i in range(200)]
    bad = {7: (b"", Reason.EMPTY), 50: (b"\xff", Reason.NOT_UTF8), 51: (b"a\x00b", Reason.CONTROL_CHARACTER)}
    bad |= {99: (b"x" * 101, Reason.TOO_LONG), 150: (b"x" * 100_000, Reason.TOO_LONG), 199: (b"\t", Reason.EMPTY)}
    for index, (line, _) in bad.items():
        lines[index] = line
    corpus = make(b"\n".join(lines), limits=Limits(max_chars=100))
    expected = [(index + 1, reason) for index, (_, reason) in bad.items()]
    assert [(refusal.line, refusal.reason) for refusal in corpus.refusals()] == expected
    assert [refusal.line for refusal in corpus.refusals(1, 2)] == [51, 52]
    assert list(corpus.refusals(6)) == []
    assert corpus.summary["refused"] == {"empty": 2, "not-utf8": 1, "control-character": 1, "too-long": 2}
    assert column(corpus, "line") == [i + 1 for i in range(200) if i not in bad]


def test_a_line_of_ten_million_characters_is_one_refusal_in_little_memory(make: Make) -> None:
    make("warm up\n", name="warm")
    content = b"a\n" + "ü".encode() * 10_000_000 + b"\nb\n"
    tracemalloc.start()
    try:
        corpus = make(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * readers.BLOCK_BYTES
    assert column(corpus, "text") == ["a", "b"]
    assert [(refusal.line, refusal.reason) for refusal in corpus.refusals()] == [(2, Reason.TOO_LONG)]


# --- take


def test_take_gives_rows_in_any_order_from_any_shards(make: Make) -> None:
    corpus = make(numbered(1000), shard_rows=7)
    assert len(corpus.shards) == 143
    generator = np.random.default_rng(0)
    for rows in (
        generator.permutation(1000),
        generator.integers(0, 1000, 50),
        np.array([999, 0, 999]),
        np.array([6, 7]),
    ):
        assert corpus.take("text", rows).to_pylist() == [f"sentence {row}" for row in rows]
        assert corpus.take("line", rows).to_pylist() == [row + 1 for row in rows]


@pytest.mark.parametrize("name", ["text", "line", "hash"])
def test_taking_no_rows_gives_none(make: Make, name: str) -> None:
    assert make("a\n").take(name, np.array([], np.int64)).to_pylist() == []


@pytest.mark.parametrize("row", [-1, 10, 11, 12, 1000])
def test_taking_rows_that_are_not_there_is_an_error(make: Make, row: int) -> None:
    with pytest.raises((IndexError, ValueError)):
        make(numbered(10), shard_rows=4).take("text", np.array([0, row]))


def test_shard_texts_are_the_corpus_in_order(make: Make) -> None:
    corpus = make(numbered(10), shard_rows=3)
    assert [text for shard in corpus.shards for text in corpus.shard_texts(shard)] == column(corpus, "text")


# --- files that cannot become a corpus


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (b"", "empty-corpus", "is empty$"),
        (gzip.compress(b"", mtime=0), "empty-corpus", "is empty$"),
        (b"\n \n\xff\n", "empty-corpus", r"3 lines, all refused \(2 empty, 1 not-utf8\)"),
        (gzip.compress(b"a\n" * 99, mtime=0)[:-4], "truncated-input", "transfer it again"),
        (lzma.compress(b"a\n" * 99)[:-4], "truncated-input", "transfer it again"),
        (zstd.compress(b"a\n" * 99)[:-4], "truncated-input", "transfer it again"),
        (gzip.compress(b"a\n", mtime=0)[:-8] + b"\0" * 8, "corrupt-input", "damaged"),
    ],
)
def test_an_unusable_file_is_an_error_and_leaves_nothing(make: Make, store, content, code, message) -> None:
    with pytest.raises(CorpusInputError, match=rf"corpus\.txt.*{message}") as raised:
        make(content)
    assert raised.value.code == code
    assert store.list("corpus") == []
    assert not list((store.root / ".staging").iterdir())


@pytest.mark.parametrize("sha256", ["", "ab" * 32])
@pytest.mark.parametrize("kind", ["missing", "directory", "pipe"])
def test_what_is_no_regular_file_is_an_error_at_once(tmp_path: Path, store: ArtifactStore, kind, sha256) -> None:
    path = tmp_path / "thing"
    if kind == "directory":
        path.mkdir()
    if kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(CorpusInputError, match=r"cannot read .*thing: ") as raised:
        ingest(CorpusFile(path, "eng_Latn", sha256=sha256), store)
    assert raised.value.code == "file-not-found"


def test_a_file_name_that_is_not_utf8_is_shown_with_escapes(tmp_path: Path, store: ArtifactStore) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt"))
    path.write_text("a\n")
    assert ingest(CorpusFile(path, "fra_Latn"), store).source == "caf\\udce9.txt"


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.txt", "text"),
        ("a", "text"),
        ("a.de", "text"),
        ("a.jsonl", "jsonl"),
        ("a.JSONL", "jsonl"),
        ("a.ndjson.zst", "jsonl"),
        ("a.jsonl.gz", "jsonl"),
        ("a.json", "jsonl"),
        ("jsonl", "text"),
        ("a.tsv", "text"),
    ],
)
def test_the_name_of_a_file_tells_its_format(name: str, form: str) -> None:
    assert format_of(Path(name)) == form
    assert format_of(Path("some.jsonl") / name) == form


def test_refusals_beyond_a_limit_are_counted_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bitextmine.corpus.refused.REFUSALS_KEPT", 10)
    path = tmp_path / "mostly-empty.txt"
    path.write_text("\n" * 500 + "a sentence\n")
    corpus = ingest(CorpusFile(path, "eng_Latn"), ArtifactStore(tmp_path / "store"))
    assert corpus.summary["refused"] == {"empty": 500}
    assert len(list(corpus.refusals())) == 10
