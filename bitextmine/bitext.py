"""Mined sentence pairs as an artifact: written with their texts and provenance, read in pages, exported."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bitextmine.artifacts import Artifact
from bitextmine.corpus import Corpus
from bitextmine.errors import ArtifactError, ParameterError, disk_full_named
from bitextmine.margin import Direction, Pairs

KIND = "bitext"
PAIRS = "pairs.parquet"
ROW_GROUP = 16_384
SCHEMA = pa.schema(
    [
        ("src_id", pa.string()),
        ("tgt_id", pa.string()),
        ("src", pa.string()),
        ("tgt", pa.string()),
        ("margin", pa.float32()),
        ("cosine", pa.float32()),
        ("src_rank", pa.int16()),  # of tgt among src's k neighbours, from 1; null where it is not among them
        ("tgt_rank", pa.int16()),
        ("src_mean", pa.float32()),  # mean cosine of src to its k nearest targets
        ("tgt_mean", pa.float32()),
        ("direction", pa.string()),  # forward, backward, both: whose best candidate the pair is
        ("src_doc_id", pa.string()),
        ("tgt_doc_id", pa.string()),
        ("src_line", pa.int64()),  # in the file that the source corpus names
        ("tgt_line", pa.int64()),
        ("src_row", pa.int64()),  # in the corpus artifact
        ("tgt_row", pa.int64()),
    ]
)
_BREAKS = str.maketrans(dict.fromkeys("\t\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029", " "))  # a tab and all of str.splitlines
_STREAMS = (Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd"))


class ExportFormat(StrEnum):
    """A download's form."""

    TSV = "tsv"  # margin, src, tgt; no header
    JSONL = "jsonl"  # one object a pair with all columns


@dataclass(frozen=True, slots=True)
class SentencePair:
    """One mined pair. See SCHEMA for the columns."""

    src_id: str
    tgt_id: str
    src: str
    tgt: str
    margin: float
    cosine: float
    src_rank: int | None
    tgt_rank: int | None
    src_mean: float
    tgt_mean: float
    direction: Direction
    src_doc_id: str | None
    tgt_doc_id: str | None
    src_line: int
    tgt_line: int
    src_row: int
    tgt_row: int


class Bitext:
    """Pairs by falling margin, in a Parquet file."""

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact

    @property
    def digest(self) -> str:
        return self.artifact.digest

    def __len__(self) -> int:
        return int(self.artifact.summary["pairs"])

    @property
    def parameters(self) -> Mapping[str, Any]:
        return self.artifact.parameters

    @property
    def summary(self) -> Mapping[str, Any]:
        return self.artifact.summary

    @property
    def path(self) -> Path:
        """The Parquet file."""
        return self.artifact.path / PAIRS

    def table(self, columns: list[str] | None = None) -> pa.Table:
        """All pairs, or some of their columns, in memory.

        Raises:
            ArtifactError: the file is damaged.
        """
        with _damage_named(self.path):
            return pq.read_table(self.path, columns=columns)

    def pairs(self, start: int = 0, limit: int | None = None) -> Iterator[SentencePair]:
        """Pairs from position `start` on, at most `limit` of them; holds one row group in memory.

        Raises:
            ArtifactError: the file is damaged.
        """
        stop = len(self) if limit is None else min(start + limit, len(self))
        with _damage_named(self.path), pq.ParquetFile(self.path) as file:
            for group in range(start // ROW_GROUP, -(-stop // ROW_GROUP)):
                first = group * ROW_GROUP
                rows = file.read_row_group(group).slice(max(start - first, 0), stop - max(start, first))
                for row in rows.to_pylist():
                    yield SentencePair(**row | {"direction": Direction(row["direction"])})


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise ArtifactError(f"{path} is damaged ({reason}); delete its folder to mine it again") from error


def write_pairs(path: Path, pairs: Pairs, src: Corpus, tgt: Corpus) -> None:
    """Write pairs with their sentences' texts and provenance, a row group at a time."""
    with pa.OSFile(str(path), "wb") as sink, pq.ParquetWriter(sink, SCHEMA, compression="zstd") as writer:
        for start in range(0, len(pairs), ROW_GROUP):
            writer.write_batch(_batch(pairs[start : start + ROW_GROUP], src, tgt), row_group_size=ROW_GROUP)


def _batch(pairs: Pairs, src: Corpus, tgt: Corpus) -> pa.RecordBatch:
    columns: dict[str, pa.Array] = {
        "margin": pa.array(pairs.margin),
        "cosine": pa.array(pairs.cosine),
        "src_mean": pa.array(pairs.src_mean),
        "tgt_mean": pa.array(pairs.tgt_mean),
        "src_rank": pa.array(pairs.src_rank, mask=pairs.src_rank == 0),
        "tgt_rank": pa.array(pairs.tgt_rank, mask=pairs.tgt_rank == 0),
        "direction": pa.array(_directions(pairs)),
        "src_row": pa.array(pairs.src),
        "tgt_row": pa.array(pairs.tgt),
    }
    for side, corpus, rows in (("src", src, pairs.src), ("tgt", tgt, pairs.tgt)):
        columns[side] = corpus.take("text", rows)
        columns |= {f"{side}_{name}": corpus.take(name, rows) for name in ("id", "doc_id", "line")}
    return pa.record_batch([columns[field.name].cast(field.type) for field in SCHEMA], schema=SCHEMA)


def _directions(pairs: Pairs) -> NDArray[np.str_]:
    one_way = np.where(pairs.forward, Direction.FORWARD.value, Direction.BACKWARD.value)
    return np.where(pairs.forward & pairs.backward, Direction.BOTH.value, one_way)


def export_lines(bitext: Bitext, form: ExportFormat) -> Iterator[str]:
    """The pairs as lines of a download, newline included, best first; a tab never breaks a row."""
    for pair in bitext.pairs():
        if form is ExportFormat.TSV:
            yield f"{pair.margin:.6f}\t{pair.src.translate(_BREAKS)}\t{pair.tgt.translate(_BREAKS)}\n"
        else:
            yield json.dumps(pair_record(pair), ensure_ascii=False) + "\n"


def export_to(path: Path, bitext: Bitext, form: ExportFormat) -> None:
    """Write an export to a file, whole or not at all; to a pipe or a device, such as /dev/stdout, as it comes.

    A file that is replaced keeps its permissions; a new one has those that the umask leaves.

    Raises:
        ArtifactError: the bitext is damaged; an existing file is untouched, as after each of these errors.
        BrokenPipeError: whoever read the pipe has gone.
        DiskFullError: the disk is full.
        ParameterError: `output-not-writable`.
    """
    try:
        with disk_full_named(str(path)):
            if path.exists() and (path.parent in _STREAMS or not (path.is_file() or path.is_dir())):
                with path.open("a", encoding="utf-8", newline="\n") as stream:  # "w" would empty what stdout appends to
                    stream.writelines(export_lines(bitext, form))
            else:
                _write_whole(path.resolve(), export_lines(bitext, form))  # a link stays a link
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ParameterError(f"cannot write {path}: {error.strerror}", code="output-not-writable") from error


def _write_whole(path: Path, lines: Iterator[str]) -> None:
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as stream:
            stream.writelines(lines)
            stream.flush()
            os.fsync(stream.fileno())
        if path.exists():
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def pair_record(pair: SentencePair) -> dict[str, Any]:
    """A pair as JSON values; float32 scores rounded to the six decimals that they hold."""
    record = {name: getattr(pair, name) for name in SCHEMA.names}
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in record.items()}
