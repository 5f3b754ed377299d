"""What a job's bare reports become: stages in order, each with its own rate and time."""

from __future__ import annotations

import pytest

from bitextmine.jobs.record import StageState
from bitextmine_indexer.runner import Published, Report
from bitextmine_indexer.tracking import Tracker


class Clock:
    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_stages_come_in_order_each_with_its_rate() -> None:
    clock = Clock()
    tracker = Tracker(clock)
    assert tracker.stages == ()
    tracker.follow(Report("read", 0, None))
    clock.seconds += 4
    tracker.follow(Report("read", 8, None))
    (read,) = tracker.stages
    assert (read.state, read.done, read.total, read.seconds) == (StageState.RUNNING, 8, None, 4.0)
    assert (read.rate, read.eta_seconds) == (2.0, None)

    tracker.follow(Report("encode", 100, 1000))  # what was there before this attempt does not make it faster
    clock.seconds += 10
    tracker.follow(Report("encode", 150, 1000))
    read, encode = tracker.stages
    assert (read.name, read.state, read.seconds, read.rate) == ("read", StageState.DONE, 4.0, 2.0)
    assert (encode.name, encode.state, encode.done, encode.total) == ("encode", StageState.RUNNING, 150, 1000)
    assert (encode.rate, encode.eta_seconds) == (5.0, pytest.approx(850 / 5))
    assert tracker.progress is not None
    assert (tracker.progress.stage, tracker.progress.eta_seconds) == ("encode", encode.eta_seconds)


def test_a_stage_that_comes_twice_keeps_its_place_and_adds_up() -> None:
    clock = Clock()
    tracker = Tracker(clock)
    for stage in ("a", "b", "a"):
        tracker.follow(Report(stage, 0, 2))
        clock.seconds += 3
        tracker.follow(Report(stage, 1, 2))
    assert [(stage.name, stage.state, stage.seconds) for stage in tracker.stages] == [
        ("a", StageState.RUNNING, 6.0),
        ("b", StageState.DONE, 3.0),
    ]
    assert all(stage.eta_seconds is None for stage in tracker.stages if stage.state is StageState.DONE)


def test_what_was_published_is_told_and_changes_no_stage() -> None:
    tracker = Tracker(Clock())
    tracker.follow(Published())
    assert (tracker.fruitful, tracker.unsaid, tracker.stages) == (True, True, ())
