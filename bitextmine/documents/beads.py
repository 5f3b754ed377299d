"""Beads of many pairs of documents: as numbers, as a table in document order, and as the pairs of a bitext."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bitextmine.bitext import ROW_GROUP, SCHEMA
from bitextmine.corpus import Corpus
from bitextmine.corpus.scripts import UNSPACED
from bitextmine.documents.links import LinkedDocuments
from bitextmine.documents.order import Documents
from bitextmine.pairs_file import damage_named, pairs_writer
from bitextmine.search import MISSING

BEADS = "beads.parquet"
_BATCH = 4096
_LINES, _IDS = pa.list_(pa.int64()), pa.list_(pa.string())
BEAD_SCHEMA = pa.schema(
    [
        ("src_doc_id", pa.string()),
        ("tgt_doc_id", pa.string()),
        ("src_lines", _LINES),  # counted from 1 in the corpus's file; empty where a target was added
        ("tgt_lines", _LINES),  # empty where a source was left out
        ("src_ids", _IDS),
        ("tgt_ids", _IDS),
        ("src", pa.string()),  # the sentences of the lines, joined
        ("tgt", pa.string()),
        ("score", pa.float32()),  # 1 for the same vector, about 0 for nothing in common; null where a side is empty
        ("cosine", pa.float32()),  # of both sides' vectors; null where a side is empty
        ("cost", pa.float32()),
    ]
)


@dataclass(frozen=True, slots=True)
class Beads:
    """Beads as parallel arrays, (n,) each, in document order. Entries are those of `Documents`, in a row."""

    pair: NDArray[np.int64]  # of linked documents
    src_start: NDArray[np.int64]
    src_count: NDArray[np.int64]
    tgt_start: NDArray[np.int64]
    tgt_count: NDArray[np.int64]
    cost: NDArray[np.float32]
    score: NDArray[np.float32]
    cosine: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.pair)

    def __getitem__(self, rows: slice | NDArray[np.generic]) -> Beads:
        return Beads(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def aligned(self) -> NDArray[np.bool_]:
        """Whether neither side is empty."""
        return (self.src_count > 0) & (self.tgt_count > 0)

    def table(self) -> pa.Table:
        return pa.table({field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def listed(cls, rows: Sequence[tuple[float, ...]]) -> Beads:
        """From the values of each bead, of which there is at least one."""
        columns = list(zip(*rows, strict=True))
        numbers, scores = columns[:-3], columns[-3:]
        pair, src_start, src_count, tgt_start, tgt_count = (np.array(column, np.int64) for column in numbers)
        cost, score, cosine = (np.array(column, np.float32) for column in scores)
        return cls(pair, src_start, src_count, tgt_start, tgt_count, cost, score, cosine)

    @classmethod
    def of(cls, table: pa.Table) -> Beads:
        return cls(*(table[field.name].to_numpy() for field in fields(cls)))


def joiner_of(lang: str) -> str:
    """What stands between two sentences: nothing in scripts that put no spaces between words."""
    return "" if lang.rpartition("_")[2] in UNSPACED else " "


@dataclass(frozen=True, slots=True)
class BeadWriter:
    """Writes beads with what their sentences are and where they come from."""

    src: Corpus
    tgt: Corpus
    linked: LinkedDocuments

    def write_beads(self, path: Path, beads: Beads) -> None:
        """All beads in their order, as BEAD_SCHEMA."""
        with pq.ParquetWriter(path, BEAD_SCHEMA, compression="zstd", write_page_checksum=True) as writer:
            for start in range(0, len(beads), _BATCH):
                part = beads[start : start + _BATCH]
                none = ~part.aligned
                columns: dict[str, pa.Array] = {
                    "score": pa.array(part.score, mask=none),
                    "cosine": pa.array(part.cosine, mask=none),
                    "cost": pa.array(part.cost),
                }
                for name, side in self._sides(part):
                    columns |= {f"{name}_lines": side.lines, f"{name}_ids": side.ids}
                    columns |= {name: side.texts, f"{name}_doc_id": side.doc_ids}
                writer.write_batch(
                    pa.record_batch([columns[field.name].cast(field.type) for field in BEAD_SCHEMA], schema=BEAD_SCHEMA)
                )

    def write_pairs(self, path: Path, beads: Beads) -> int:
        """Those without an empty side as the pairs of a bitext, by falling score; returns how many are of a text with
        itself. A pair has the row, line and id of its first sentence."""
        order = np.flatnonzero(beads.aligned)
        order = order[np.lexsort((order, -beads.score[order]))]
        identical = 0
        with pa.OSFile(str(path), "wb") as sink, pairs_writer(sink) as writer:
            for start in range(0, len(order), ROW_GROUP):
                part = beads[order[start : start + ROW_GROUP]]
                columns: dict[str, pa.Array] = {"margin": pa.array(part.score), "cosine": pa.array(part.cosine)}
                for name, side in self._sides(part):
                    columns |= {name: side.texts, f"{name}_doc_id": side.doc_ids, f"{name}_row": side.first_rows}
                    columns |= {f"{name}_id": _first(side.ids), f"{name}_line": _first(side.lines)}
                columns |= {name: pa.nulls(len(part)) for name in SCHEMA.names if name not in columns}
                batch = pa.record_batch([columns[field.name].cast(field.type) for field in SCHEMA], schema=SCHEMA)
                identical += sum(map(str.__eq__, batch["src"].to_pylist(), batch["tgt"].to_pylist()))
                writer.write_batch(batch, row_group_size=ROW_GROUP)
        return identical

    def _sides(self, beads: Beads) -> Iterator[tuple[str, _Side]]:
        pairs = self.linked.pairs[beads.pair]
        yield "src", _Side.of(self.src, self.linked.src, pairs[:, 0], beads.src_start, beads.src_count)
        yield "tgt", _Side.of(self.tgt, self.linked.tgt, pairs[:, 1], beads.tgt_start, beads.tgt_count)


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of some beads, a value a bead."""

    doc_ids: pa.Array
    lines: pa.ListArray
    ids: pa.ListArray
    texts: pa.Array
    first_rows: pa.Array

    @classmethod
    def of(
        cls,
        corpus: Corpus,
        documents: Documents,
        document: NDArray[np.int64],
        start: NDArray[np.int64],
        count: NDArray[np.int64],
    ) -> _Side:
        offsets = np.concatenate([[0], np.cumsum(count)])
        entries = np.repeat(start - offsets[:-1], count) + np.arange(offsets[-1])
        rows, at = documents.rows[entries], pa.array(offsets, pa.int32())
        texts = corpus.take("text", rows).to_pylist()
        joiner = joiner_of(corpus.lang)
        joined = [joiner.join(texts[a:b]) for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
        return cls(
            pa.array([documents.names[number] for number in document.tolist()], pa.string()),
            pa.ListArray.from_arrays(at, pa.array(documents.lines[entries])),
            pa.ListArray.from_arrays(at, _ids(corpus, rows, documents.copies[entries])),
            pa.array(joined, pa.string()),
            pa.array([rows[at] if n else None for at, n in zip(offsets[:-1], count, strict=True)], pa.int64()),
        )


def _ids(corpus: Corpus, rows: NDArray[np.int64], copies: NDArray[np.int64]) -> pa.Array:
    """The ids of lines, each its own: of a sentence's first one it is the sentence's, of others the copy's."""
    ids = corpus.take("id", rows).cast(pa.string()).to_pylist()
    repeated = np.flatnonzero(copies != MISSING)
    if len(repeated):
        own = corpus.copies()["id"].take(pa.array(copies[repeated])).to_pylist()
        for place, name in zip(repeated.tolist(), own, strict=True):
            ids[place] = name
    return pa.array(ids, pa.string())


def _first(lists: pa.ListArray) -> pa.Array:
    """The first of each list; none is empty."""
    return lists.values.take(lists.offsets[:-1])


def read_beads(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file of beads, a batch in memory.

    Raises:
        ArtifactError: the file is damaged.
        NotFoundError: it was deleted meanwhile.
    """
    with damage_named(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        for batch in file.iter_batches(_BATCH):
            yield from batch.to_pylist()
