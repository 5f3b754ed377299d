"""What came of a run, pair by pair: a JSON file that is written anew, as a whole, whenever something is done."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
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
    RUNNING = "running"
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
    """A run: `corpora` by name; `seconds` of each kind of artifact, over all processes and attempts."""

    matrix: str
    encoder: str
    parameters: dict[str, Any]
    plan: dict[str, Any]
    corpora: dict[str, dict[str, Any]]
    pairs: list[PairRecord]
    started: str
    finished: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Pairs of corpora by state."""
        return {state.value: sum(pair.state is state for pair in self.pairs) for state in PairState}

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "counts": self.counts}

    def write(self, directory: Path) -> None:
        """
        Raises:
            DiskFullError: no room; the file from before is untouched.
        """
        content = json.dumps(self.as_json(), ensure_ascii=False, indent=1)
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


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
