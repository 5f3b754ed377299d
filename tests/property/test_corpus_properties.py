"""Ingest equals a plain reading of the same file, whatever is in it and however it falls into blocks."""

import re
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import CorpusFile, Limits, ingest, readers
from bitextmine.corpus.dedup import SeenSentences, hash_sentences
from bitextmine.corpus.readers import _LineSplitter
from bitextmine.corpus.writer import _first_appearances
from bitextmine.errors import CorpusInputError

LIMITS = Limits(max_chars=12)
MEMORY = Path("/dev/shm")  # where there is one, hundreds of artifacts are published fast
Row = tuple[str, int]  # sentence, line

CHARACTERS = "ab \t\r\x00\x0b\x1f\x85é\u0301\u1112\u1161\u0958한\u00a0\u3000\u2028\ufeff\u200b😀"
PIECES = st.sampled_from([*CHARACTERS, "e\u0301", "x" * 12, "x" * 13])
LINES = st.one_of(
    st.lists(PIECES, max_size=6).map("".join).map(str.encode),
    st.text(max_size=20).map(lambda text: text.encode()),
    st.binary(max_size=8),
)
COMPRESSED = tuple(magic for magic, _ in readers._MAGIC)
FILES = st.lists(LINES, max_size=30).map(b"\n".join).filter(lambda content: not content.startswith(COMPRESSED))


def is_forbidden(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs")


def read_slowly(content: bytes) -> tuple[list[Row], list[Row], list[tuple[int, str]]]:
    """Distinct sentences, copies and refusals by the rules as they are written down."""
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    first_lines: dict[str, int] = {}
    copies, refused = [], []
    for number, line in enumerate(lines, start=1):
        try:
            text = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).decode()
        except UnicodeDecodeError:
            refused.append((number, "not-utf8"))
            continue
        sentence = unicodedata.normalize("NFC", text.strip())
        if not sentence:
            refused.append((number, "empty"))
        elif any(map(is_forbidden, sentence)):
            refused.append((number, "control-character"))
        elif len(sentence) > LIMITS.max_chars:
            refused.append((number, "too-long"))
        elif sentence in first_lines:
            copies.append((sentence, number))
        else:
            first_lines[sentence] = number
    return list(first_lines.items()), copies, refused


@settings(max_examples=300, deadline=None)
@given(content=FILES, block_bytes=st.integers(1, 40), shard_rows=st.integers(1, 5))
@example(content=b"\xef\xbb\xbf", block_bytes=1, shard_rows=1)
@example(content=b"a\r\nb\r\n\r\nb \n", block_bytes=4, shard_rows=1)
def test_ingest_equals_reading_slowly(content: bytes, block_bytes: int, shard_rows: int) -> None:
    assume(not content.startswith(tuple(readers._UNSUPPORTED)))
    assume(not re.match(rb"(\xef\xbb\xbf)?\s*(<|\{)", content))  # might be another kind of file
    sentences, copies, refused = read_slowly(content)
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder,
    ):
        patch.setattr(readers, "BLOCK_BYTES", block_bytes)
        path = Path(folder) / "corpus"
        path.write_bytes(content)
        file, store = CorpusFile(path, "eng_Latn"), ArtifactStore(Path(folder) / "artifacts")
        if not sentences:
            with pytest.raises(CorpusInputError, match=r"is empty|no usable sentence"):
                ingest(file, store, limits=LIMITS, shard_rows=shard_rows)
            return
        corpus = ingest(file, store, limits=LIMITS, shard_rows=shard_rows)
        rows = np.arange(len(corpus))
        texts = corpus.take("text", rows).to_pylist()
        assert list(zip(texts, corpus.take("line", rows).to_pylist(), strict=True)) == sentences
        copied = corpus.copies().to_pylist()
        assert [(texts[copy["sentence"]], copy["line"]) for copy in copied] == copies
        assert [(refusal.line, refusal.reason.value) for refusal in corpus.refusals()] == refused
        assert len(corpus.shards) == -(-len(sentences) // shard_rows)


@settings(max_examples=200, deadline=None)
@given(blocks=st.lists(st.lists(st.text("ab", max_size=3)), max_size=8))
def test_seen_sentences_equal_a_dict(blocks: list[list[str]]) -> None:
    seen, known = SeenSentences(), dict[str, int]()
    for block in blocks:
        before = len(known)
        expected, new = [], []
        for text in block:
            new.append(text not in known)
            expected.append(known.setdefault(text, len(known)))
        rows = seen.add(hash_sentences(block))
        assert rows.tolist() == expected
        assert _first_appearances(rows, before).tolist() == new
        assert seen.count == len(known)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), sizes=st.lists(st.integers(0, 20_000), min_size=1, max_size=4))
def test_seen_sentences_equal_a_dict_while_their_table_grows(seed: int, sizes: list[int]) -> None:
    generator = np.random.default_rng(seed)
    seen, known = SeenSentences(), dict[bytes, int]()
    for size in sizes:
        # Few different low words, so that most slots are taken and rows tell apart by the high word only.
        hashes = generator.integers(0, [50, 1000], (size, 2), dtype=np.uint64)
        expected = [known.setdefault(row.tobytes(), len(known)) for row in hashes]
        assert seen.add(hashes).tolist() == expected


@settings(max_examples=300, deadline=None)
@given(chunks=st.lists(st.binary(max_size=12).map(lambda chunk: chunk.replace(b"\0", b"\n"))), limit=st.integers(0, 8))
def test_the_line_splitter_equals_split(chunks: list[bytes], limit: int) -> None:
    splitter = _LineSplitter(limit)
    found = [line for chunk in chunks if chunk for line in splitter.feed(chunk)] + splitter.finish()
    expected = b"".join(chunks).split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert found == [line if len(line) <= limit else None for line in expected]
