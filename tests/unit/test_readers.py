"""Files are read as lines whatever they are packed in, in bounded memory, and damage is named."""

import gzip
import lzma
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from backports import zstd

from bitextmine.corpus import Limits, readers
from bitextmine.corpus.readers import read_blocks
from bitextmine.errors import CorpusInputError

PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gz": gzip.compress,
    "xz": lzma.compress,
    "zst": zstd.compress,
}
COMPRESSED = [name for name in PACKED if name != "plain"]
SKIPPABLE_FRAME = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"size"
CONTENT = b"".join(b"sentence number %d of this file\n" % i for i in range(500))


def lines_of(path: Path, limits: Limits | None = None) -> list[bytes | None]:
    lines: list[bytes | None] = []
    for block in read_blocks(path, limits or Limits()):
        assert block.first == len(lines) + 1
        lines += block.lines
    return lines


def written(folder: Path, content: bytes) -> Path:
    path = folder / "corpus"
    path.write_bytes(content)
    return path


def code_of(path: Path, limits: Limits | None = None) -> str:
    with pytest.raises(CorpusInputError, match="corpus") as raised:
        lines_of(path, limits)
    assert "\n" not in str(raised.value)
    return raised.value.code


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [b""]),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\n\nb", [b"a", b"", b"b"]),
        (b"a\r\nb\r\n", [b"a\r", b"b\r"]),
        (b"\xef\xbb\xbfa\n\xff\x00\n", [b"\xef\xbb\xbfa", b"\xff\x00"]),
        ("a\u2028b\x0bc\x85d\n".encode(), ["a\u2028b\x0bc\x85d".encode()]),
    ],
)
def test_lines_end_at_newlines_only_and_do_not_depend_on_the_packing(tmp_path, packing, content, lines) -> None:
    assert lines_of(written(tmp_path, PACKED[packing](content))) == lines


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_lines_do_not_depend_on_how_bytes_fall_into_blocks(tmp_path, packing, size, monkeypatch) -> None:
    content = b"one\n\ntwo\r\nthree " + b"x" * 100 + b"\n\nlast"
    path = written(tmp_path, PACKED[packing](content))
    monkeypatch.setattr(readers, "BLOCK_BYTES", size)
    assert lines_of(path) == content.split(b"\n")


@pytest.mark.parametrize("packing", COMPRESSED)
def test_compressed_files_glued_together_are_read_as_one(tmp_path, packing) -> None:
    pack = PACKED[packing]
    assert lines_of(written(tmp_path, pack(b"a\nb") + pack(b"") + pack(b"c\nd\n"))) == [b"a", b"bc", b"d"]


@pytest.mark.parametrize("packing", ["gz", "xz"])
@pytest.mark.parametrize("padding", [4, 200_000])
def test_zeros_after_a_compressed_stream_are_padding(tmp_path, packing, padding) -> None:
    assert lines_of(written(tmp_path, PACKED[packing](b"a\nb\n") + b"\0" * padding)) == [b"a", b"b"]


def test_xz_streams_may_be_padded_between(tmp_path) -> None:
    packed = lzma.compress(b"a\n") + b"\0" * 8 + lzma.compress(b"b\n")
    assert lines_of(written(tmp_path, packed)) == [b"a", b"b"]


@pytest.mark.parametrize("before", [b"", zstd.compress(b"a\n")])
def test_zstd_files_may_hold_skippable_frames(tmp_path, before) -> None:
    packed = before + SKIPPABLE_FRAME + zstd.compress(b"b\n")
    assert lines_of(written(tmp_path, packed))[-1:] == [b"b"]


@pytest.mark.parametrize("packing", COMPRESSED)
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, -8, -1])
def test_a_truncated_file_is_named_as_such(tmp_path, packing, kept) -> None:
    packed = PACKED[packing](CONTENT)
    end = kept if kept < 0 else int(kept * len(packed))
    assert code_of(written(tmp_path, packed[:end])) == "truncated-input"


@pytest.mark.parametrize("packing", COMPRESSED)
def test_a_truncated_second_part_is_named_as_such(tmp_path, packing) -> None:
    packed = PACKED[packing](CONTENT)
    for end in range(2, len(packed), 50):
        assert code_of(written(tmp_path, packed + packed[:end])) == "truncated-input"


def with_bits_flipped(packed: bytes, position: int) -> bytes:
    return packed[:position] + bytes([packed[position] ^ 0xFF]) + packed[position + 1 :]


@pytest.mark.parametrize("packing", COMPRESSED)
def test_damage_anywhere_never_passes_silently(tmp_path, packing) -> None:
    packed = PACKED[packing](CONTENT) if packing != "zst" else zstd.compress(CONTENT, options=CHECKSUM)
    first = len(packed)
    for position in range(0, first, 16):
        for damaged in (with_bits_flipped(packed, position), with_bits_flipped(packed * 2, first + position)):
            if position == 0 and damaged[:2] != packed[:2]:
                continue  # what does not begin as a compressed file is not one
            with suppress(CorpusInputError):
                lines = lines_of(written(tmp_path, damaged))
                whole = CONTENT * (len(damaged) // first)
                assert lines == whole.split(b"\n")[:-1], "what may differ is a header's time stamp or the like"


CHECKSUM = {zstd.CompressionParameter.checksum_flag: 1}


@pytest.mark.parametrize("packing", COMPRESSED)
def test_text_after_a_compressed_stream_is_damage(tmp_path, packing) -> None:
    packed = PACKED[packing](CONTENT) + b"and then some text that somebody appended\n"
    assert code_of(written(tmp_path, packed)) == "corrupt-input"


# --- limits


@pytest.mark.parametrize("packing", PACKED)
def test_a_line_over_the_limit_is_dropped_and_its_neighbours_stay(tmp_path, packing) -> None:
    limits = Limits(max_chars=10)
    longest = b"x" * limits.max_line_bytes
    content = b"\n".join([b"a", longest, longest + b"x", b"b", longest + b"x"])
    assert lines_of(written(tmp_path, PACKED[packing](content)), limits) == [b"a", longest, None, b"b", None]


@pytest.mark.parametrize(
    "line",
    ["\U0001f600" * 100, '{"text": "' + "\\ud83d\\ude00" * 100 + '"}', "\u0391\u0313\u0300\u0345" * 100],
)
def test_no_line_of_max_chars_is_over_the_limit_in_bytes(tmp_path, line) -> None:
    assert lines_of(written(tmp_path, line.encode()), Limits(max_chars=100)) == [line.encode()]


def test_a_line_of_ten_million_characters_takes_little_memory(tmp_path) -> None:
    path = written(tmp_path, b"a\n" + b"x" * 10_000_000 + b"\nb\n")
    tracemalloc.start()
    try:
        assert lines_of(path) == [b"a", None, b"b"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * readers.BLOCK_BYTES


@pytest.mark.parametrize("packing", PACKED)
def test_more_text_than_max_bytes_is_refused_and_as_much_is_not(tmp_path, packing) -> None:
    path = written(tmp_path, PACKED[packing](b"0123456\n" * 10))
    assert len(lines_of(path, Limits(max_bytes=80))) == 10
    assert code_of(path, Limits(max_bytes=79)) == "input-too-large"


@pytest.fixture(scope="module")
def repetition() -> bytes:
    """A little more than the grace, in long lines."""
    line = b"a" * 39_999 + b"\n"
    return line * (Limits.EXPANSION_GRACE // len(line) + 30)


@pytest.mark.parametrize("packing", COMPRESSED)
def test_a_decompression_bomb_is_refused(tmp_path, packing, repetition) -> None:
    path = written(tmp_path, PACKED[packing](repetition))
    assert len(repetition) > 250 * path.stat().st_size
    assert code_of(path) == "decompression-bomb"


def test_small_repetitive_and_large_plain_files_are_no_bombs(tmp_path, repetition) -> None:
    within_grace = repetition[: Limits.EXPANSION_GRACE]
    for content in (gzip.compress(within_grace), repetition):
        assert len(lines_of(written(tmp_path, content))) >= len(within_grace) // 40_000


# --- what is no corpus file


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_missing_file_and_a_directory_are_not_found(tmp_path, name) -> None:
    with pytest.raises(CorpusInputError, match="cannot read") as raised:
        lines_of(tmp_path / name)
    assert raised.value.code == "file-not-found"


def test_errors_call_the_file_what_they_are_told(tmp_path) -> None:
    path = written(tmp_path, gzip.compress(CONTENT)[:-1])
    with pytest.raises(CorpusInputError, match=r"^news\.de is truncated"):
        list(read_blocks(path, Limits(), name="news.de"))


@pytest.mark.parametrize("packing", PACKED)
def test_consumed_grows_to_the_size_of_the_file(tmp_path, packing, monkeypatch) -> None:
    monkeypatch.setattr(readers, "BLOCK_BYTES", 256)
    path = written(tmp_path, PACKED[packing](CONTENT))
    consumed = [block.consumed for block in read_blocks(path, Limits())]
    assert consumed == sorted(consumed)
    assert consumed[-1] == path.stat().st_size


@pytest.mark.parametrize(
    ("start", "what"), [(b"BZh9", "bzip2"), (b"PK\x03\x04", "zip"), (b"\xff\xfea\x00", "UTF-16"), (b"PAR1", "Parquet")]
)
def test_a_file_of_another_kind_is_named_not_read_as_text(tmp_path: Path, start: bytes, what: str) -> None:
    path = tmp_path / "corpus.txt"
    path.write_bytes(start + b" and more\n" * 10)
    with pytest.raises(CorpusInputError, match=what) as caught:
        list(read_blocks(path, Limits()))
    assert caught.value.code == "unsupported-input"
