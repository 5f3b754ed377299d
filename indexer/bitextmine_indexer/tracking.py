"""From a process's bare reports to what people want to know: its stages, how fast they are, how long they take."""

from __future__ import annotations

import time
from collections.abc import Callable

from bitextmine.jobs.record import JobProgress, JobStage, StageState
from bitextmine_indexer.runner import Published, Report


class Tracker:
    """Follows one attempt; `progress` is the latest, `fruitful` whether it has published something, and `unsaid`
    whether there is more to tell than was told. `clock` returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.progress: JobProgress | None = None
        self.fruitful = False
        self.unsaid = False
        self._clock = clock
        self._stage: str | None = None
        self._began = 0.0
        self._first = 0
        self._ended: dict[str, JobStage] = {}

    def follow(self, report: Report | Published) -> None:
        """Complete a report by the rate since its stage began, and from that the seconds left; None if unknown."""
        self.unsaid = True
        if isinstance(report, Published):
            self.fruitful = True
            return
        if report.stage != self._stage:
            self._ended = {stage.name: stage.ended(StageState.DONE) for stage in self.stages}
            self._stage, self._began, self._first = report.stage, self._clock(), report.done
        seconds, done = self._clock() - self._began, report.done - self._first
        rate = done / seconds if seconds > 0 and done > 0 else None
        left = None if report.total is None else max(report.total - report.done, 0)
        self.progress = JobProgress(
            stage=report.stage,
            done=report.done,
            total=report.total,
            rate=rate,
            eta_seconds=left / rate if rate and left is not None else None,
        )

    @property
    def stages(self) -> tuple[JobStage, ...]:
        """All stages up to now, in the order in which they began; the seconds of one that comes twice add up."""
        if self.progress is None:
            return ()
        name = self.progress.stage
        before = self._ended[name].seconds if name in self._ended else 0.0
        running = JobStage(
            name=name,
            state=StageState.RUNNING,
            seconds=round(before + self._clock() - self._began, 3),
            **self.progress.model_dump(exclude={"stage"}),
        )
        return tuple((self._ended | {name: running}).values())
