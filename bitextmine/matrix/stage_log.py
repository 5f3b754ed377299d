"""The stage log: every artifact that a run made, by whom, when, and how long it took.

Each process appends to a file of its own, so that none waits for another and a shared file system need not know about
appending. What a killed process had published is in its file: a stage that was done twice shows up as the same digest
in two lines.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from bitextmine.artifacts import ArtifactKey, ArtifactStore


@dataclass(frozen=True, slots=True)
class StageLine:
    """One artifact that was made: `seconds` since the one before it in the same task, or since that began."""

    time: str
    task: str
    stage: str
    digest: str
    seconds: float
    where: str


class StageLog:
    """The log of one task; give `store` to whatever makes artifacts. `published` is called after each."""

    def __init__(self, directory: Path, task: str, published: Callable[[], None] = lambda: None) -> None:
        self._told = published
        self._where = f"{socket.gethostname()}-{os.getpid()}"
        self._path = directory / f"{self._where}.jsonl"
        self._task = task
        self._latest = time.monotonic()

    def store(self, root: Path) -> ArtifactStore:
        """The artifacts under `root`; each that is published through it is written down."""
        return ArtifactStore(root, self._published)

    def _published(self, key: ArtifactKey) -> None:
        now = time.monotonic()
        stage = "filter" if key.kind == "bitext" and "bitext" in key.inputs else key.kind
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = StageLine(moment, self._task, stage, key.digest, round(now - self._latest, 3), self._where)
        self._latest = now
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(line)) + "\n")
        self._told()


def read_stage_log(directory: Path) -> list[StageLine]:
    """All that was made, in order of time. A line that a killed process left half-written is passed over."""
    lines = []
    for path in sorted(directory.glob("*.jsonl")):
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(StageLine(**json.loads(text)))
            except (ValueError, TypeError):
                continue
    return sorted(lines, key=lambda line: line.time)


def seconds_by_stage(lines: list[StageLine]) -> dict[str, float]:
    """How long each kind of artifact took, over all processes."""
    found: dict[str, float] = {}
    for line in lines:
        found[line.stage] = found.get(line.stage, 0.0) + line.seconds
    return {stage: round(seconds, 3) for stage, seconds in sorted(found.items())}
