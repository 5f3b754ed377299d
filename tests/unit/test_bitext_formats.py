"""What the formats of an export hold: every pair, in order, whole, and nothing that breaks a row."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from bitextmine import bitext as bitext_module
from bitextmine import pairs_file
from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import SCHEMA, Bitext, MarginRange
from bitextmine.errors import ArtifactError, NotFoundError
from bitextmine.exports import (
    Compression,
    Export,
    ExportFormat,
    Side,
    export_chunks,
    parquet,
)
from tests.unit.bitexts import EVERY_BREAK, ROWS, pairs_of, published, with_texts

WANTED = {
    "tsv": Export(),
    "src": Export(form=ExportFormat.MOSES, side=Side.SRC),
    "tgt": Export(form=ExportFormat.MOSES, side=Side.TGT),
    "moses": Export(form=ExportFormat.MOSES),
    "tmx": Export(form=ExportFormat.TMX),
    "jsonl": Export(form=ExportFormat.JSONL),
    "parquet": Export(form=ExportFormat.PARQUET),
}
XML_CANNOT = "".join(map(chr, [*range(9), 0xB, 0xC, *range(0xE, 0x20), 0xFFFE, 0xFFFF]))


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


@pytest.fixture(params=[(3, 2), (4, 1), (100, 4)], ids="row groups of {0[0]}, batches of {0[1]}".format)
def row_group(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, batch = request.param
    monkeypatch.setattr(bitext_module, "ROW_GROUP", rows)
    monkeypatch.setattr(parquet, "ROW_GROUP", rows)
    monkeypatch.setattr(pairs_file, "BATCH_ROWS", batch)


def exported(bitext: Bitext, **wanted: object) -> bytes:
    chunks = list(export_chunks(bitext, Export(**wanted)))  # type: ignore[arg-type]
    assert all(chunks)
    return b"".join(chunks)


def replaced(text: str, characters: str, by: str) -> str:
    return text.translate(dict.fromkeys(map(ord, characters), by))


def texts_in(bitext: Bitext, name: str, **wanted: object) -> list[tuple[str, ...]]:
    """Both sides of each pair, or the one side that it has, as a reader of the format finds them."""
    content = exported(bitext, form=WANTED[name].form, side=WANTED[name].side, **wanted)
    if name == "tsv":
        return [tuple(line.split("\t")[1:]) for line in _lines(content)]
    if name in ("src", "tgt"):
        return [(line,) for line in _lines(content)]
    if name == "moses":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.testzip() is None
            return list(zip(*(_lines(archive.read(member)) for member in archive.namelist()), strict=True))
    if name == "jsonl":
        return [(record["src"], record["tgt"]) for record in map(json.loads, _lines(content))]
    if name == "tmx":
        units = etree.fromstring(content).iter("tu")
        return [tuple(seg.text or "" for seg in unit.iter("seg")) for unit in units]
    rows = pq.read_table(io.BytesIO(content), page_checksum_verification=True).to_pylist()
    return [(row["src"], row["tgt"]) for row in rows]


def _lines(content: bytes) -> list[str]:
    """Lines as the most liberal reader of them breaks them."""
    lines = content.decode().splitlines()
    assert len(lines) == content.count(b"\n")
    return lines


def as_written(name: str, text: str) -> str:
    """The text, but for what the format's documentation says of it."""
    if name in ("tsv", "src", "tgt", "moses"):
        return replaced(text, EVERY_BREAK, " ")
    return replaced(text, XML_CANNOT, "\ufffd") if name == "tmx" else text


def sides_of(name: str, pair: tuple[str, str]) -> tuple[str, ...]:
    sides = {"src": pair[:1], "tgt": pair[1:]}.get(name, pair)
    return tuple(as_written(name, text) for text in sides)


@pytest.mark.usefixtures("row_group")
@pytest.mark.parametrize("name", WANTED)
@pytest.mark.parametrize("bounds", [(None, None), (1.0, None), (None, 1.2), (0.9, 1.3), (5, 6)], ids=str)
def test_every_format_holds_the_pairs_of_these_margins_in_order(
    store: ArtifactStore, name: str, bounds: tuple[float | None, float | None]
) -> None:
    bitext, margins = published(store), MarginRange(*bounds)
    expected = [sides_of(name, (pair.src, pair.tgt)) for pair in bitext.page(0, 100, margins).pairs]
    assert len(expected) == {(None, None): 11, (1.0, None): 7, (None, 1.2): 7, (0.9, 1.3): 5, (5, 6): 0}[bounds]
    assert texts_in(bitext, name, margins=margins) == expected


@pytest.mark.parametrize("name", WANTED)
def test_any_text_survives_but_for_breaks_in_lines_and_what_xml_cannot_hold(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    anything = st.characters(exclude_categories=["Cs"])
    nasty = st.sampled_from(EVERY_BREAK + XML_CANNOT + "<>&\"'\\/]\x7f\x80\x9f\ufeff\ufdd0\U0001fffe\U0010ffff \u00a0")
    text = st.text(st.one_of(anything, nasty), max_size=20)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(text, text), min_size=1, max_size=3))
    def check(pairs: list[tuple[str, str]]) -> None:
        bitext = with_texts(ArtifactStore(tmp_path_factory.mktemp("any") / "artifacts"), *pairs)
        assert texts_in(bitext, name) == [sides_of(name, pair) for pair in pairs]

    check()


@pytest.mark.parametrize("name", WANTED)
@pytest.mark.parametrize("text", [*EVERY_BREAK, *XML_CANNOT, "\r\n", "\n\r\n", "]]>", "&amp;", "<seg>", ""], ids=ascii)
def test_each_character_that_breaks_something_is_handled(store: ArtifactStore, name: str, text: str) -> None:
    pairs = [(f"a{text}b", f"{text}y{text}"), (text, "x")]
    assert texts_in(with_texts(store, *pairs), name) == [sides_of(name, pair) for pair in pairs]


@pytest.mark.usefixtures("row_group")
def test_a_tsv_line_is_margin_source_and_target(store: ArtifactStore) -> None:
    bitext = published(store)
    expected = "".join(f"{pair.margin:.6f}\t{pair.src}\t{pair.tgt}\n" for pair in bitext.pairs())
    assert exported(bitext) == expected.encode()


@pytest.mark.usefixtures("row_group")
def test_jsonl_holds_what_the_table_holds(store: ArtifactStore) -> None:
    bitext = published(store)
    records = [json.loads(line) for line in _lines(exported(bitext, form=ExportFormat.JSONL))]
    for record, row in zip(records, bitext.table().to_pylist(), strict=True):
        assert list(record) == SCHEMA.names
        assert record == {
            name: pytest.approx(row[name], abs=5.1e-7) if isinstance(row[name], float) else row[name] for name in row
        }


def test_parquet_is_the_file_itself_or_one_like_it(store: ArtifactStore) -> None:
    bitext = published(store)
    assert exported(bitext, form=ExportFormat.PARQUET) == bitext.path.read_bytes()
    part = exported(bitext, form=ExportFormat.PARQUET, margins=MarginRange(0.9, 1.3))
    whole = bitext.table()
    expected = whole.filter([0.9 <= margin <= 1.3 for margin in whole["margin"].to_pylist()])
    assert 0 < expected.num_rows < ROWS
    assert pq.read_table(io.BytesIO(part)).equals(expected)
    metadata = pq.read_metadata(io.BytesIO(part))
    assert metadata.schema.equals(pq.read_metadata(bitext.path).schema)
    assert metadata.row_group(0).sorting_columns == pq.read_metadata(bitext.path).row_group(0).sorting_columns


@pytest.mark.usefixtures("row_group")
def test_a_part_in_parquet_has_the_row_groups_that_a_bitext_has(store: ArtifactStore) -> None:
    part = exported(published(store), form=ExportFormat.PARQUET, margins=MarginRange(0.75, 1.45))
    metadata = pq.read_metadata(io.BytesIO(part))
    sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert sum(sizes) == 9
    assert set(sizes[:-1]) <= {parquet.ROW_GROUP}


def test_a_moses_zip_is_named_as_opus_names_it(store: ArtifactStore) -> None:
    with zipfile.ZipFile(io.BytesIO(exported(published(store), form=ExportFormat.MOSES))) as archive:
        assert archive.namelist() == ["deu_Latn-eng_Latn.deu_Latn", "deu_Latn-eng_Latn.eng_Latn"]
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o644}
    same = published(store, src_lang="eng_Latn")
    with zipfile.ZipFile(io.BytesIO(exported(same, form=ExportFormat.MOSES))) as archive:
        assert archive.namelist() == ["eng_Latn-eng_Latn.src", "eng_Latn-eng_Latn.tgt"]


OPENED = {Compression.NONE: bytes, Compression.GZ: gzip.decompress, Compression.ZST: zstd.decompress}


@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("name", [name for name in WANTED if name != "moses"])
@pytest.mark.parametrize("rows", [0, ROWS])
def test_compression_wraps_what_is_there_without_it(
    store: ArtifactStore, name: str, compression: Compression, rows: int
) -> None:
    bitext, wanted = published(store, rows), {"form": WANTED[name].form, "side": WANTED[name].side}
    packed = exported(bitext, compression=compression, **wanted)
    assert OPENED[compression](packed) == exported(bitext, **wanted)
    assert packed == exported(bitext, compression=compression, **wanted)


def test_compressed_files_hold_no_time_and_a_checksum(store: ArtifactStore) -> None:
    packed = exported(published(store), compression=Compression.GZ)
    assert packed[:4] == b"\x1f\x8b\x08\x00"  # no name
    assert packed[4:8] == bytes(4)
    frame = exported(published(store), compression=Compression.ZST)
    assert frame[4] & 4, "the frame's header says that a checksum follows"


@pytest.mark.parametrize("name", WANTED)
@pytest.mark.parametrize("margins", [MarginRange(), MarginRange(0, 1)])
def test_a_bitext_of_no_pairs_is_an_export_of_none(store: ArtifactStore, name: str, margins: MarginRange) -> None:
    assert texts_in(published(store, rows=0), name, margins=margins) == []


@pytest.mark.parametrize(
    ("name", "compression"),
    [*((name, Compression.NONE) for name in WANTED), *((name, Compression.GZ) for name in WANTED if name != "moses")],
)
def test_damage_in_the_middle_ends_every_export_with_an_error(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch, name: str, compression: Compression
) -> None:
    monkeypatch.setattr(bitext_module, "ROW_GROUP", 50)
    bitext = published(store, rows=200)
    content = bytearray(bitext.path.read_bytes())
    offsets = [pq.read_metadata(bitext.path).row_group(3).column(n).data_page_offset for n in (2, 3)]
    for offset in offsets:
        content[offset + 60] ^= 1
    bitext.path.write_bytes(content)
    wanted = Export(form=WANTED[name].form, side=WANTED[name].side, compression=compression)
    given_out = []
    with pytest.raises(ArtifactError, match="is damaged"):
        given_out.extend(export_chunks(bitext, wanted))
    if compression is Compression.NONE and name != "parquet":
        assert given_out, "the sound pairs before it were given out"
    else:
        with pytest.raises(EOFError):
            gzip.decompress(b"".join(given_out) or b"\x1f\x8b")
    part = Export(form=wanted.form, side=wanted.side, margins=MarginRange(float(pairs_of(200).margin[149]), None))
    assert b"".join(export_chunks(bitext, part)), "the row groups before it are sound, and no other is read"


def test_an_export_of_a_deleted_bitext_is_not_there(store: ArtifactStore) -> None:
    bitext = published(store)
    store.delete("bitext", bitext.digest)
    for wanted in WANTED.values():
        with pytest.raises(NotFoundError):
            list(export_chunks(bitext, wanted))
