"""A bitext with its bad pairs filtered out: another bitext, with what was dropped and why beside its pairs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bitextmine.artifacts import ArtifactKey, ArtifactStore
from bitextmine.bitext import KIND, PAIRS, ROW_GROUP, SCHEMA, Bitext, PairsReader
from bitextmine.corpus.identify import IDENTIFIER
from bitextmine.corpus.refused import REFUSED
from bitextmine.errors import ArtifactError
from bitextmine.filters import KEPT, FilterChain, FilterSettings, PairBatch
from bitextmine.pairs_file import open_pairs, pairs_writer
from bitextmine.progress import Progress, silent

REJECTED = "rejected.parquet"
REJECTED_SCHEMA = pa.schema([*SCHEMA, ("filter", pa.string()), ("reason", pa.string())])
STAGE = "filter"
RULES = 2  # counts up when a filter comes to drop other pairs within the same bounds
_JUDGED = ["src", "tgt", "margin"]


def filter_bitext(
    bitext: Bitext, settings: FilterSettings, store: ArtifactStore, *, progress: Progress = silent
) -> Bitext:
    """The pairs that these filters let pass, in their order; the bitext itself where no filter runs.

    The pairs are read as often as there are filters to fit, and once more. Memory: some row groups, and what fitting
    takes (32 bytes a pair). The summary and the parameters are the bitext's; they add the settings, what each filter
    did (`filters`) and how many pairs there were (`unfiltered_pairs`).

    Raises:
        ArtifactError: the bitext is damaged.
        NotFoundError: `bitext-not-found`, it was deleted meanwhile.
        DiskFullError: nothing was published.
    """
    if not settings.filters:
        return bitext
    key = _key(bitext, settings)
    if (found := store.find(key)) is not None:
        return Bitext(found)
    started = time.monotonic()
    chain = FilterChain.fitted(lambda: _batches(bitext), settings.filters)
    with store.publish(key) as staging:
        identical = _part(bitext, chain, staging.path, progress)
        if (refused := bitext.artifact.path / REFUSED).exists():
            shutil.copyfile(refused, staging.path / REFUSED)
        staging.summary |= {**bitext.summary, **_summary(bitext, chain, identical)}
        seconds = {STAGE: round(time.monotonic() - started, 3)}
        staging.summary["seconds"] = {**bitext.summary.get("seconds", {}), **seconds}
    if (artifact := store.find(key)) is None:
        raise ArtifactError(f"{key.kind} {key.digest} vanished after it was published")
    return Bitext(artifact)


def filtered_from(bitext: Bitext) -> str | None:
    """The digest of the bitext that this one was filtered from."""
    return bitext.parameters.get("filtered_from")


@dataclass(frozen=True, slots=True)
class RejectedPage:
    """Some of the dropped pairs, as a mapping of REJECTED_SCHEMA's columns each, and how many there are in all."""

    pairs: list[dict[str, Any]]
    total: int


def rejected_record(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of REJECTED_SCHEMA as JSON values; float32 scores rounded to the six decimals that they hold."""
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in row.items()}


class RejectedPairs:
    """What filters dropped of a bitext, by falling margin; nothing where none ran."""

    def __init__(self, bitext: Bitext) -> None:
        self._path = bitext.artifact.path / REJECTED
        self._dropped: Mapping[str, int] = {
            each["name"]: int(each["dropped"]) for each in bitext.summary.get("filters", [])
        }

    def __len__(self) -> int:
        return sum(self._dropped.values())

    def opened(self) -> AbstractContextManager[PairsReader]:
        """The file, open for reading, of a bitext that was filtered.

        Raises, when it is entered:
            ArtifactError: the file is damaged.
            NotFoundError: `bitext-not-found`, it was deleted meanwhile.
        """
        return open_pairs(self._path, len(self), REJECTED_SCHEMA)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All of them, with the columns of REJECTED_SCHEMA; holds a batch in memory.

        Raises:
            ArtifactError, NotFoundError: as `opened`.
        """
        if not len(self):
            return
        with self.opened() as reader:
            yield from reader.batches(range(len(self)), REJECTED_SCHEMA.names)

    def page(self, start: int, limit: int, dropped_by: str | None = None) -> RejectedPage:
        """At most `limit` of them, from position `start` on; of those that one filter dropped, if it is named.

        Raises:
            ArtifactError, NotFoundError: as `opened`.
        """
        total = len(self) if dropped_by is None else self._dropped.get(dropped_by, 0)
        if start >= total:
            return RejectedPage([], total)
        with self.opened() as reader:
            found = self._positions(reader, start, limit, dropped_by)
            rows: list[dict[str, Any]] = []
            for place in found:
                for batch in reader.batches(place, REJECTED_SCHEMA.names):
                    rows += batch.to_pylist()
        return RejectedPage(rows, total)

    def _positions(self, reader: PairsReader, start: int, limit: int, dropped_by: str | None) -> list[range]:
        """Where they stand in the file, as ranges of neighbours."""
        if dropped_by is None:
            return [range(start, min(start + limit, len(self)))]
        found: list[range] = []
        before = first = 0
        for batch in reader.batches(range(len(self)), ["filter"]):
            places = np.flatnonzero(pc.equal(batch["filter"], dropped_by).to_numpy(zero_copy_only=False))
            wanted = places[max(start - before, 0) : max(start + limit - before, 0)] + first
            runs = np.split(wanted, np.flatnonzero(np.diff(wanted) > 1) + 1)
            found += [range(int(run[0]), int(run[-1]) + 1) for run in runs if len(run)]
            before, first = before + len(places), first + len(batch)
            if before >= start + limit:
                break
        return found


def _key(bitext: Bitext, settings: FilterSettings) -> ArtifactKey:
    described = {
        **bitext.parameters,
        "filtered_from": bitext.digest,
        "filtered_by": settings.as_json(),
        "filter_rules": RULES,
        "filter_identifier": IDENTIFIER,
    }
    return ArtifactKey(KIND, described, {**bitext.artifact.manifest["inputs"], "bitext": bitext.digest})


def _summary(bitext: Bitext, chain: FilterChain, identical: int) -> dict[str, Any]:
    report = chain.report
    return {
        "pairs": report.kept,
        "unfiltered_pairs": report.pairs,
        "filters": [each.as_json() for each in report.filters],
        **({"identical_pairs": identical} if not bitext.parameters.get("drop_identical") else {}),
    }


def _batches(bitext: Bitext) -> Iterator[PairBatch]:
    with bitext.opened() as reader:
        for batch in reader.batches(range(len(bitext)), _JUDGED):
            yield _pair_batch(batch, bitext)


def _pair_batch(batch: pa.RecordBatch, bitext: Bitext) -> PairBatch:
    margin: NDArray[np.float32] = batch["margin"].to_numpy(zero_copy_only=False)  # a null is NaN
    langs = bitext.parameters["src_lang"], bitext.parameters["tgt_lang"]
    return PairBatch(batch["src"].to_pylist(), batch["tgt"].to_pylist(), margin, *langs)


def _part(bitext: Bitext, chain: FilterChain, directory: Path, progress: Progress) -> int:
    """Write the pairs that pass and those that do not; returns how many that pass are the same text twice."""
    names = [each.name for each in chain.filters]
    identical = done = 0
    with ExitStack() as stack:
        falling = bitext.parameters.get("made_by") != "file"
        kept = stack.enter_context(_RowGroups(directory / PAIRS, SCHEMA, falling=falling))
        rejected = stack.enter_context(_RowGroups(directory / REJECTED, REJECTED_SCHEMA, falling=falling))
        reader = stack.enter_context(bitext.opened())
        for batch in reader.batches(range(len(bitext))):
            progress(STAGE, done, len(bitext))
            verdicts = chain.judge(_pair_batch(batch, bitext))
            passed = verdicts.dropped_by == KEPT
            staying = batch.filter(pa.array(passed))
            identical += int(pc.sum(pc.equal(staying["src"], staying["tgt"])).as_py() or 0)
            kept.add(staying)
            going = batch.filter(pa.array(~passed))
            first = pa.array([names[number] for number in verdicts.dropped_by[~passed].tolist()], pa.string())
            reasons = pa.array([verdicts.reasons[row] for row in np.flatnonzero(~passed).tolist()], pa.string())
            rejected.add(pa.record_batch([*going.columns, first, reasons], schema=REJECTED_SCHEMA))
            done += len(batch)
    progress(STAGE, done, len(bitext))
    return identical


class _RowGroups:
    """Writes a file of pairs in row groups of ROW_GROUP, however many come at once."""

    def __init__(self, path: Path, schema: pa.Schema, *, falling: bool) -> None:
        self._path, self._schema, self._falling = path, schema, falling
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0
        self._stack = ExitStack()

    def __enter__(self) -> _RowGroups:
        sink = self._stack.enter_context(pa.OSFile(str(self._path), "wb"))
        self._writer = self._stack.enter_context(pairs_writer(sink, self._schema, falling=self._falling))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._stack:
            if kind is None and self._rows:
                self._flush()

    def add(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        self._rows += len(batch)
        while self._rows >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._waiting, self._schema)
        self._writer.write_table(table[:ROW_GROUP].combine_chunks(), row_group_size=ROW_GROUP)
        self._waiting = table[ROW_GROUP:].to_batches()
        self._rows = len(table) - min(len(table), ROW_GROUP)
