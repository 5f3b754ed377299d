"""What came of a run, pair by pair: a JSON file that is written anew, as a whole, whenever something is done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from bitextmine.errors import ArtifactError, NotFoundError
from bitextmine.files import write_atomically

REPORT, PAGE, LOG = "report.json", "report.html", "log"


class PairState(StrEnum):
    """How far a pair is."""

    WAITING = "waiting"  # for its corpora to be embedded, or for its turn
    RUNNING = "running"  # or among the few that run as soon as there is room
    DONE = "done"
    FAILED = "failed"


@dataclass(slots=True)
class PairRecord:
    """One pair of corpora; `result` is what `tasks.mine_pair` returns."""

    src: str
    tgt: str
    src_lang: str
    tgt_lang: str
    expected_seconds: float
    state: PairState = PairState.WAITING
    result: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    code: str = ""


@dataclass(slots=True)
class MatrixRecord:
    """A run: `corpora` by name; `seconds` of each kind of artifact, over all processes and attempts.

    `stopped` says that it ended before all was done. `as_json` also has `counts`, and when it was `written`: what was
    killed cannot say so.
    """

    matrix: str
    encoder: str
    parameters: dict[str, Any]
    plan: dict[str, Any]
    corpora: dict[str, dict[str, Any]]
    pairs: list[PairRecord]
    started: str
    finished: str | None = None
    stopped: bool = False
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Pairs of corpora by state."""
        return {state.value: sum(pair.state is state for pair in self.pairs) for state in PairState}

    def stop(self) -> None:
        """It ends before all is done: what was running waits for the next time."""
        self.stopped = True
        for pair in self.pairs:
            if pair.state is PairState.RUNNING:
                pair.state = PairState.WAITING

    def as_json(self) -> dict[str, Any]:
        """What there is to say now; what the tasks returned is shared, not copied."""
        return {**_values(self), "pairs": [*map(_values, self.pairs)], "counts": self.counts, "written": now()}


def _values(record: MatrixRecord | PairRecord) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def write_record(record: Mapping[str, Any], directory: Path) -> None:
    """Write a report, as `MatrixRecord.as_json` has it.

    Raises:
        DiskFullError: no room; the file from before is untouched.
    """
    content = json.dumps(record, ensure_ascii=False, indent=1)
    write_atomically(directory / REPORT, content.encode() + b"\n")


def read_record(directory: Path) -> dict[str, Any]:
    """The latest report of a run.

    Raises:
        NotFoundError: `matrix-not-found`.
        ArtifactError: it cannot be read.
    """
    try:
        found: dict[str, Any] = json.loads((directory / REPORT).read_bytes())
    except FileNotFoundError:
        raise NotFoundError(f"there is no matrix {directory.name}", code="matrix-not-found") from None
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{directory / REPORT} cannot be read: {error}; run the matrix again") from error
    return found


def as_stopped(found: Mapping[str, Any]) -> dict[str, Any]:
    """A report that a killed process left behind, as the process would have ended it."""
    pairs = [
        pair | {"state": PairState.WAITING} if pair["state"] == PairState.RUNNING else pair for pair in found["pairs"]
    ]
    counts = {state.value: sum(pair["state"] == state for pair in pairs) for state in PairState}
    return {**found, "stopped": True, "pairs": pairs, "counts": counts}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
