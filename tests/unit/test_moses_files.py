"""Moses pairs: two files line by line, or a zip archive as OPUS has them, and archives that mean harm."""

from __future__ import annotations

import random
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from bitextmine.corpus import Limits
from bitextmine.errors import CorpusInputError
from bitextmine.pair_files import PairFormat
from tests.unit.pair_readers import read, refusal

MOSES = PairFormat.MOSES
PAIRS = [(1, "Haus", "house"), (2, "See", "lake")]
OPUS = {
    "README": "About\n",
    "LICENSE": "Terms\n",
    "News.de-en.de": "Haus\nSee\n",
    "News.de-en.en": "house\nlake\n",
    "News.de-en.ids": "a b\nc d\n",
}


def two_files(folder: Path, de: bytes, en: bytes) -> dict[str, Path]:
    (folder / "news.de").write_bytes(de)
    (folder / "news.en").write_bytes(en)
    return {"path": folder / "news.de", "tgt_path": folder / "news.en"}


def archive(folder: Path, entries: dict[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    path = folder / "news.zip"
    with zipfile.ZipFile(path, "w", method) as made:
        for name, content in entries.items():
            made.writestr(name, content)
    return path


def test_lines_of_the_same_number_are_pairs(tmp_path: Path) -> None:
    files = two_files(tmp_path, b"Haus\r\nSee\n", b"\xef\xbb\xbfhouse\nlake")
    assert read(files["path"], MOSES, tgt_path=files["tgt_path"]).pairs == PAIRS


def test_a_pair_with_an_unusable_side_is_refused_and_the_others_stay_aligned(tmp_path: Path) -> None:
    files = two_files(tmp_path, b"Haus\n\n\xffx\nb\nSee\n", b"house\nb\nc\nd\x00\nlake\n")
    found = read(files["path"], MOSES, tgt_path=files["tgt_path"])
    assert found.pairs == [(1, "Haus", "house"), (5, "See", "lake")]
    assert found.refused == [(2, "empty"), (3, "not-utf8"), (4, "control-character")]
    assert [detail.split(":")[0] for detail in found.details] == ["source", "source", "target"]


def test_blocks_of_different_line_lengths_stay_aligned(tmp_path: Path) -> None:
    count = 30_000
    de = "".join(f"{n}\n" for n in range(count)).encode()
    en = "".join(f"{n} {'x' * (n % 90)}\n" for n in range(count)).encode()
    files = two_files(tmp_path, de, en)
    found = read(files["path"], MOSES, tgt_path=files["tgt_path"])
    assert len(found.pairs) == count
    assert all(src == tgt.split()[0] == str(line - 1) for line, src, tgt in found.pairs)


@pytest.mark.parametrize(
    ("de", "en", "said"),
    [
        (b"a\nb\nc\n", b"a\nb\n", "news.de has 3 lines and "),
        (b"a\n", b"a\nb\n\n", "news.en has 3: line 2 has no other side"),
        (b"", b"a\n", "has 0 lines"),
    ],
)
def test_sides_of_unequal_length_are_refused_with_their_counts(tmp_path: Path, de: bytes, en: bytes, said: str) -> None:
    files = two_files(tmp_path, de, en)
    assert said in refusal(files["path"], MOSES, "not-aligned", tgt_path=files["tgt_path"])


def test_counts_are_right_where_the_sides_differ_by_blocks(tmp_path: Path) -> None:
    files = two_files(tmp_path, b"a\n" * 3, b"a\n" * 2_000_000)
    message = refusal(files["path"], MOSES, "not-aligned", tgt_path=files["tgt_path"])
    assert "has 3 lines" in message
    assert "has 2,000,000: line 4" in message


def test_an_archive_of_opus_is_read_with_what_lies_beside_the_texts(tmp_path: Path) -> None:
    path = archive(tmp_path, OPUS)
    assert read(path, MOSES).pairs == PAIRS
    other_way = [(line, tgt, src) for line, src, tgt in PAIRS]
    assert read(path, MOSES, src_lang="eng_Latn", tgt_lang="deu_Latn").pairs == other_way


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_paths_in_an_archive_mean_nothing(tmp_path: Path, method: int) -> None:
    path = archive(tmp_path, {"../../../etc/x.de": "Haus\nSee\n", "/abs/y.en": "house\nlake\n"}, method)
    assert read(path, MOSES).pairs == PAIRS
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"a.de": "x\n"}, "1 texts"),
        ({}, "0 texts"),
        (OPUS | {"News.de-en.fr": "maison\n"}, "3 texts"),
        ({"a.de": "x\n", "a.fr": "y\n"}, "deu_Latn and eng_Latn"),
        ({"a.txt": "x\n", "b.txt": "y\n"}, "deu_Latn and eng_Latn"),
        ({"a.de": "x\n", "b.de": "y\n"}, "deu_Latn and eng_Latn"),
        ({"a.de": b"PK\x03\x04nested", "a.en": "y\n"}, "another zip"),
        ({"a.de": "x\n", "a.en": b"\x1f\x8b\x08zip"}, "gzip"),
        ({"a.de": "x\n", "a.en": "y\n".encode("utf-16")}, "UTF-16"),
        ({f"{n}.de": "x\n" for n in range(100)}, "100 files"),
        ({"a\n\x1b[2J.de": "x\n", "b.fr": "y\n"}, "\\n\\x1b"),
    ],
)
def test_archives_that_hold_no_pair_are_refused(tmp_path: Path, entries: dict[str, str | bytes], said: str) -> None:
    assert said in refusal(archive(tmp_path, entries), MOSES, "unsupported-input")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(tmp_path: Path, method: int) -> None:
    refusal(archive(tmp_path, OPUS, method), MOSES, "unsupported-input")


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, OPUS)
    content = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = -1
        while (at := content.find(magic, at + 1)) >= 0:
            content[at + offset] |= 1
    path.write_bytes(content)
    assert "encrypted" in refusal(path, MOSES, "unsupported-input")


def test_unequal_texts_in_an_archive_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, OPUS | {"News.de-en.en": "house\n"})
    with pytest.raises(CorpusInputError, match=r"News.de-en.de has 2 lines and News.de-en.en has 1: line 2"):
        read(path, MOSES)


def test_a_bomb_in_an_archive_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, {"a.de": b"0\n" * (40 << 20), "a.en": "y\n"})
    assert path.stat().st_size < 1 << 20
    refusal(path, MOSES, "decompression-bomb")


def test_a_bomb_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, {"a.de": b"0\n" * (40 << 20), "a.en": "y\n"})
    content = bytearray(path.read_bytes())
    at = content.find(b"PK\x01\x02")
    content[at + 20 : at + 24] = struct.pack("<L", 0x7FFFFFFF)  # compressed
    path.write_bytes(content)
    refusal(path, MOSES, "truncated-input")


def test_an_archive_over_the_limit_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, OPUS | {"News.de-en.de": "abcdefgh\n" * 1000})
    refusal(path, MOSES, "input-too-large", Limits(max_bytes=5000))


def test_a_list_of_entries_that_would_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    path = archive(tmp_path, OPUS)
    content = bytearray(path.read_bytes())
    end = content.rfind(b"PK\x05\x06")
    content[end + 8 : end + 12] = struct.pack("<HH", 5, 5)
    content[end + 12 : end + 16] = struct.pack("<L", 2 << 30)
    path.write_bytes(content)
    refusal(path, MOSES, "unsupported-input")


@pytest.mark.parametrize("keep", [4, 30, 100, 200])
def test_a_truncated_archive_is_named(tmp_path: Path, keep: int) -> None:
    path = archive(tmp_path, OPUS)
    path.write_bytes(path.read_bytes()[:-keep])
    refusal(path, MOSES, "truncated-input")


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    path = archive(tmp_path, {"a.de": "Haus\n" * 5000, "a.en": "house\n" * 5000}, zipfile.ZIP_STORED)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"Haus\nHaus", b"Haus\nHans", 1))  # the checksum does not fit
    refusal(path, MOSES, "corrupt-input")
    path.write_bytes(whole[:30] + whole[40:])
    refusal(path, MOSES, "corrupt-input")


@pytest.mark.parametrize("seed", range(60))
def test_random_damage_is_never_a_surprise(tmp_path: Path, seed: int) -> None:
    path = archive(tmp_path, OPUS)
    content, chance = bytearray(path.read_bytes()), random.Random(seed)
    for _ in range(chance.randint(1, 6)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    path.write_bytes(content)
    with suppress(CorpusInputError):
        found = read(path, MOSES)
        assert len(found.pairs) + len(found.refused) == 2


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "news.zip"
    for content in (b"", b"Haus\thouse\n", b"PK"):
        path.write_bytes(content)
        refusal(path, MOSES, "truncated-input" if content == b"PK" else "unsupported-input")
