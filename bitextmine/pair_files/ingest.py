"""Ingest of a file of pairs: the distinct sentences of each side as a corpus, and which of them are paired."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bitextmine.artifacts import Artifact, ArtifactKey, ArtifactStore, Staging, file_sha256
from bitextmine.corpus import Corpus, CorpusFile, Limits, Refusal, check_readable
from bitextmine.corpus.build import SHARD_ROWS
from bitextmine.corpus.cleaning import SentenceBlock
from bitextmine.corpus.refused import REFUSED, RefusalLog, read_refusals
from bitextmine.corpus.writer import CorpusWriter
from bitextmine.errors import ArtifactError, CorpusInputError
from bitextmine.pair_files.pairs import PairFile
from bitextmine.pair_files.read import read_pairs
from bitextmine.progress import Progress, silent

KIND, SIDE_KIND = "pairs", "pairs-side"
PAIRS = "pairs.arrow"
STAGE = "read"
BATCH_ROWS = 16_384
_SIDES = ("src", "tgt")
PAIR_SCHEMA = pa.schema(
    [
        ("src_row", pa.int64()),  # of the sentence in its side's corpus
        ("tgt_row", pa.int64()),
        ("line", pa.int64()),  # counted from 1; in TMX, the unit
        ("src_id", pa.string()),  # the file's own, or the line
        ("tgt_id", pa.string()),
        ("src_doc_id", pa.string()),
        ("tgt_doc_id", pa.string()),
    ]
)


@dataclass(frozen=True)
class IngestedPairs:
    """A file's pairs: rows of two corpora that hold each side's distinct sentences."""

    artifact: Artifact
    src: Corpus
    tgt: Corpus

    def __len__(self) -> int:
        return int(self.artifact.summary["pairs"])

    @property
    def digest(self) -> str:
        return self.artifact.digest

    @property
    def names(self) -> tuple[str, str]:
        """What provenance calls the files of source and target."""
        return str(self.artifact.parameters["src_source"]), str(self.artifact.parameters["tgt_source"])

    @property
    def refused_path(self) -> Path:
        return self.artifact.path / REFUSED

    def refusals(self, start: int = 0, limit: int | None = None) -> Iterator[Refusal]:
        """The lines or units that could not be used, in the file's order."""
        return read_refusals(self.refused_path, start, limit)

    def column(self, name: str) -> NDArray[np.int64]:
        """A column of integers of PAIR_SCHEMA, (pairs,)."""
        parts = [self._reader.get_batch(number).column(name) for number in range(self._reader.num_record_batches)]
        return np.concatenate([np.empty(0, np.int64), *(part.to_numpy() for part in parts)])

    def take(self, name: str, pairs: NDArray[np.int64]) -> pa.Array:
        """Values of a column at these pairs, in their order; holds the batches that they lie in one at a time."""
        order = np.argsort(pairs, kind="stable")
        numbers, starts = np.unique(pairs[order] // BATCH_ROWS, return_index=True)
        parts = [
            self._reader.get_batch(int(number)).column(name).take(pa.array(pairs[part] - number * BATCH_ROWS))
            for number, part in zip(numbers, np.split(order, starts[1:]), strict=True)
        ]
        inverse = np.empty_like(order)
        inverse[order] = np.arange(len(order))
        return pa.concat_arrays([pa.array([], PAIR_SCHEMA.field(name).type), *parts]).take(pa.array(inverse))

    @cached_property
    def _reader(self) -> pa.ipc.RecordBatchFileReader:
        return pa.ipc.open_file(pa.memory_map(str(self.artifact.path / PAIRS)))


def ingest_pairs(
    file: PairFile,
    store: ArtifactStore,
    *,
    limits: Limits | None = None,
    shard_rows: int = SHARD_ROWS,
    progress: Progress = silent,
) -> IngestedPairs:
    """The pairs of a file: found if they were ingested before, made otherwise. Progress counts the file's bytes.

    What cannot be used is refused line by line (in TMX: unit by unit), counted and kept with number and reason. Pairs
    that are repeated stay; their sentences are embedded once.

    Raises:
        CorpusInputError: the file as a whole is unusable: see `read_pairs`, or `empty-corpus`: no pair can be used.
        DiskFullError: nothing was published.
    """
    limits = limits or Limits()
    file = replace(file, sha256=file.sha256 or _sha256(file.path), tgt_sha256=_sha256(file.tgt_path))
    keys = _keys(file, limits, shard_rows)
    found = _find(keys, store)
    if found is None:
        with ExitStack() as stack:  # published in the reverse order: the pairs last, when both sides are there
            stagings = [stack.enter_context(store.publish(key)) for key in keys]
            _write(file, stagings, limits, shard_rows, progress)
        found = _find(keys, store)
    if found is None:
        raise ArtifactError(f"the pairs of {file.label} vanished while they were published")
    return found


def delete_ingested(store: ArtifactStore, pairs: IngestedPairs) -> None:
    """Delete what was made of the file; embeddings stay."""
    store.delete(KIND, pairs.artifact.digest)
    for side in (pairs.src, pairs.tgt):
        store.delete(SIDE_KIND, side.digest)


def _keys(file: PairFile, limits: Limits, shard_rows: int) -> tuple[ArtifactKey, ...]:
    """Of the pairs, the source's and the target's sentences."""
    src_source, tgt_source = file.names
    parameters = {
        "src_lang": file.src_lang,
        "tgt_lang": file.tgt_lang,
        "src_source": src_source,
        "tgt_source": tgt_source,
        "format": file.format.value,
        "columns": str(file.columns) if file.columns else None,
        "shard_rows": shard_rows,
        "limits": asdict(limits),
    }
    inputs = {"content": file.sha256} | ({"tgt_content": file.tgt_sha256} if file.tgt_path else {})
    pairs = ArtifactKey(KIND, parameters, inputs)
    sides = zip(_SIDES, file.names, (file.src_lang, file.tgt_lang), strict=True)
    return pairs, *(
        ArtifactKey(
            SIDE_KIND,
            {"side": side, "lang": lang, "source": source, "shard_rows": shard_rows},
            {"pairs": pairs.digest},
        )
        for side, source, lang in sides
    )


def _find(keys: tuple[ArtifactKey, ...], store: ArtifactStore) -> IngestedPairs | None:
    pairs, src, tgt = (store.find(key) for key in keys)
    if pairs is None or src is None or tgt is None:
        return None
    return IngestedPairs(pairs, Corpus(src), Corpus(tgt))


def _sha256(path: Path | None) -> str:
    """Of the file's content; empty where there is none."""
    if path is None:
        return ""
    check_readable(CorpusFile(path, ""))
    try:
        return file_sha256(path)
    except OSError as error:
        raise CorpusInputError(f"cannot read {path}: {error.strerror}", code="file-not-found") from error


def _write(file: PairFile, stagings: list[Staging], limits: Limits, shard_rows: int, progress: Progress) -> None:
    pairs, *sides = stagings
    size = sum(path.stat().st_size for path in file.paths)
    lines = count = 0
    with ExitStack() as stack:
        refused = RefusalLog(stack.enter_context((pairs.path / REFUSED).open("w", encoding="utf-8")))
        table = stack.enter_context(_PairWriter(pairs.path / PAIRS))
        writers = [stack.enter_context(CorpusWriter(side.path, shard_rows)) for side in sides]
        for block in read_pairs(file, limits):
            refused.add(block.refused)
            rows = [writer.add(part) for writer, part in zip(writers, (block.src, block.tgt), strict=True)]
            table.add(rows[0], rows[1], block.src, block.tgt)
            lines, count = lines + block.lines, count + len(block)
            progress(STAGE, min(block.consumed, size), size)
    if not count:
        why = refused.why_empty(file.label, "pair", lines) if lines else f"{file.label} holds no pair"
        raise CorpusInputError(why, code="empty-corpus")
    progress(STAGE, size, size)
    pairs.summary |= {"lines": lines, "pairs": count, "refused": dict(refused.counts)}
    for side, writer in zip(sides, writers, strict=True):
        side.summary |= {
            "lines": lines,
            "sentences": writer.sentences,
            "duplicates": writer.duplicates,
            "refused": {},
            "shards": writer.shard_digests,
        }


class _PairWriter:
    """Writes pairs in batches of BATCH_ROWS, so that a pair's batch is known from its number."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack = ExitStack()
        self._waiting: dict[str, list[object]] = {name: [] for name in PAIR_SCHEMA.names}

    def __enter__(self) -> _PairWriter:
        sink = self._stack.enter_context(pa.OSFile(str(self._path), "wb"))
        self._writer = self._stack.enter_context(pa.ipc.new_file(sink, PAIR_SCHEMA))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._stack:
            if kind is None and self._waiting["line"]:
                self._flush()

    def add(
        self, src_rows: NDArray[np.int64], tgt_rows: NDArray[np.int64], src: SentenceBlock, tgt: SentenceBlock
    ) -> None:
        waiting = self._waiting
        waiting["src_row"] += src_rows.tolist()
        waiting["tgt_row"] += tgt_rows.tolist()
        waiting["line"] += src.lines
        for side, block in (("src", src), ("tgt", tgt)):
            waiting[f"{side}_id"] += [own or str(line) for own, line in zip(block.ids, block.lines, strict=True)]
            waiting[f"{side}_doc_id"] += block.doc_ids
        while len(waiting["line"]) >= BATCH_ROWS:
            self._flush()

    def _flush(self) -> None:
        columns = [pa.array(self._waiting[field.name][:BATCH_ROWS], field.type) for field in PAIR_SCHEMA]
        self._writer.write_batch(pa.record_batch(columns, schema=PAIR_SCHEMA))
        for values in self._waiting.values():
            del values[:BATCH_ROWS]
