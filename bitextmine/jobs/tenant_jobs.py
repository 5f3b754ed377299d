"""The jobs of one tenant: to it those of others are not there."""

from __future__ import annotations

from typing import Any

from bitextmine.errors import NotFoundError
from bitextmine.jobs.record import JobKind, JobRecord
from bitextmine.jobs.store import JobStore


class TenantJobs:
    """A JobStore as one tenant sees it; what it raises is what the store raises."""

    def __init__(self, store: JobStore, tenant: str) -> None:
        self._store, self._tenant = store, tenant

    def create(self, kind: JobKind, spec: dict[str, Any], **fields: Any) -> JobRecord:
        return self._store.create(kind, spec, tenant=self._tenant, **fields)

    def get(self, job_id: str) -> JobRecord:
        record = self._store.get(job_id)
        if record.tenant != self._tenant:
            raise NotFoundError(f"there is no job {job_id}", code="job-not-found")
        return record

    def recent(self, limit: int, before: str | None = None) -> list[JobRecord]:
        return self._store.recent(limit, before, tenant=self._tenant)

    def unfinished_records(self) -> list[JobRecord]:
        return [record for record in self._store.unfinished_records() if record.tenant == self._tenant]

    def request_cancel(self, job_id: str) -> JobRecord:
        return self._store.request_cancel(self.get(job_id).id)

    def delete(self, job_id: str) -> None:
        self._store.delete(self.get(job_id).id)
