"""A corpus artifact, opened: memory-mapped shards of distinct sentences with their provenance."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bitextmine.artifacts import Artifact
from bitextmine.corpus.cleaning import Refusal
from bitextmine.corpus.parts import CorpusPart, parts_of, sources_named
from bitextmine.corpus.refused import REFUSED, read_refusals

KIND = "corpus"
SENTENCES, COPIES = "sentences.arrow", "copies.arrow"
SENTENCE_SCHEMA = pa.schema(
    [
        ("text", pa.large_string()),
        ("id", pa.large_string()),  # the input's own, or the line number
        ("doc_id", pa.large_string()),
        ("line", pa.int64()),  # counted from 1 in the file of the row's part
        ("hash", pa.binary(16)),
    ]
)
META = "meta"  # a further column, of JSON objects, in corpora made of JSONL
META_FIELD = pa.field(META, pa.large_string())
COPY_SCHEMA = pa.schema(
    [("sentence", pa.int64()), ("id", pa.large_string()), ("doc_id", pa.large_string()), ("line", pa.int64())]
)


@dataclass(frozen=True, slots=True)
class Shard:
    """A fixed run of a corpus's sentences: rows `start` to `stop`. The digest covers their text.

    `grown_from` are shards of former versions of the corpus that this one begins with, as digest and rows, the largest
    first.
    """

    number: int
    start: int
    stop: int
    digest: str
    grown_from: tuple[tuple[str, int], ...] = ()


class Corpus:
    """Distinct sentences of one language, numbered from 0 in order of first appearance."""

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self._readers: dict[int, pa.ipc.RecordBatchFileReader] = {}  # by part, those that were read from

    def __len__(self) -> int:
        return int(self.artifact.summary["sentences"])

    @property
    def digest(self) -> str:
        return self.artifact.digest

    @property
    def lang(self) -> str:
        return str(self.artifact.parameters["lang"])

    @property
    def source(self) -> str:
        """The names of the files that the sentences came from."""
        return sources_named(self.parts)

    @cached_property
    def parts(self) -> list[CorpusPart]:
        """The files that the sentences came from, in the order in which they were appended."""
        return parts_of(self.artifact)

    def part_of(self, row: int) -> CorpusPart:
        """The file that a sentence first appeared in."""
        return self.parts[bisect_right(self.parts, row, key=lambda part: part.first_row) - 1]

    @property
    def summary(self) -> Mapping[str, Any]:
        """Counts: lines, sentences, duplicates, refused (by reason)."""
        return self.artifact.summary

    @cached_property
    def shards(self) -> list[Shard]:
        rows = int(self.artifact.parameters["shard_rows"])
        digests: Sequence[str] = self.artifact.summary["shards"]
        grown = self.artifact.summary.get("grown", {})  # by number
        return [
            Shard(
                i,
                i * rows,
                min((i + 1) * rows, len(self)),
                digest,
                tuple((str(origin), int(count)) for origin, count in grown.get(str(i), ())),
            )
            for i, digest in enumerate(digests)
        ]

    def same_sentences(self, other: Corpus) -> bool:
        """Whether both hold the same sentences in the same order, whatever their files, languages and ids are."""
        return [shard.digest for shard in self.shards] == [shard.digest for shard in other.shards]

    def beginnings(self, shard: Shard) -> list[tuple[str, int]]:
        """The digests that shards of only the first 1, 2 ... of a shard's sentences have, with their number."""
        hashed, found = sha256(), []
        for rows, value in enumerate(self.shard_column("hash", shard).to_pylist()[:-1], start=1):
            hashed.update(value)
            found.append((hashed.hexdigest()[:32], rows))
        return found

    def shard_texts(self, shard: Shard) -> list[str]:
        texts: list[str] = self.shard_column("text", shard).to_pylist()
        return texts

    def shard_column(self, column: str, shard: Shard) -> pa.Array:
        """A shard's values of a column of SENTENCE_SCHEMA, memory-mapped; or of META, null where there is none."""
        batch = self.shard_batch(shard.number)
        if column == META and META not in batch.schema.names:
            return pa.nulls(len(batch), META_FIELD.type)
        return batch.column(column)

    def shard_batch(self, number: int) -> pa.RecordBatch:
        """All columns of a shard, memory-mapped. Not for two threads at a time."""
        part = next(part for part in reversed(self.parts) if part.first_shard <= number)
        if part.number not in self._readers:
            source = pa.memory_map(str(self._path(part, SENTENCES)))
            self._readers[part.number] = pa.ipc.open_file(source)
        return self._readers[part.number].get_batch(number - part.first_shard)

    def take(self, column: str, rows: NDArray[np.int64]) -> pa.Array:
        """Values of a column of SENTENCE_SCHEMA at these rows, in their order; touches only the shards they lie in."""
        if not len(rows):
            return pa.array([], META_FIELD.type if column == META else SENTENCE_SCHEMA.field(column).type)
        order = np.argsort(rows, kind="stable")
        inverse = np.empty_like(order)
        inverse[order] = np.arange(len(order))
        numbers, starts = np.unique(rows[order] // self.shard_rows, return_index=True)
        parts = [
            self.shard_column(column, self.shards[number]).take(pa.array(rows[part] - number * self.shard_rows))
            for number, part in zip(numbers, np.split(order, starts[1:]), strict=True)
        ]
        return pa.concat_arrays(parts).take(pa.array(inverse))

    def all_ids(self) -> Iterator[tuple[int, str]]:
        """Every (row, id), copies included."""
        for shard in self.shards:
            ids = self.shard_column("id", shard).to_pylist()
            yield from zip(range(shard.start, shard.stop), ids, strict=True)
        yield from ((int(copy["sentence"]), str(copy["id"])) for copy in self.copies().to_pylist())

    def copies(self) -> pa.Table:
        """The further appearances of duplicated sentences, as COPY_SCHEMA: `sentence` is the row they repeat."""
        names = dict.fromkeys(part.file(COPIES) for part in self.parts)
        return pa.concat_tables([_read(self.artifact.path / name) for name in names])

    def copies_in(self, part: CorpusPart) -> pa.Table:
        """As `copies`, those that one of the files brought; of sentences of earlier files too."""
        return _read(self._path(part, COPIES)).slice(part.copies_from, part.copies)

    def refusals(self, start: int = 0, limit: int | None = None) -> Iterator[Refusal]:
        """The refused lines from number `start` of them on, in the order of the files and their lines."""
        return (refusal for _, refusal in self.refusals_by_part(start, limit))

    def refusals_by_part(self, start: int = 0, limit: int | None = None) -> Iterator[tuple[CorpusPart, Refusal]]:
        """As `refusals`, with the file that each line is of."""
        return islice(self._all_refusals(start), limit)

    def _all_refusals(self, start: int) -> Iterator[tuple[CorpusPart, Refusal]]:
        for part in self.parts:
            if start < part.refused:
                path = self._path(part, REFUSED)
                for refusal in read_refusals(path, part.refused_from + start, part.refused - start):
                    yield part, refusal
            start = max(start - part.refused, 0)

    def _path(self, part: CorpusPart, name: str) -> Path:
        return self.artifact.path / part.file(name)

    @property
    def shard_rows(self) -> int:
        """Sentences of every shard but the last."""
        return int(self.artifact.parameters["shard_rows"])


def _read(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()
