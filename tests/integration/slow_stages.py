"""The real work in slow motion: a job's process that rests after every report, so that it can be met in the middle."""

from __future__ import annotations

import sys
import time
from typing import Any

from bitextmine.jobs.record import JobKind
from bitextmine.resources import Resources
from bitextmine.workspace import Workspace
from bitextmine_indexer import stages
from bitextmine_indexer.child import Reporter, main

PAUSE = 0.4  # seconds


class SlowReporter:
    def __init__(self, report: Reporter) -> None:
        self._report = report

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        self._report(stage, done, total)
        time.sleep(PAUSE)

    def published(self) -> None:
        self._report.published()
        time.sleep(PAUSE)


def run(
    kind: JobKind, spec: dict[str, Any], workspace: Workspace, resources: Resources, report: Reporter
) -> dict[str, Any]:
    return stages.run(kind, spec, workspace, resources, SlowReporter(report))


if __name__ == "__main__":
    sys.exit(main(run=run))
