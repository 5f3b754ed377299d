"""Mined sentence pairs as an artifact: written with their texts and provenance, found by margin, read in pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bitextmine.artifacts import Artifact
from bitextmine.corpus import Corpus, Refusal
from bitextmine.corpus.refused import REFUSED, read_refusals
from bitextmine.files import file_sha256
from bitextmine.margin import Direction, Pairs
from bitextmine.pairs_file import (
    EVERY_MARGIN,
    SCHEMA,
    MarginRange,
    PairsReader,
    SentencePair,
    damage_named,
    damaged,
    open_pairs,
    pair_record,
    pairs_writer,
)

__all__ = [
    "EVERY_MARGIN",
    "KIND",
    "PAIRS",
    "SCHEMA",
    "Bitext",
    "MarginRange",
    "Order",
    "PairsPage",
    "PairsReader",
    "SentencePair",
    "pair_record",
    "write_pairs",
]

KIND = "bitext"
PAIRS = "pairs.parquet"
ROW_GROUP = 16_384
HASHED_BYTES = 256 << 20  # files up to this size are compared with their digest before they are read: 0.2 s at most


class Order(StrEnum):
    """Of pairs, by margin."""

    DESC = "desc"  # the best first
    ASC = "asc"


@dataclass(frozen=True, slots=True)
class PairsPage:
    """Some of the pairs that match, and how many do."""

    pairs: list[SentencePair]
    total: int


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
    def scored(self) -> bool:
        """Whether pairs have margins: those of a file that someone else made may have none."""
        return self.summary.get("scored") != 0

    @property
    def path(self) -> Path:
        """The Parquet file."""
        return self.artifact.path / PAIRS

    @property
    def sha256(self) -> str:
        """Of the Parquet file, when it was published."""
        return str(self.artifact.manifest["files"][PAIRS]["sha256"])

    @property
    def size(self) -> int:
        """Of the Parquet file in bytes."""
        return int(self.artifact.manifest["files"][PAIRS]["size"])

    def check(self, *, whole: bool = False) -> None:
        """Find out damage before anything is read: by the file's digest up to HASHED_BYTES, or at any size if `whole`.

        Of a larger file only the footer is looked at: each of its pages has a checksum, and is refused when it is read.

        Raises:
            ArtifactError: the file is damaged.
            NotFoundError: `bitext-not-found`, it was deleted meanwhile.
        """
        with self.opened(), damage_named(self.path):
            if (whole or self.size <= HASHED_BYTES) and file_sha256(self.path) != self.sha256:
                raise damaged(self.path, "it is not the file that was published")

    def opened(self) -> AbstractContextManager[PairsReader]:
        """The file, open for reading: it stays readable though the bitext be deleted.

        Raises, when it is entered:
            ArtifactError: the file is damaged.
            NotFoundError: `bitext-not-found`, it was deleted meanwhile.
        """
        return open_pairs(self.path, len(self))

    def table(self, columns: list[str] | None = None) -> pa.Table:
        """All pairs, or some of their columns, in memory.

        Raises:
            ArtifactError, NotFoundError: as `opened`.
        """
        with damage_named(self.path):
            return pq.read_table(self.path, columns=columns, page_checksum_verification=True)

    def pairs(self, start: int = 0, limit: int | None = None) -> Iterator[SentencePair]:
        """Pairs from position `start` on, at most `limit` of them; holds a batch in memory.

        Raises:
            ArtifactError, NotFoundError: as `opened`.
        """
        stop = len(self) if limit is None else min(start + limit, len(self))
        with self.opened() as reader:
            yield from reader.pairs(range(start, stop))

    def page(self, start: int, limit: int, margins: MarginRange = EVERY_MARGIN, order: Order = Order.DESC) -> PairsPage:
        """At most `limit` of the pairs with such margins, from position `start` among them on, in this order.

        Raises:
            ArtifactError, NotFoundError: as `opened`.
        """
        step = 1 if order is Order.DESC else -1
        with self.opened() as reader:
            matching = reader.span(margins)
            wanted = matching[::step][start : start + limit]
            return PairsPage(list(reader.pairs(wanted[::step]))[::step], len(matching))

    def refusals(self, start: int = 0, limit: int | None = None) -> Iterator[Refusal]:
        """Of given pairs, those that could not be used, in the order of their file; of mined ones there are none."""
        path = self.artifact.path / REFUSED
        return read_refusals(path, start, limit) if path.exists() else iter(())


def write_pairs(path: Path, pairs: Pairs, src: Corpus, tgt: Corpus) -> None:
    """Write pairs with their sentences' texts and provenance, a row group at a time."""
    with pa.OSFile(str(path), "wb") as sink, pairs_writer(sink) as writer:
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
