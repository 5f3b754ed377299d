"""What is known of a job: one record, stored as JSON, read by the service and written by the worker that runs it."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt

from bitextmine.tenants import DEFAULT_TENANT

_TIME_DIGITS = 14  # hexadecimal, of microseconds since 1970: until the year 4253
_NAMING = ("name", "corpus", "src", "tgt", "src_background", "tgt_background")


class JobState(StrEnum):
    """queued -> running -> succeeded | failed | cancelled; a worker that shuts down puts its job back to queued."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether the job is over; a final state never changes."""
        return self not in {JobState.QUEUED, JobState.RUNNING}


class JobKind(StrEnum):
    INGEST = "ingest"
    INDEX = "index"
    MINE = "mine"
    MATRIX = "matrix"
    SCORE = "score"


class StageState(StrEnum):
    """Stopped: the job ended in this stage, and had not succeeded."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"


class JobError(BaseModel):
    """Why a job failed: a stable code (docs/errors.md) and one line for people."""

    model_config = ConfigDict(frozen=True)

    code: str
    detail: str


class JobProgress(BaseModel):
    """Where a running job is: `done` of `total` units of `stage`, at `rate` units per second."""

    model_config = ConfigDict(frozen=True)

    stage: str
    done: NonNegativeInt
    total: NonNegativeInt | None = None
    rate: NonNegativeFloat | None = None
    eta_seconds: NonNegativeFloat | None = None


class JobStage(BaseModel):
    """One stage of a job: `done` of `total` units in `seconds`, at `rate` units per second."""

    model_config = ConfigDict(frozen=True)

    name: str
    state: StageState
    done: NonNegativeInt
    total: NonNegativeInt | None = None
    seconds: NonNegativeFloat = 0.0
    rate: NonNegativeFloat | None = None
    eta_seconds: NonNegativeFloat | None = None

    def ended(self, state: StageState) -> JobStage:
        """The same stage once it is over."""
        return self.model_copy(update={"state": state, "eta_seconds": None})


class JobRecord(BaseModel):
    """One job. `attempts` counts the processes started for it, `fruitless_attempts` those since the last that left
    something for the next to find; `stages` are those of the last attempt in the order in which they began; `plan` is
    what the job was expected to cost when it was sent; `request_id` and `trace_id` are of the request that sent it;
    `version` rises with every change that anyone is told of.
    """

    model_config = ConfigDict(validate_assignment=True)

    id: str
    kind: JobKind
    spec: dict[str, Any]
    tenant: str = DEFAULT_TENANT
    plan: dict[str, Any] | None = None
    retry_of: str | None = None
    request_id: str | None = None
    trace_id: str | None = None
    state: JobState = JobState.QUEUED
    progress: JobProgress | None = None
    attempts: NonNegativeInt = 0
    fruitless_attempts: NonNegativeInt = 0
    cancel_requested: bool = False
    created: AwareDatetime
    started: AwareDatetime | None = None
    finished: AwareDatetime | None = None
    worker: str | None = None
    error: JobError | None = None
    result: dict[str, Any] | None = None
    stages: tuple[JobStage, ...] = ()
    version: NonNegativeInt = 0

    @classmethod
    def new(cls, kind: JobKind, spec: dict[str, Any], **fields: Any) -> JobRecord:
        """A queued job with a fresh id; `fields` are further ones of the record."""
        created = now()
        return cls(id=_new_id(created), kind=kind, spec=spec, created=created, version=later(0), **fields)

    @property
    def stage_seconds(self) -> dict[str, float]:
        """The wall time that each stage took so far."""
        return {stage.name: stage.seconds for stage in self.stages}

    @property
    def corpora(self) -> set[str]:
        """The names of the corpora that the job reads or makes."""
        several = self.spec.get("corpora")
        return {name for field in _NAMING if isinstance(name := self.spec.get(field), str)}.union(several or ())

    def end(self, state: JobState) -> None:
        """Give it a final state; a stage that was running is over too."""
        self.state, self.finished = state, now()
        last = StageState.DONE if state is JobState.SUCCEEDED else StageState.STOPPED
        self.stages = tuple(stage.ended(last) if stage.state is StageState.RUNNING else stage for stage in self.stages)


def _new_id(created: datetime) -> str:
    """22 hexadecimal digits: those of `oldest_id`, then 8 random ones."""
    return oldest_id(created) + secrets.token_hex(4)


def oldest_id(created: datetime) -> str:
    """What the ids of all jobs that were created then begin with: ids sort by age."""
    since = created - datetime(1970, 1, 1, tzinfo=UTC)
    microseconds = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return f"{min(max(microseconds, 0), 16**_TIME_DIGITS - 1):0{_TIME_DIGITS}x}"


def later(version: int) -> int:
    """The version after this one: milliseconds since 1970, so that none comes twice should Redis forget a change."""
    return max(version + 1, time.time_ns() // 1_000_000)


def now() -> datetime:
    return datetime.now(UTC)
