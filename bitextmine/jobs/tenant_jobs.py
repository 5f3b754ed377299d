"""The jobs of one tenant: to it those of others are not there."""

from __future__ import annotations

from typing import Any

from bitextmine.errors import NotFoundError
from bitextmine.jobs.listing import EVERY_JOB, JobFilter, JobListing
from bitextmine.jobs.once import Room
from bitextmine.jobs.record import JobKind, JobRecord
from bitextmine.jobs.store import JobStore


class TenantJobs:
    """A JobStore as one tenant sees it; what it raises is what the store raises."""

    def __init__(self, store: JobStore, tenant: str) -> None:
        self._store, self._tenant = store, tenant

    def create(self, kind: JobKind, spec: dict[str, Any], **fields: Any) -> JobRecord:
        return self._store.create(kind, spec, tenant=self._tenant, **fields)

    def check_room(self, room: Room) -> None:
        """
        Raises:
            BitextmineError: `too-many-jobs`: `create` would find no room either.
        """
        room.check(*self._store.count_unfinished(self._tenant))

    def get(self, job_id: str) -> JobRecord:
        return self.own(self._store.get(job_id))

    def own(self, record: JobRecord) -> JobRecord:
        """The record itself, if it is this tenant's.

        Raises:
            NotFoundError: `job-not-found`.
        """
        if record.tenant != self._tenant:
            raise NotFoundError(f"there is no job {record.id}", code="job-not-found")
        return record

    def page(self, limit: int, before: str | None = None, wanted: JobFilter = EVERY_JOB) -> JobListing:
        return self._store.page(limit, before, tenant=self._tenant, wanted=wanted)

    def unfinished_records(self) -> list[JobRecord]:
        return self._store.unfinished_records(self._tenant)

    def request_cancel(self, job_id: str) -> JobRecord:
        return self._store.request_cancel(self.get(job_id).id)

    def delete(self, job_id: str) -> None:
        self._store.delete(self.get(job_id).id)
