from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextmine import bitext as bitext_module
from bitextmine.artifacts import ArtifactKey, ArtifactStore
from bitextmine.bitext import (
    KIND,
    PAIRS,
    SCHEMA,
    Bitext,
    ExportFormat,
    SentencePair,
    export_lines,
    export_to,
    pair_record,
    write_pairs,
)
from bitextmine.corpus import Corpus, CorpusFile, ingest
from bitextmine.errors import ArtifactError, DiskFullError, ParameterError
from bitextmine.margin import Direction, Pairs

ROWS = 11
EVERY_BREAK = "\t\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


@pytest.fixture(params=[3, 4, 11, 100], ids="row groups of {}".format)
def row_group(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(bitext_module, "ROW_GROUP", request.param)
    return int(request.param)


def corpus_of(texts: list[str], store: ArtifactStore) -> Corpus:
    path = store.root.parent / f"{texts[0]}.txt"
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return ingest(CorpusFile(path, "eng_Latn"), store, shard_rows=4)


def pairs_of(rows: int) -> Pairs:
    """Source row i with target row rows - 1 - i; every third forward only, backward only, both."""
    up, scores = np.arange(rows), np.linspace(1.5, 0.7, rows, dtype=np.float32)
    ranks = (up % 3).astype(np.int16)
    return Pairs(up, up[::-1], scores, scores / 2, scores / 3, scores / 4, ranks, ranks[::-1], up % 3 != 1, up % 3 != 0)


def published(store: ArtifactStore, rows: int = ROWS) -> Bitext:
    src, tgt = (corpus_of([f"{side} {n}" for n in range(max(rows, 1))], store) for side in ("src", "ziel"))
    with store.publish(ArtifactKey(KIND, {"k": rows}, {})) as staging:
        write_pairs(staging.path / PAIRS, pairs_of(rows), src, tgt)
        staging.summary["pairs"] = rows
    return Bitext(store.list(KIND)[-1])


def with_texts(store: ArtifactStore, src: str, tgt: str) -> Bitext:
    """A bitext of one pair of any texts, also of those that no corpus would take."""
    first = pair_record(next(published(store).pairs())) | {"src": src, "tgt": tgt}
    key = ArtifactKey(KIND, {"src": src, "tgt": tgt}, {})
    with store.publish(key) as staging:
        pq.write_table(pa.Table.from_pylist([first], SCHEMA), staging.path / PAIRS)
        staging.summary["pairs"] = 1
    artifact = store.find(key)
    assert artifact is not None
    return Bitext(artifact)


@pytest.mark.usefixtures("row_group")
def test_a_page_is_that_slice_wherever_row_groups_begin_and_end(store: ArtifactStore) -> None:
    bitext = published(store)
    everything = list(bitext.pairs())
    assert len(everything) == len(bitext) == ROWS
    for start in range(ROWS + 2):
        assert list(bitext.pairs(start)) == everything[start:]
        for limit in range(ROWS + 2):
            assert list(bitext.pairs(start, limit)) == everything[start : start + limit]


def test_the_file_holds_row_groups_of_the_size_that_pages_are_read_by(store: ArtifactStore, row_group: int) -> None:
    metadata = pq.read_metadata(published(store).path)
    sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert sum(sizes) == ROWS
    assert set(sizes[:-1]) <= {row_group}


def test_pairs_are_written_with_their_texts_lines_and_scores(store: ArtifactStore) -> None:
    bitext = published(store)
    assert bitext.table().schema.equals(SCHEMA)
    given_pairs = pairs_of(ROWS)
    for row, pair in enumerate(bitext.pairs()):
        other = ROWS - 1 - row
        assert (pair.src, pair.tgt, pair.src_row, pair.tgt_row) == (f"src {row}", f"ziel {other}", row, other)
        assert (pair.src_id, pair.src_line, pair.tgt_id, pair.tgt_line) == (
            str(row + 1),
            row + 1,
            str(other + 1),
            other + 1,
        )
        assert (pair.margin, pair.cosine) == (given_pairs.margin[row], given_pairs.cosine[row])
        assert (pair.src_mean, pair.tgt_mean) == (given_pairs.src_mean[row], given_pairs.tgt_mean[row])
        assert pair.direction is [Direction.FORWARD, Direction.BACKWARD, Direction.BOTH][row % 3]
        assert pair.src_rank == (row % 3 or None)
        assert pair.src_doc_id is None


@pytest.mark.parametrize("form", ExportFormat)
def test_a_bitext_of_no_pairs_is_an_empty_file(store: ArtifactStore, tmp_path: Path, form: ExportFormat) -> None:
    bitext = published(store, rows=0)
    assert (len(bitext), list(bitext.pairs()), list(bitext.pairs(0, 5))) == (0, [], [])
    assert bitext.table().num_rows == 0
    export_to(tmp_path / "none", bitext, form)
    assert (tmp_path / "none").read_bytes() == b""


@pytest.mark.usefixtures("row_group")
def test_a_tsv_line_is_margin_source_and_target(store: ArtifactStore) -> None:
    bitext = published(store)
    assert list(export_lines(bitext, ExportFormat.TSV)) == [
        f"{pair.margin:.6f}\t{pair.src}\t{pair.tgt}\n" for pair in bitext.pairs()
    ]


@pytest.mark.parametrize("text", [f"a{mark}b" for mark in EVERY_BREAK] + ["\r\n", "\t\t", "\n"], ids=ascii)
def test_a_tab_or_newline_in_a_sentence_never_breaks_a_tsv_row(store: ArtifactStore, text: str) -> None:
    (line,) = export_lines(with_texts(store, text, f"x{text}y"), ExportFormat.TSV)
    assert line.splitlines() == [line[:-1]]
    assert len(line.split("\t")) == 3
    assert line.endswith("y\n")


def test_any_text_survives_jsonl_and_keeps_tsv_in_three_columns(tmp_path_factory: pytest.TempPathFactory) -> None:
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)

    @settings(max_examples=40, deadline=None)
    @given(src=text, tgt=text)
    def check(src: str, tgt: str) -> None:
        bitext = with_texts(ArtifactStore(tmp_path_factory.mktemp("any") / "artifacts"), src, tgt)
        (tsv,) = export_lines(bitext, ExportFormat.TSV)
        assert len(tsv.splitlines()[0].split("\t")) == 3
        (record,) = map(json.loads, export_lines(bitext, ExportFormat.JSONL))
        assert (record["src"], record["tgt"]) == (src, tgt)

    check()


@pytest.mark.usefixtures("row_group")
def test_jsonl_holds_what_the_table_holds(store: ArtifactStore) -> None:
    bitext = published(store)
    records = [json.loads(line) for line in export_lines(bitext, ExportFormat.JSONL)]
    for record, row in zip(records, bitext.table().to_pylist(), strict=True):
        assert list(record) == SCHEMA.names
        assert record == {
            name: pytest.approx(row[name], abs=5.1e-7) if isinstance(row[name], float) else row[name] for name in row
        }


def test_a_record_has_a_field_for_every_column() -> None:
    assert list(SentencePair.__slots__) == SCHEMA.names


@pytest.mark.parametrize("form", ExportFormat)
def test_an_export_is_the_lines_as_utf8(store: ArtifactStore, tmp_path: Path, form: ExportFormat) -> None:
    bitext = with_texts(store, "größe 😀", "大小")
    export_to(tmp_path / "out", bitext, form)
    assert (tmp_path / "out").read_bytes() == "".join(export_lines(bitext, form)).encode()


def damaged(bitext: Bitext) -> Bitext:
    content = bytearray(bitext.path.read_bytes())
    content[len(content) // 8 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 8)
    bitext.path.write_bytes(content)
    return bitext


def test_an_export_that_fails_leaves_the_old_file_and_nothing_else(store: ArtifactStore, tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "pairs.tsv").write_text("old")
    with pytest.raises(ArtifactError, match=r"pairs\.parquet is damaged"):
        export_to(folder / "pairs.tsv", damaged(published(store)), ExportFormat.TSV)
    assert [path.name for path in folder.iterdir()] == ["pairs.tsv"]
    assert (folder / "pairs.tsv").read_text() == "old"


def test_a_damaged_bitext_is_told_as_such_in_one_line(store: ArtifactStore) -> None:
    bitext = damaged(published(store))
    for read in (bitext.table, lambda: list(bitext.pairs())):
        with pytest.raises(ArtifactError) as caught:
            read()
        assert "\n" not in str(caught.value)


def test_an_export_replaces_what_is_there_and_keeps_a_link_a_link(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "real.tsv").write_text("old " * 1000)
    (tmp_path / "link.tsv").symlink_to("real.tsv")
    export_to(tmp_path / "link.tsv", published(store), ExportFormat.TSV)
    assert (tmp_path / "link.tsv").is_symlink()
    assert len((tmp_path / "real.tsv").read_text().splitlines()) == ROWS


@pytest.mark.parametrize("where", ["no/such/folder/pairs.tsv", "folder"])
def test_a_place_that_cannot_be_written_is_named(store: ArtifactStore, tmp_path: Path, where: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ParameterError, match=f"cannot write .*{where}") as caught:
        export_to(tmp_path / where, published(store), ExportFormat.TSV)
    assert caught.value.code == "output-not-writable"


def test_a_full_device_is_a_full_disk(store: ArtifactStore) -> None:
    with pytest.raises(DiskFullError):
        export_to(Path("/dev/full"), published(store), ExportFormat.TSV)
    assert Path("/dev/full").is_char_device()


def test_a_pipe_gets_the_lines_and_stays_a_pipe(store: ArtifactStore, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    bitext = published(store)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        export_to(pipe, bitext, ExportFormat.TSV)
        output, _ = reader.communicate(timeout=30)
    assert output.decode() == "".join(export_lines(bitext, ExportFormat.TSV))
    assert pipe.is_fifo()


@pytest.fixture
def exporting(store: ArtifactStore) -> Iterator[list[str]]:
    """A command that exports to /dev/stdout."""
    code = (
        "import sys; from pathlib import Path; from bitextmine.artifacts import ArtifactStore;"
        "from bitextmine.bitext import *;"
        "export_to(Path('/dev/stdout'), Bitext(ArtifactStore(Path(sys.argv[1])).list('bitext')[-1]), ExportFormat.TSV)"
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
        export_to(path, bitext, ExportFormat.TSV)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_an_export_that_is_replaced_keeps_its_permissions(store: ArtifactStore, tmp_path: Path, mode: int) -> None:
    path = tmp_path / "pairs.tsv"
    path.touch()
    path.chmod(mode)
    export_to(path, published(store), ExportFormat.TSV)
    assert path.stat().st_mode & 0o777 == mode
    assert path.stat().st_size


def test_an_export_is_on_the_disk_before_it_has_its_name(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "pairs.tsv", []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append((os.fstat(descriptor).st_size, path.exists())))
    bitext = published(store)
    synced.clear()
    export_to(path, bitext, ExportFormat.TSV)
    assert synced == [(path.stat().st_size, False)]
