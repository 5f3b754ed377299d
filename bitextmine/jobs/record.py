"""What is known of a job: one record, stored as JSON, read by the service and written by the worker that runs it."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt

from bitextmine.tenants import DEFAULT_TENANT


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
    SCORE = "score"


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


class JobRecord(BaseModel):
    """One job. `attempts` counts the processes started for it, `fruitless_attempts` those since the last that left
    something for the next to find; `stage_seconds` is the wall time each stage took; `plan` is what the job was
    expected to cost when it was sent; `request_id` and `trace_id` are of the request that sent it.
    """

    model_config = ConfigDict(validate_assignment=True)

    id: str
    kind: JobKind
    spec: dict[str, Any]
    tenant: str = DEFAULT_TENANT
    plan: dict[str, Any] | None = None
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
    stage_seconds: dict[str, float] = Field(default_factory=dict)

    @classmethod
    def new(cls, kind: JobKind, spec: dict[str, Any], **fields: Any) -> JobRecord:
        """A queued job with a fresh id; `fields` are further ones of the record."""
        return cls(id=new_job_id(), kind=kind, spec=spec, created=now(), **fields)


def new_job_id() -> str:
    """22 hexadecimal digits: 14 of microseconds since 1970, so that ids sort by age, then 8 random ones."""
    return f"{time.time_ns() // 1_000:014x}{secrets.token_hex(4)}"


def now() -> datetime:
    return datetime.now(UTC)
