"""The real work in slow motion: a job's process that rests in every stage, so that it can be met in the middle."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import Any

from bitextmine.jobs.record import JobKind
from bitextmine.resources import Resources
from bitextmine.workspace import Workspace
from bitextmine_indexer import stages
from bitextmine_indexer.child import Reporter, main

PAUSE = 0.4  # seconds
RESTS = 3  # of each stage


class SlowReporter:
    def __init__(self, report: Reporter) -> None:
        self._report = report
        self._rests: Counter[str] = Counter()

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        self._report(stage, done, total)
        self._rests[stage] += 1
        if self._rests[stage] <= RESTS:
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
