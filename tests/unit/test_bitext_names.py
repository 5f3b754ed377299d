"""What exports are called, and which export a name asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import MarginRange
from bitextmine.errors import ParameterError
from bitextmine.exports import Compression, Export, ExportFormat, Side, export_named, file_name
from tests.unit.bitexts import published

WANTED = [
    Export(),
    Export(form=ExportFormat.MOSES, side=Side.SRC),
    Export(form=ExportFormat.MOSES, side=Side.TGT),
    Export(form=ExportFormat.MOSES),
    Export(form=ExportFormat.TMX),
    Export(form=ExportFormat.JSONL),
    Export(form=ExportFormat.PARQUET),
]


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


@pytest.mark.parametrize(
    "wanted",
    [
        {"side": Side.SRC},
        {"side": Side.TGT, "form": ExportFormat.TMX},
        {"form": ExportFormat.MOSES, "compression": Compression.GZ},
        {"form": ExportFormat.MOSES, "compression": Compression.ZST},
    ],
)
def test_what_cannot_be_is_refused(wanted: dict[str, object]) -> None:
    with pytest.raises(ParameterError) as caught:
        Export(**wanted)  # type: ignore[arg-type]
    assert caught.value.code == "invalid-export"


def test_files_are_named_by_languages_and_id(store: ArtifactStore) -> None:
    bitext = published(store)
    stem = f"deu_Latn-eng_Latn-{bitext.digest[:8]}"
    names = [file_name(bitext, wanted) for wanted in WANTED]
    assert names == [f"{stem}.{end}" for end in ("tsv", "deu_Latn", "eng_Latn", "zip", "tmx", "jsonl", "parquet")]
    assert file_name(bitext, Export(compression=Compression.GZ)) == f"{stem}.tsv.gz"
    assert file_name(bitext, Export(form=ExportFormat.TMX, compression=Compression.ZST)) == f"{stem}.tmx.zst"


@pytest.mark.parametrize(
    ("name", "form", "expected"),
    [
        ("pairs", None, (ExportFormat.TSV, Compression.NONE)),
        ("some.dir/pairs.TSV", None, (ExportFormat.TSV, Compression.NONE)),
        ("pairs.txt.gz", None, (ExportFormat.TSV, Compression.GZ)),
        ("pairs.gz", None, (ExportFormat.TSV, Compression.GZ)),
        ("a.b.tsv.ZST", None, (ExportFormat.TSV, Compression.ZST)),
        ("pairs.tmx", None, (ExportFormat.TMX, Compression.NONE)),
        ("pairs.ndjson.zst", None, (ExportFormat.JSONL, Compression.ZST)),
        ("pairs.parquet", None, (ExportFormat.PARQUET, Compression.NONE)),
        ("pairs.parquet.gz", None, (ExportFormat.PARQUET, Compression.GZ)),
        ("pairs.zip", None, (ExportFormat.MOSES, Compression.NONE)),
        ("pairs.csv", ExportFormat.JSONL, (ExportFormat.JSONL, Compression.NONE)),
        ("pairs.csv.gz", ExportFormat.TMX, (ExportFormat.TMX, Compression.GZ)),
        ("pairs.tmx", ExportFormat.TSV, (ExportFormat.TSV, Compression.NONE)),
    ],
)
def test_a_name_tells_what_is_written(
    name: str, form: ExportFormat | None, expected: tuple[ExportFormat, Compression]
) -> None:
    export = export_named(name, Export(margins=MarginRange(1, 2)), form=form)
    assert (export.form, export.compression) == expected
    assert export.margins == MarginRange(1, 2)


def test_a_side_has_any_name() -> None:
    for name, compression in (("news.de", Compression.NONE), ("news.de.gz", Compression.GZ)):
        export = export_named(name, WANTED[1])
        assert (export.form, export.side, export.compression) == (ExportFormat.MOSES, Side.SRC, compression)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("pairs.csv", None),
        ("pairs.json", None),
        ("pairs.xz", None),
        ("pairs.tsv.bz2", ExportFormat.TSV),
        ("pairs.2024", None),
        ("pairs.tar.gz", None),
        ("pairs.zip", ExportFormat.TSV),
        ("pairs.txt", ExportFormat.MOSES),
        ("pairs", ExportFormat.MOSES),
        ("pairs.gz.gz", None),
    ],
)
def test_a_name_of_another_kind_is_refused(name: str, form: ExportFormat | None) -> None:
    with pytest.raises(ParameterError, match=f"cannot write {name}: ") as caught:
        export_named(name, form=form)
    assert caught.value.code == "output-not-writable"


def test_a_zip_is_not_compressed_again() -> None:
    with pytest.raises(ParameterError, match="zip") as caught:
        export_named("pairs.zip.gz")
    assert caught.value.code == "invalid-export"
