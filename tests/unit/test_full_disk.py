"""On a disk that is really full, everything is written whole or not at all, and what was there stays."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bitextmine.artifacts import ArtifactKey, ArtifactStore, write_atomically
from bitextmine.bitext import KIND as BITEXT
from bitextmine.bitext import PAIRS, SCHEMA, Bitext
from bitextmine.corpus import Corpus, CorpusFile, ingest
from bitextmine.embeddings import VECTORS, write_npy
from bitextmine.errors import DiskFullError
from bitextmine.exports import Export, ExportFormat, export_to

KEY = ArtifactKey("thing", {"k": 4}, {})
PAGE = 4096  # a tmpfs gives out room by the page


def files_under(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB and 64 inodes."""
    point = tmp_path / "disk"
    point.mkdir()
    options = ["-t", "tmpfs", "-o", "size=1m,nr_inodes=64", "tmpfs", str(point)]
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        pytest.skip("a full disk needs the right to mount a tmpfs")
    yield point
    subprocess.run(["umount", "--lazy", str(point)], check=True)


def fill(disk: Path, *, leaving: int = 0) -> None:
    """Take all room of the disk but some pages."""
    with suppress(OSError), (disk / "ballast").open("wb", buffering=0) as stream:
        while stream.write(b"x" * PAGE):
            pass
    os.truncate(disk / "ballast", (disk / "ballast").stat().st_size // PAGE * PAGE - leaving * PAGE)


@pytest.mark.parametrize("pages", range(13))
def test_a_corpus_is_ingested_whole_or_not_at_all_wherever_the_disk_fills_up(
    disk: Path, tmp_path: Path, pages: int
) -> None:
    store = ArtifactStore(disk / "artifacts")
    text = tmp_path / "text"
    text.write_text("kept\nkept\n\n")
    kept = ingest(CorpusFile(text, "eng_Latn"), store)
    text.write_text("".join(f"sentence {i // 2}\n\n" for i in range(100)))
    fill(disk, leaving=pages)
    before = files_under(disk)
    corpus: Corpus | None = None
    with suppress(DiskFullError):
        corpus = ingest(CorpusFile(text, "eng_Latn"), store)
    if corpus is None:
        assert pages < 12
        assert files_under(disk) == before
    else:
        assert pages > 3, "a corpus has four files"
        corpus.artifact.verify()
    kept.artifact.verify()
    assert kept.shard_texts(kept.shards[0]) == ["kept"]


@pytest.mark.parametrize("rows", [600, 100_000])
def test_vectors_are_published_whole_or_not_at_all(disk: Path, rows: int) -> None:
    store = ArtifactStore(disk / "artifacts")
    fill(disk, leaving=1)
    before = files_under(disk)
    with pytest.raises(DiskFullError, match="nothing was published"), store.publish(KEY) as staging:
        write_npy(staging.path / VECTORS, np.ones((rows, 64), np.float16))
    assert files_under(disk) == before


@pytest.mark.parametrize("size", [1, 10_000, 2_000_000])
def test_write_atomically_leaves_the_old_file_when_the_disk_is_full(disk: Path, size: int) -> None:
    write_atomically(disk / "name.json", b"old")
    fill(disk)
    before = files_under(disk)
    with pytest.raises(DiskFullError, match=r"name\.json") as raised:
        write_atomically(disk / "name.json", b"x" * size)
    assert raised.value.code == "disk-full"
    assert files_under(disk) == before


@pytest.mark.parametrize("form", [ExportFormat.TSV, ExportFormat.JSONL, ExportFormat.TMX])  # the others take less room
def test_an_export_leaves_the_old_file_when_the_disk_is_full(disk: Path, tmp_path: Path, form) -> None:
    store = ArtifactStore(tmp_path / "artifacts")
    numbers = [field for field in SCHEMA if not pa.types.is_string(field.type)]
    row = {field.name: 1 for field in numbers} | {"src": "x" * 99, "tgt": "y" * 99, "direction": "both"}
    row |= {"src_id": "1", "tgt_id": "1"}
    with store.publish(ArtifactKey(BITEXT, {"src_lang": "deu_Latn", "tgt_lang": "eng_Latn"}, {})) as staging:
        pq.write_table(pa.Table.from_pylist([row] * 10_000, schema=SCHEMA), staging.path / PAIRS)
        staging.summary["pairs"] = 10_000
    (disk / "out.tsv").write_text("old")
    before = files_under(disk)
    with pytest.raises(DiskFullError, match=r"out\.tsv"):
        export_to(disk / "out.tsv", Bitext(store.list(BITEXT)[0]), Export(form=form))
    assert files_under(disk) == before


def test_deleting_works_on_a_disk_with_room_for_nothing(disk: Path) -> None:
    store = ArtifactStore(disk / "artifacts")
    with store.publish(KEY) as staging:
        (staging.path / "data").write_bytes(b"content")
    with suppress(OSError):
        for i in range(100):
            (disk / f"inode{i}").touch()
    with pytest.raises(OSError, match="No space"):
        (disk / "directory").mkdir()
    store.delete(KEY.kind, KEY.digest)
    assert store.find(KEY) is None
    (disk / "directory").mkdir()
