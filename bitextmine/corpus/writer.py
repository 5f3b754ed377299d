"""The files of a corpus artifact, written as its blocks come in."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bitextmine.corpus.cleaning import SentenceBlock
from bitextmine.corpus.corpus import COPIES, COPY_SCHEMA, META, META_FIELD, SENTENCE_SCHEMA, SENTENCES, Corpus
from bitextmine.corpus.dedup import SeenSentences, hash_sentences, words_of
from bitextmine.corpus.parts import CorpusPart
from bitextmine.corpus.refused import REFUSALS_KEPT, REFUSED, RefusalLog
from bitextmine.errors import ArtifactError


@dataclass(slots=True)
class _Rows:
    """Sentences waiting to fill a shard."""

    texts: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    doc_ids: list[str | None] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    metas: list[str | None] = field(default_factory=list)

    @property
    def columns(self) -> tuple[list[Any], ...]:
        """In the order of SENTENCE_SCHEMA, with META last."""
        return self.texts, self.ids, self.doc_ids, self.lines, self.hashes, self.metas


class CorpusWriter:
    """Writes the sentence shards, the copies and the refusals of a corpus, or of a part of one, as its blocks come in.

    With `after`, the part that follows this corpus: the sentences that it has are known, and its last shard is filled
    up first. `meta` says whether sentences may come with metadata.
    """

    def __init__(self, directory: Path, shard_rows: int, *, after: Corpus | None = None, meta: bool = False) -> None:
        self.duplicates = 0
        self.shard_digests: list[str] = []
        self._directory, self._shard_rows, self._meta = directory, shard_rows, meta
        self._seen = SeenSentences()
        self._waiting = _Rows()
        self._stack = ExitStack()
        self._number, self._lines_before = 0, 0
        self._ended: list[CorpusPart] = []
        if after is not None:
            self._number = len(after.parts)
            self._lines_before = sum(part.lines for part in after.parts)
            self._know(after)
        self._first_row, self._first_shard = self.sentences, len(self.shard_digests)
        self._part_row = self._first_row

    @property
    def sentences(self) -> int:
        """Of the whole corpus."""
        return self._seen.count

    @property
    def new_sentences(self) -> int:
        return self._seen.count - self._first_row

    @property
    def seen(self) -> SeenSentences:
        """The sentences of the whole corpus; not to be added to."""
        return self._seen

    def part(self, source: str, lines: int) -> CorpusPart:
        """What was written, as the corpus remembers it; for when all is."""
        kept = min(self.refusals.counts.total(), REFUSALS_KEPT)
        return CorpusPart(self._number, source, lines, self._first_row, self._arrow_shard, kept)

    def end_part(self, source: str, lines: int, sha256: str) -> None:
        """What was added since the last time is all of a source file; another follows, or the end."""
        refused_from = sum(part.refused for part in self._ended)
        copies_from = sum(part.copies or 0 for part in self._ended)
        self._ended.append(
            CorpusPart(
                number=self._number + len(self._ended),
                source=source,
                lines=lines,
                first_row=self._part_row,
                first_shard=0,  # known when all is written
                refused=min(self.refusals.counts.total(), REFUSALS_KEPT) - refused_from,
                run=self._number,
                refused_from=refused_from,
                copies_from=copies_from,
                copies=self.duplicates - copies_from,
                sha256=sha256,
            )
        )
        self._part_row = self.sentences
        self._lines_before += lines

    def ended_parts(self) -> list[CorpusPart]:
        """The source files that were ended, as the corpus remembers them; for when all is written."""
        return [replace(part, first_shard=self._arrow_shard) for part in self._ended]

    @property
    def _arrow_shard(self) -> int:
        """The first shard in the Arrow file: none of the corpus's where there was nothing new."""
        return self._first_shard if self.new_sentences else len(self.shard_digests)

    def __enter__(self) -> Self:
        self._schema = SENTENCE_SCHEMA.append(META_FIELD) if self._meta else SENTENCE_SCHEMA
        self._shards = self._open_arrow(SENTENCES, self._schema)
        self._copies = self._open_arrow(COPIES, COPY_SCHEMA)
        self.refusals = RefusalLog(self._stack.enter_context(self._path(REFUSED).open("w", encoding="utf-8")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._stack:
            if kind is None and self._waiting.texts:
                if self.new_sentences:
                    self._write_shard(len(self._waiting.texts))
                else:  # the last shard is as it was
                    self.shard_digests.append(self._digest(self._waiting.hashes))

    def add(self, block: SentenceBlock) -> NDArray[np.int64]:
        """Take a block in; returns the row in the corpus of each of its sentences, (n,)."""
        self.refusals.add(block.refused)
        if not block.texts:
            return np.empty(0, np.int64)
        known = self._seen.count
        hashes = hash_sentences(block.texts)
        rows = self._seen.add(hashes)
        new = _first_appearances(rows, known)
        self._keep(block, hashes, np.flatnonzero(new))
        self._remember(block, rows, np.flatnonzero(~new))
        while len(self._waiting.texts) >= self._shard_rows:
            self._write_shard(self._shard_rows)
        return rows

    def _keep(self, block: SentenceBlock, hashes: NDArray[np.uint64], positions: NDArray[np.int64]) -> None:
        waiting, digests = self._waiting, hashes.tobytes()
        for i in positions.tolist():
            waiting.texts.append(block.texts[i])
            waiting.ids.append(block.ids[i] or self._line_id(block.lines[i]))
            waiting.doc_ids.append(block.doc_ids[i])
            waiting.lines.append(block.lines[i])
            waiting.hashes.append(digests[16 * i : 16 * i + 16])
            waiting.metas.append(block.metas[i] if self._meta else None)

    def _remember(self, block: SentenceBlock, rows: NDArray[np.int64], positions: NDArray[np.int64]) -> None:
        self.duplicates += len(positions)
        if not len(positions):
            return
        copies = positions.tolist()
        columns = [
            pa.array(rows[positions], pa.int64()),
            pa.array([block.ids[i] or self._line_id(block.lines[i]) for i in copies], pa.large_string()),
            pa.array([block.doc_ids[i] for i in copies], pa.large_string()),
            pa.array([block.lines[i] for i in copies], pa.int64()),
        ]
        self._copies.write_batch(pa.record_batch(columns, schema=COPY_SCHEMA))

    def _line_id(self, line: int) -> str:
        """The id of a sentence that has none: its line, counted on from the files before."""
        return str(self._lines_before + line)

    def _know(self, corpus: Corpus) -> None:
        """Take the sentences of a corpus for seen, and those of its last shard, if there is room in it, for waiting."""
        for shard in corpus.shards:
            self._seen.add(words_of(corpus.shard_column("hash", shard)))
            if shard.stop - shard.start == self._shard_rows:
                self.shard_digests.append(shard.digest)
            else:
                for name, values in zip((*SENTENCE_SCHEMA.names, META), self._waiting.columns, strict=True):
                    values.extend(corpus.shard_column(name, shard).to_pylist())
        self._meta = self._meta or any(meta is not None for meta in self._waiting.metas)
        if self.sentences != len(corpus):
            message = f"corpus {corpus.digest} holds {self.sentences:,} distinct sentences, not {len(corpus):,}"
            raise ArtifactError(f"{message}; delete it and upload it again")

    def _write_shard(self, count: int) -> None:
        columns = [
            pa.array(values[:count], column.type)
            for values, column in zip(self._waiting.columns, self._schema, strict=False)
        ]
        self._shards.write_batch(pa.record_batch(columns, schema=self._schema))
        self.shard_digests.append(self._digest(self._waiting.hashes[:count]))
        for values in self._waiting.columns:
            del values[:count]

    @staticmethod
    def _digest(hashes: list[bytes]) -> str:
        return sha256(b"".join(hashes)).hexdigest()[:32]

    def _path(self, name: str) -> Path:
        return self._directory / CorpusPart(self._number, "", 0, 0, 0, 0).file(name)

    def _open_arrow(self, name: str, schema: pa.Schema) -> pa.ipc.RecordBatchFileWriter:
        sink = self._stack.enter_context(pa.OSFile(str(self._path(name)), "wb"))
        return self._stack.enter_context(pa.ipc.new_file(sink, schema))


def _first_appearances(rows: NDArray[np.int64], known: int) -> NDArray[np.bool_]:
    """Where a row number is new: rows are numbered by first appearance, so new ones are the running maximum's steps."""
    highest = np.maximum.accumulate(np.concatenate(([known - 1], rows)))
    return np.asarray(highest[1:] > highest[:-1])
