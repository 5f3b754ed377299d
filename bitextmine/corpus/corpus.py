"""A corpus artifact, opened: memory-mapped shards of distinct sentences with their provenance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bitextmine.artifacts import Artifact
from bitextmine.corpus.cleaning import Refusal
from bitextmine.corpus.refused import REFUSED, read_refusals

KIND = "corpus"
SENTENCES, COPIES = "sentences.arrow", "copies.arrow"
SENTENCE_SCHEMA = pa.schema(
    [
        ("text", pa.large_string()),
        ("id", pa.large_string()),  # the input's own, or the line number
        ("doc_id", pa.large_string()),
        ("line", pa.int64()),  # counted from 1 in the file that `source` names
        ("hash", pa.binary(16)),
    ]
)
COPY_SCHEMA = pa.schema(
    [("sentence", pa.int64()), ("id", pa.large_string()), ("doc_id", pa.large_string()), ("line", pa.int64())]
)


@dataclass(frozen=True, slots=True)
class Shard:
    """A fixed run of a corpus's sentences: rows `start` to `stop`. The digest covers their text."""

    number: int
    start: int
    stop: int
    digest: str


class Corpus:
    """Distinct sentences of one language, numbered from 0 in order of first appearance."""

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact

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
        """The name of the file that the sentences came from."""
        return str(self.artifact.parameters["source"])

    @property
    def summary(self) -> Mapping[str, Any]:
        """Counts: lines, sentences, duplicates, refused (by reason)."""
        return self.artifact.summary

    @cached_property
    def shards(self) -> list[Shard]:
        rows = int(self.artifact.parameters["shard_rows"])
        digests: Sequence[str] = self.artifact.summary["shards"]
        return [Shard(i, i * rows, min((i + 1) * rows, len(self)), digest) for i, digest in enumerate(digests)]

    def same_sentences(self, other: Corpus) -> bool:
        """Whether both hold the same sentences in the same order, whatever their files, languages and ids are."""
        return [shard.digest for shard in self.shards] == [shard.digest for shard in other.shards]

    def shard_texts(self, shard: Shard) -> list[str]:
        texts: list[str] = self.shard_column("text", shard).to_pylist()
        return texts

    def shard_column(self, column: str, shard: Shard) -> pa.Array:
        """A shard's values of a column of SENTENCE_SCHEMA, memory-mapped."""
        return self._reader.get_batch(shard.number).column(column)

    def take(self, column: str, rows: NDArray[np.int64]) -> pa.Array:
        """Values of a column of SENTENCE_SCHEMA at these rows, in their order; touches only the shards they lie in."""
        if not len(rows):
            return pa.array([], SENTENCE_SCHEMA.field(column).type)
        order = np.argsort(rows, kind="stable")
        inverse = np.empty_like(order)
        inverse[order] = np.arange(len(order))
        numbers, starts = np.unique(rows[order] // self.shard_rows, return_index=True)
        parts = [
            self._reader.get_batch(int(number)).column(column).take(pa.array(rows[part] - number * self.shard_rows))
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
        with pa.memory_map(str(self.artifact.path / COPIES)) as source:
            return pa.ipc.open_file(source).read_all()

    def refusals(self, start: int = 0, limit: int | None = None) -> Iterator[Refusal]:
        """The refused lines from number `start` of them on, in the file's order."""
        return read_refusals(self.artifact.path / REFUSED, start, limit)

    @property
    def shard_rows(self) -> int:
        """Sentences of every shard but the last."""
        return int(self.artifact.parameters["shard_rows"])

    @cached_property
    def _reader(self) -> pa.ipc.RecordBatchFileReader:
        return pa.ipc.open_file(pa.memory_map(str(self.artifact.path / SENTENCES)))
