"""Pairs in every format from the command line: `mine -o`, and `export` of what was mined before."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from backports import zstd
from lxml import etree

from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import KIND, PAIRS
from bitextmine.cli import run
from tests.tiny_encoder import build_tiny_encoder

SENTENCES = 40
MINE = ["mine", "de", "en", "--src-lang", "de", "--tgt-lang", "en", "--encoder", "tiny"]


@pytest.fixture(scope="module")
def mined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with an encoder, two files, and their pairs as TSV; the data directory holds the bitext."""
    folder = tmp_path_factory.mktemp("export")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("BITEXTMINE_DATA_DIR", "data")
        patch.setenv("BITEXTMINE_ENCODERS_DIR", "encoders")
        build_tiny_encoder(folder / "encoders" / "tiny")
        for language, word in (("de", "Haus"), ("en", "house")):
            Path(language).write_text("".join(f"{word} {n} station {n * 37 % 101}\n" for n in range(SENTENCES)))
        assert run([*MINE, "-o", "pairs.tsv"]) == 0
        yield folder


@pytest.fixture
def rows(mined: Path) -> list[list[str]]:
    """Margin, source and target of each pair."""
    return [line.split("\t") for line in (mined / "pairs.tsv").read_text().splitlines()]


@pytest.fixture
def digest(mined: Path) -> str:
    ((_, digest),) = ArtifactStore(mined / "data" / "artifacts").published(KIND)
    return digest


def of_tsv(content: bytes) -> list[list[str]]:
    return [line.split("\t")[1:] for line in content.decode().splitlines()]


def of_jsonl(content: bytes) -> list[list[str]]:
    return [[pair["src"], pair["tgt"]] for pair in map(json.loads, content.splitlines())]


def of_tmx(content: bytes) -> list[list[str]]:
    return [[seg.text or "" for seg in unit.iter("seg")] for unit in etree.fromstring(content).iter("tu")]


def of_zip(content: bytes) -> list[list[str]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [
            list(pair)
            for pair in zip(*(archive.read(n).decode().splitlines() for n in archive.namelist()), strict=True)
        ]


def of_parquet(content: bytes) -> list[list[str]]:
    return [[row["src"], row["tgt"]] for row in pq.read_table(io.BytesIO(content)).to_pylist()]


READ: dict[str, Callable[[bytes], list[list[str]]]] = {
    "pairs.tsv.gz": lambda content: of_tsv(gzip.decompress(content)),
    "pairs.zst": lambda content: of_tsv(zstd.decompress(content)),
    "pairs.jsonl.zst": lambda content: of_jsonl(zstd.decompress(content)),
    "pairs.tmx": of_tmx,
    "pairs.TMX.GZ": lambda content: of_tmx(gzip.decompress(content)),
    "pairs.zip": of_zip,
    "pairs.parquet": of_parquet,
}


@pytest.mark.parametrize("command", ["mine", "export"])
@pytest.mark.parametrize("name", READ)
def test_the_outputs_name_tells_what_is_written(
    mined: Path, rows: list[list[str]], digest: str, name: str, command: str
) -> None:
    assert run([*(MINE if command == "mine" else ["export", digest]), "-o", name]) == 0
    assert READ[name](Path(name).read_bytes()) == [row[1:] for row in rows]


def test_mine_says_which_bitext_it_is_and_export_takes_that(
    mined: Path, rows: list[list[str]], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(MINE) == 0
    printed, said = capfd.readouterr()
    beginning = said.splitlines()[-1].rpartition(" ")[2]
    assert run(["export", beginning]) == 0
    again, said = capfd.readouterr()
    assert again == printed
    assert said.startswith(f"{len(rows)} of {len(rows)} pairs of bitext {beginning}")


def test_export_leaves_out_other_margins(
    mined: Path, rows: list[list[str]], digest: str, capfd: pytest.CaptureFixture[str]
) -> None:
    high, low = float(rows[5][0]) - 1e-6, float(rows[20][0]) - 1e-6
    kept = [row for row in rows if low <= float(row[0]) <= high]
    assert 0 < len(kept) < len(rows)
    bounds = ["--min-margin", str(low), "--max-margin", str(high)]
    assert run(["export", digest, "--format", "jsonl", *bounds]) == 0
    printed, said = capfd.readouterr()
    assert of_jsonl(printed.encode()) == [row[1:] for row in kept]
    assert said.startswith(f"{len(kept)} of {len(rows)} pairs")


@pytest.mark.parametrize(("side", "column"), [("src", 1), ("tgt", 2)])
def test_export_gives_one_side(mined: Path, rows: list[list[str]], digest: str, side: str, column: int) -> None:
    assert run(["export", digest, "--side", side, "-o", "side.xx.gz"]) == 0
    lines = gzip.decompress(Path("side.xx.gz").read_bytes()).decode().splitlines()
    assert lines == [row[column] for row in rows]


@pytest.mark.parametrize("form", ["parquet", "moses"])
def test_what_is_no_text_goes_through_a_pipe(mined: Path, rows: list[list[str]], digest: str, form: str) -> None:
    command = [sys.executable, "-m", "bitextmine", "export", digest, "--format", form]
    output = subprocess.run(command, check=True, capture_output=True).stdout
    assert (of_zip if form == "moses" else of_parquet)(output) == [row[1:] for row in rows]


REFUSED: list[tuple[list[str], str]] = [
    (["feed"], "there is no bitext feed in data/artifacts"),
    (["abc"], "'abc' is no id of a bitext"),
    (["../../etc"], "'../../etc' is no id"),
    (["ID", "-o", "x.csv"], "cannot write x.csv: pairs are written as .tsv"),
    (["ID", "-o", "x.tsv.xz"], "compressed as .gz or .zst"),
    (["ID", "-o", "x.zip.gz"], "both sides of moses are one zip"),
    (["ID", "-o", "x.zip", "--format", "tsv"], ".zip"),
    (["ID", "-o", "x.tsv", "--format", "moses"], ".zip"),
    (["ID", "-o", "x.tsv", "--format", "tsv", "--side", "src"], "a side can be had of the format moses"),
    (["ID", "-o", "nowhere/x.tsv"], "there is no directory nowhere"),
    (["ID", "-o", "data"], "it is a directory"),
    (["ID", "--min-margin", "nan"], "finite"),
    (["ID", "--min-margin", "2", "--max-margin", "1"], "above the most"),
    (["ID", "--format", "csv"], "--format"),
    (["ID", "--data-dir", "other"], "there is no bitext"),
    ([], "BITEXT_ID"),
]


@pytest.mark.parametrize(("arguments", "said"), REFUSED, ids=[" ".join(case[0]) for case in REFUSED])
def test_what_cannot_be_exported_is_one_line_and_exit_code_2(
    mined: Path, digest: str, arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [digest if word == "ID" else word for word in arguments]
    before = set(mined.iterdir())
    assert run(["export", *words]) == 2
    printed, errors = capfd.readouterr()
    assert printed == ""
    assert errors.count("\n") == 1
    assert said in errors
    assert set(mined.iterdir()) == before


def test_ids_that_begin_alike_must_be_told_apart(mined: Path, digest: str, capfd: pytest.CaptureFixture[str]) -> None:
    other = mined / "data" / "artifacts" / KIND / (digest[:8] + "0" * 24)
    other.mkdir()
    (other / "manifest.json").write_text("{}")
    try:
        assert run(["export", digest[:8]]) == 2
        assert f"several bitexts begin with {digest[:8]}" in capfd.readouterr().err
        assert run(["export", digest, "-o", "alone.tsv"]) == 0
    finally:
        (other / "manifest.json").unlink()
        other.rmdir()


def test_a_damaged_bitext_leaves_the_old_file(mined: Path, digest: str, capfd: pytest.CaptureFixture[str]) -> None:
    pairs = mined / "data" / "artifacts" / KIND / digest / PAIRS
    content = pairs.read_bytes()
    Path("old.tsv").write_text("old")
    pairs.write_bytes(content[:200] + bytes([content[200] ^ 1]) + content[201:])
    try:
        for output in ("old.tsv", "-"):
            assert run(["export", digest, "-o", output]) == 1
            printed, said = capfd.readouterr()
            assert printed == ""
            assert "is damaged" in said
        assert Path("old.tsv").read_text() == "old"
    finally:
        pairs.write_bytes(content)
