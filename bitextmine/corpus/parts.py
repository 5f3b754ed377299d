"""The files that a corpus was made of: each appended one adds files of its own to those that are there already."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bitextmine.artifacts import Artifact
from bitextmine.corpus.refused import REFUSALS_KEPT

_MANY = 3  # names of sources that are written out


@dataclass(frozen=True, slots=True)
class CorpusPart:
    """What one input file brought: its sentences are the rows from `first_row` to the next part's.

    The part's own Arrow file holds the shards from `first_shard` on: the one that the part before it left unfilled,
    with the sentences that were in it, and those after it. It is read in place of what earlier parts have of these.
    Parts that were written together share the files of the first of them, whose number is `run`.
    """

    number: int
    source: str  # the file's name
    lines: int
    first_row: int
    first_shard: int
    refused: int  # lines, so far as they were kept
    run: int | None = None  # its own number, where nothing else is said
    refused_from: int = 0  # of the refusals in its file
    copies_from: int = 0  # of the copies in its file, of which it has so many; all that follow, where nothing is said
    copies: int | None = None
    sha256: str = ""  # of the input file, where it is known

    def file(self, name: str) -> str:
        """The name that a corpus's file has in this part: `sentences.arrow`, `sentences-1.arrow` ..."""
        number = self.number if self.run is None else self.run
        stem, _, suffix = name.partition(".")
        return f"{stem}-{number}.{suffix}" if number else name

    def record(self) -> dict[str, Any]:
        return asdict(self)


def parts_of(artifact: Artifact) -> list[CorpusPart]:
    """The parts of a corpus artifact; one that nothing was appended to does not list its only one."""
    listed = artifact.summary.get("parts")
    if listed is not None:
        return [CorpusPart(**record) for record in listed]
    kept = min(sum(artifact.summary["refused"].values()), REFUSALS_KEPT)
    return [CorpusPart(0, str(artifact.parameters["source"]), int(artifact.summary["lines"]), 0, 0, kept)]


def sources_named(parts: list[CorpusPart]) -> str:
    """The names of the files, without repetition; of many the first few."""
    names = list(dict.fromkeys(part.source for part in parts))
    listed = ", ".join(names[:_MANY])
    return listed if len(names) <= _MANY else f"{listed} and {len(names) - _MANY} more"


def link(source: Path, target: Path) -> None:
    """A second name for a file that is never changed; where the file system has no such thing, a copy."""
    try:
        target.hardlink_to(source)
    except OSError:
        target.unlink(missing_ok=True)
        shutil.copyfile(source, target)


def added(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """Counts by name, added up."""
    return {name: counts.get(name, 0) + more.get(name, 0) for name in {**counts, **more}}
