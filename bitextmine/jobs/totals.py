"""What all jobs have come to: counted in Redis, in the transactions that change the jobs.

So nothing is counted twice, any process can tell it, and no restart forgets it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import redis
from redis.client import Pipeline

from bitextmine.jobs.names import TOTALS, text, unavailable_named
from bitextmine.jobs.record import JobKind, JobRecord, JobState

CRASHED = "job-crashed"
_STAGE = re.compile("[a-z0-9_-]{1,40}")
_OTHER = "other"


class Total(StrEnum):
    """What is counted, by the kind of job and, where there is one, a label more."""

    FINISHED = "finished"  # jobs, by their final state
    STAGE_SECONDS = "stage_seconds"  # of jobs that have finished, in their last attempt, by stage
    ATTEMPTS = "attempts"  # processes started for jobs
    CRASHES = "crashes"  # those that died without a word, alone or with their worker


@dataclass(frozen=True, slots=True)
class Count:
    """One sum: `label` is the state or the stage, empty where there is none."""

    total: Total
    kind: JobKind
    label: str
    value: float


def count(pipe: Pipeline, before: JobRecord, after: JobRecord) -> None:
    """Add to a transaction what a change of a job's record means."""
    kind = after.kind
    if after.attempts > before.attempts:
        pipe.hincrby(TOTALS, _field(Total.ATTEMPTS, kind), 1)
    started_again = after.attempts > before.attempts and before.state is JobState.RUNNING
    if started_again or (after.error is not None and after.error.code == CRASHED):
        pipe.hincrby(TOTALS, _field(Total.CRASHES, kind), 1)
    if not after.state.final:
        return
    pipe.hincrby(TOTALS, _field(Total.FINISHED, kind, after.state), 1)
    for stage, seconds in after.stage_seconds.items():
        label = stage if _STAGE.fullmatch(stage) else _OTHER
        pipe.hincrbyfloat(TOTALS, _field(Total.STAGE_SECONDS, kind, label), seconds)


@unavailable_named()
def read(client: redis.Redis) -> list[Count]:
    """All sums so far.

    Raises:
        StoreUnavailableError: Redis does not answer.
    """
    return sorted(_parsed(client.hgetall(TOTALS)), key=lambda found: (found.total, found.kind, found.label))


def _parsed(stored: Mapping[Any, Any]) -> Iterator[Count]:
    for field, value in stored.items():
        total, kind, label = [*text(field).split("|"), ""][:3]
        if total in set(Total) and kind in set(JobKind):
            yield Count(Total(total), JobKind(kind), label, float(value))


def _field(total: Total, kind: JobKind, label: str = "") -> str:
    return f"{total}|{kind}|{label}" if label else f"{total}|{kind}"
