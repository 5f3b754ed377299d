"""What followers of a job are told: a stream per job, written in the same transaction as the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.client import Pipeline

from bitextmine.jobs.names import events_key, text
from bitextmine.jobs.record import JobProgress, JobRecord, later

KEPT = 500  # events of a job; at two a second it is some minutes that a follower can miss and catch up with
KEPT_SECONDS = 3600  # after the job has ended
RECORD, PROGRESS = "record", "progress"  # the fields of an entry, one of which it has
_SILENT = {"progress", "stages", "fruitless_attempts", "version"}  # no news by themselves


@dataclass(frozen=True, slots=True)
class JobEvent:
    """The record as it was at a change of more than its progress; or else the progress."""

    version: int
    news: JobRecord | JobProgress

    @classmethod
    def parse(cls, entry_id: Any, fields: Mapping[Any, Any]) -> JobEvent:
        """The event of a stream's entry."""
        ((name, value),) = fields.items()
        kind = JobRecord if text(name) == RECORD else JobProgress
        return cls(version_of(entry_id), kind.model_validate_json(value))


def version_of(entry_id: Any) -> int:
    """The version of the record that an entry tells of."""
    return int(text(entry_id).partition("-")[0])


def entry_id(version: int) -> str:
    return f"{version}-0"


def number(before: JobRecord, after: JobRecord) -> str | None:
    """Give the record its version, if there is anything to tell; which field of the event's entry tells it."""
    changed = before.model_dump(exclude=_SILENT) != after.model_dump(exclude=_SILENT)
    if not changed and before.progress == after.progress:
        return None
    after.version = later(before.version)
    return RECORD if changed or after.progress is None else PROGRESS


def write(pipe: Pipeline, record: JobRecord, field: str) -> None:
    """Add what has changed to the job's stream, as part of the transaction that stores the record."""
    told = record.progress if field == PROGRESS and record.progress else record
    key = events_key(record.id)
    entry: dict[Any, Any] = {field: told.model_dump_json()}
    pipe.xadd(key, entry, id=entry_id(record.version), maxlen=KEPT, approximate=False)
    if record.state.final:
        pipe.expire(key, KEPT_SECONDS)
