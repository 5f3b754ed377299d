"""Exports in files: whole or not at all, and what is no file stays what it is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bitextmine import bitext as bitext_module
from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import Bitext
from bitextmine.errors import ArtifactError, DiskFullError, ParameterError
from bitextmine.exports import Export, ExportFormat, export_chunks, export_to
from tests.unit.bitexts import ROWS, published, with_texts


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


@pytest.mark.parametrize("form", ExportFormat)
def test_an_export_is_its_pieces_joined(store: ArtifactStore, tmp_path: Path, form: ExportFormat) -> None:
    bitext, wanted = with_texts(store, ("größe 😀", "大小")), Export(form=form)
    export_to(tmp_path / "out", bitext, wanted)
    assert (tmp_path / "out").read_bytes() == b"".join(export_chunks(bitext, wanted)) != b""


def test_text_is_written_as_utf8(store: ArtifactStore, tmp_path: Path) -> None:
    export_to(tmp_path / "out", with_texts(store, ("größe 😀", "大小")))
    assert (tmp_path / "out").read_bytes() == "2.000000\tgröße 😀\t大小\n".encode()


def test_a_bitext_of_no_pairs_is_an_empty_file(store: ArtifactStore, tmp_path: Path) -> None:
    for form in (ExportFormat.TSV, ExportFormat.JSONL):
        export_to(tmp_path / "none", published(store, rows=0), Export(form=form))
        assert (tmp_path / "none").read_bytes() == b""


def tsv_of(bitext: Bitext) -> str:
    return b"".join(export_chunks(bitext)).decode()


def damaged(bitext: Bitext) -> Bitext:
    content = bytearray(bitext.path.read_bytes())
    content[len(content) // 8 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 8)
    bitext.path.write_bytes(content)
    return bitext


@pytest.mark.parametrize("hashed", [0, 1 << 20], ids=["found while it is written", "found before"])
def test_an_export_that_fails_leaves_the_old_file_and_nothing_else(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hashed: int
) -> None:
    monkeypatch.setattr(bitext_module, "HASHED_BYTES", hashed)
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "pairs.tsv").write_text("old")
    with pytest.raises(ArtifactError, match=r"pairs\.parquet is damaged"):
        export_to(folder / "pairs.tsv", damaged(published(store)))
    assert [path.name for path in folder.iterdir()] == ["pairs.tsv"]
    assert (folder / "pairs.tsv").read_text() == "old"


def test_an_export_replaces_what_is_there_and_keeps_a_link_a_link(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "real.tsv").write_text("old " * 1000)
    (tmp_path / "link.tsv").symlink_to("real.tsv")
    export_to(tmp_path / "link.tsv", published(store))
    assert (tmp_path / "link.tsv").is_symlink()
    assert len((tmp_path / "real.tsv").read_text().splitlines()) == ROWS


@pytest.mark.parametrize("where", ["no/such/folder/pairs.tsv", "folder"])
def test_a_place_that_cannot_be_written_is_named(store: ArtifactStore, tmp_path: Path, where: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ParameterError, match=f"cannot write .*{where}") as caught:
        export_to(tmp_path / where, published(store))
    assert caught.value.code == "output-not-writable"


def test_a_full_device_is_a_full_disk(store: ArtifactStore) -> None:
    with pytest.raises(DiskFullError):
        export_to(Path("/dev/full"), published(store))
    assert Path("/dev/full").is_char_device()


def test_a_pipe_gets_the_lines_and_stays_a_pipe(store: ArtifactStore, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    bitext = published(store)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        export_to(pipe, bitext)
        output, _ = reader.communicate(timeout=30)
    assert output.decode() == tsv_of(bitext)
    assert pipe.is_fifo()


@pytest.fixture
def exporting(store: ArtifactStore) -> Iterator[list[str]]:
    """A command that exports to /dev/stdout."""
    code = (
        "import sys; from pathlib import Path; from bitextmine.artifacts import ArtifactStore;"
        "from bitextmine.bitext import Bitext; from bitextmine.exports import export_to;"
        "export_to(Path('/dev/stdout'), Bitext(ArtifactStore(Path(sys.argv[1])).list('bitext')[-1]))"
    )
    published(store)
    before = Path("/dev/stdout").lstat()
    yield [sys.executable, "-c", code, str(store.root)]
    assert os.path.samestat(before, Path("/dev/stdout").lstat())


def test_dev_stdout_is_written_to_and_not_replaced(exporting: list[str]) -> None:
    output = subprocess.run(exporting, check=True, capture_output=True).stdout
    assert len(output.splitlines()) == ROWS


def test_dev_stdout_that_is_appended_to_a_file_keeps_what_is_there(exporting: list[str], tmp_path: Path) -> None:
    (tmp_path / "all.tsv").write_text("first\n")
    with (tmp_path / "all.tsv").open("a") as stream:
        subprocess.run(exporting, check=True, stdout=stream)
    lines = (tmp_path / "all.tsv").read_text().splitlines()
    assert (lines[0], len(lines)) == ("first", ROWS + 1)


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_export_has_the_permissions_that_the_umask_leaves(
    store: ArtifactStore, tmp_path: Path, umask: int
) -> None:
    bitext, path = published(store), tmp_path / "pairs.tsv"
    before = os.umask(umask)
    try:
        export_to(path, bitext)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_an_export_that_is_replaced_keeps_its_permissions(store: ArtifactStore, tmp_path: Path, mode: int) -> None:
    path = tmp_path / "pairs.tsv"
    path.touch()
    path.chmod(mode)
    export_to(path, published(store))
    assert path.stat().st_mode & 0o777 == mode
    assert path.stat().st_size


def test_an_export_is_on_the_disk_before_it_has_its_name(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "pairs.tsv", []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append((os.fstat(descriptor).st_size, path.exists())))
    bitext = published(store)
    synced.clear()
    export_to(path, bitext)
    assert synced == [(path.stat().st_size, False)]


def test_a_file_that_was_replaced_by_another_is_not_exported(store: ArtifactStore, tmp_path: Path) -> None:
    bitext, other = published(store), published(store, margins=[1.5] * ROWS)
    bitext.path.write_bytes(other.path.read_bytes())
    with pytest.raises(ArtifactError, match="not the file that was published"):
        export_to(tmp_path / "pairs.tsv", bitext)
    assert not (tmp_path / "pairs.tsv").exists()
