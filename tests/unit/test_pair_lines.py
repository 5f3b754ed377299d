"""TSV and JSONL bitexts: a pair a line, whatever the columns, and what is said of rubbish."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import pytest
from backports import zstd

from bitextmine.corpus import Limits
from bitextmine.errors import CorpusInputError, ParameterError
from bitextmine.pair_files import Columns, PairFile, PairFormat, pair_format_of
from tests.unit.pair_readers import DEU, ENG, read, refusal

TSV, JSONL = PairFormat.TSV, PairFormat.JSONL


def written(folder: Path, content: bytes | str, name: str = "pairs.tsv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "pairs"),
    [
        ("Haus\thouse\nSee\tlake\n", [(1, "Haus", "house"), (2, "See", "lake")]),
        ("Haus\thouse\r\nSee\tlake", [(1, "Haus", "house"), (2, "See", "lake")]),
        ("\ufeffHaus\thouse\n", [(1, "Haus", "house")]),
        ("1.25\tHaus\thouse\n-0.5\tSee\tlake\n", [(1, "Haus", "house"), (2, "See", "lake")]),
        ("src\ttgt\nHaus\thouse\n", [(2, "Haus", "house")]),
        ("score\tSRC\tTGT\nx\tHaus\thouse\n", [(2, "Haus", "house")]),
        ("TGT\tid\tSRC\nhouse\t7\tHaus\n", [(2, "Haus", "house")]),
        ("\n \nHaus\thouse\n", [(3, "Haus", "house")]),
        ("1.5\tsrc\ttgt\n1.25\tHaus\thouse\n", [(1, "src", "tgt"), (2, "Haus", "house")]),
    ],
)
def test_columns_are_told_by_the_first_line(tmp_path: Path, content: str, pairs: list[tuple[int, str, str]]) -> None:
    assert read(written(tmp_path, content), TSV).pairs == pairs


@pytest.mark.parametrize(
    ("columns", "pairs"),
    [
        ("4,2", [(1, "Deutsch", "English"), (2, "Haus", "house")]),
        ("Deutsch,English", [(2, "Haus", "house")]),
        (" English , Deutsch ", [(2, "house", "Haus")]),
    ],
)
def test_columns_can_be_numbered_or_named(tmp_path: Path, columns: str, pairs: list[tuple[int, str, str]]) -> None:
    path = written(tmp_path, "id\tEnglish\tnote\tDeutsch\n7\thouse\t\tHaus\tmore\n")
    assert read(path, TSV, columns=Columns.parse(columns)).pairs == pairs


@pytest.mark.parametrize("columns", ["", "2", "2,2", "de,de", "0,1", "1,de", ",", "1,2,3", "-1,2", "1,99999", "²,3,1"])
def test_columns_that_cannot_be_are_refused(columns: str) -> None:
    with pytest.raises(ParameterError):
        Columns.parse(columns)


@pytest.mark.parametrize("content", ["a\tb\tc\n", "1.0\ta\tb\tc\n"])
def test_more_columns_than_tell_themselves_must_be_said(tmp_path: Path, content: str) -> None:
    assert "--columns" in refusal(written(tmp_path, content), TSV, "unknown-columns")


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "de\ten\ten\nHaus\thouse\thouse\n")
    assert "'fr'" in refusal(path, TSV, "unknown-columns", columns=Columns("de", "fr"))
    assert "twice" in refusal(path, TSV, "unknown-columns", columns=Columns("de", "en"))


def test_lines_that_cannot_be_used_are_refused_with_their_number_and_the_rest_is_read(tmp_path: Path) -> None:
    content = b"Haus\thouse\n\nno tab\na\tb\tc\n\xff\tb\nnul\x00\tb\n\tb\na\t \n" + b"x" * 31 + b"\ty\nSee\tlake\n"
    found = read(written(tmp_path, content), TSV, Limits(max_chars=30))
    assert found.pairs == [(1, "Haus", "house"), (10, "See", "lake")]
    assert found.refused == [
        (2, "empty"),
        (3, "bad-record"),
        (4, "bad-record"),
        (5, "not-utf8"),
        (6, "control-character"),
        (7, "empty"),
        (8, "empty"),
        (9, "too-long"),
    ]
    assert found.details[5:7] == ["source: no text", "target: no text"]
    assert "3 columns, not 2" in found.details


def test_a_line_of_megabytes_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    path = written(tmp_path, b"a\tb\n" + b"x" * (30 << 20) + b"\ty\nc\td\n")
    found = read(path, TSV)
    assert found.pairs == [(1, "a", "b"), (3, "c", "d")]
    assert found.refused == [(2, "too-long")]


def test_sentences_are_normalised_as_in_corpora(tmp_path: Path) -> None:
    assert read(written(tmp_path, " Mu\u0308ller \tcafe\u0301\n"), TSV).pairs == [(1, "Müller", "café")]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, zstd.compress])
def test_compressed_files_are_read_and_truncated_ones_named(tmp_path: Path, pack) -> None:
    packed = pack("".join(f"Haus {n}\thouse {n * n}\n" for n in range(2000)).encode())
    assert len(read(written(tmp_path, packed, "pairs.tsv.packed"), TSV).pairs) == 2000
    refusal(written(tmp_path, packed[:-20], "short.packed"), TSV, "truncated-input")


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    refusal(written(tmp_path, gzip.compress(b"a\tb\n" + b"x" * (80 << 20)), "bomb.gz"), TSV, "decompression-bomb")
    refusal(written(tmp_path, b"a\tb\n" * 300), TSV, "input-too-large", Limits(max_bytes=1000))


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b'<?xml version="1.0"?><tmx/>', "--format tmx"),
        (b"<!DOCTYPE html><html>", "XML or HTML"),
        (b'{"src": "a", "tgt": "b"}\n', "--format jsonl"),
        (b"PK\x03\x04rest", "zip"),
        ("a\tb\n".encode("utf-16"), "UTF-16"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_other_kinds_of_files_are_refused_with_a_hint(tmp_path: Path, content: bytes, hint: str) -> None:
    assert hint in refusal(written(tmp_path, content), TSV, "unsupported-input")


def test_records_have_texts_and_perhaps_ids(tmp_path: Path) -> None:
    records = [
        {"src": "Haus", "tgt": "house"},
        {"src": "See", "tgt": "lake", "src_id": "s-1", "tgt_id": 7, "src_doc_id": "d", "margin": 1.2, "other": [1]},
    ]
    found = read(written(tmp_path, "".join(json.dumps(each) + "\n" for each in records)), JSONL)
    assert found.pairs == [(1, "Haus", "house"), (2, "See", "lake")]
    assert found.ids == [(None, None), ("s-1", "7")]


def test_records_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    lines = [
        '{"src": "a", "tgt": "b"}',
        '{"src": "a"}',
        '{"src": 1, "tgt": "b"}',
        "[1, 2]",
        "{",
        '{"src": "a", "tgt": "b", "src_id": true}',
        '{"src": "a", "tgt": "\\ud800"}',
        "[" * 100_000,
        '{"src": "a", "tgt": "b", "tgt_doc_id": "x\\u0000"}',
        "",
    ]
    found = read(written(tmp_path, "\n".join(lines) + "\n"), JSONL)
    assert found.pairs == [(1, "a", "b")]
    bad = "bad-record"
    assert [reason for _, reason in found.refused] == [bad, bad, bad, bad, bad, "control-character", bad, bad, "empty"]


@pytest.mark.parametrize("content", ["[\n", '[{"src": "a", "tgt": "b"}]', "{\n"])
def test_json_that_is_not_jsonl_is_refused(tmp_path: Path, content: str) -> None:
    refusal(written(tmp_path, content), JSONL, "unsupported-input")


def test_a_file_that_is_not_there_or_is_a_directory_is_named(tmp_path: Path) -> None:
    for form in (TSV, JSONL, PairFormat.TMX, PairFormat.MOSES):
        refusal(tmp_path / "nowhere", form, "file-not-found")
        refusal(tmp_path, form, "file-not-found")


def test_formats_are_told_by_names() -> None:
    names = {
        "a.tsv": TSV,
        "a.de-en": TSV,
        "a.TSV.gz": TSV,
        "a.tmx.gz": PairFormat.TMX,
        "de-en.txt.zip": PairFormat.MOSES,
        "a.jsonl.zst": JSONL,
    }
    assert {name: pair_format_of(Path(name)) for name in names} == names


def test_combinations_that_make_no_sense_are_refused() -> None:
    for fields in (
        {"form": TSV, "tgt_path": Path("b")},
        {"form": JSONL, "columns": Columns(1, 2)},
        {"form": PairFormat.TMX, "tgt_lang": DEU},
        {"form": PairFormat.MOSES, "tgt_lang": DEU},
    ):
        with pytest.raises(ParameterError):
            PairFile(Path("a"), DEU, fields.pop("tgt_lang", ENG), fields.pop("form"), **fields)
    PairFile(Path("a"), DEU, DEU, TSV)


def test_a_file_that_changed_since_it_was_hashed_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusInputError) as caught:
        read(written(tmp_path, "a\tb\n"), TSV, sha256="0" * 64)
    assert caught.value.code == "input-changed"
