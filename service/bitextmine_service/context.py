"""What every route works with: made once in `create_app`, handed to routes as a dependency."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, TypeVar

from dramatiq.brokers.redis import RedisBroker
from fastapi import Depends, Query, Request
from fastapi.responses import JSONResponse

from bitextmine.catalog import Catalog
from bitextmine.encoders.opened import OpenEncoders
from bitextmine.errors import BitextmineError, ParameterError, StoreUnavailableError
from bitextmine.jobs.queue import enqueue
from bitextmine.jobs.record import JobKind, JobRecord
from bitextmine.jobs.specs import IngestSpec, MineSpec
from bitextmine.jobs.store import JobStore
from bitextmine_service.models import JobOut
from bitextmine_service.results import Results
from bitextmine_service.settings import ServiceSettings

Item = TypeVar("Item")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Context:
    settings: ServiceSettings
    jobs: JobStore
    broker: RedisBroker
    encoders: OpenEncoders
    results: Results

    @property
    def catalog(self) -> Catalog:
        place = self.settings.workspace
        return Catalog(place.corpora, place.artifacts)

    def check_room_for_a_job(self) -> None:
        """
        Raises:
            BitextmineError: `too-many-jobs` (429) or `store-unavailable` (503).
        """
        waiting = len(self.jobs.unfinished())
        if waiting >= self.settings.max_unfinished_jobs:
            raise BitextmineError(f"{waiting:,} jobs are waiting or running; try again later", code="too-many-jobs")

    def submit(self, kind: JobKind, spec: IngestSpec | MineSpec) -> JobRecord:
        """Record the job and put it into the queue.

        Raises:
            StoreUnavailableError: there is no such job; once it is recorded, idle workers find it in any case.
        """
        record = self.jobs.create(kind, spec.model_dump(mode="json"))
        try:
            enqueue(self.broker, record.id)
        except StoreUnavailableError as error:
            _logger.warning("job %s is recorded and not enqueued: %s", record.id, error)
        return record


def context_of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Ctx = Annotated[Context, Depends(context_of)]
Limit = Annotated[int, Query(ge=1, le=1000, description="Most items of a page.")]
Cursor = Annotated[str | None, Query(max_length=200, description="The next_cursor of the page before.")]


def accepted(record: JobRecord) -> JSONResponse:
    """202 with the job and where to follow it."""
    body = JobOut.of(record).model_dump(mode="json")
    return JSONResponse(body, 202, headers={"Location": f"/v1/jobs/{record.id}"})


def page(items: Iterable[Item], start: int, limit: int) -> tuple[list[Item], str | None]:
    """A page of items that begin at position `start`, and the cursor of the next page, if there is one.

    `items` must not end before limit + 1 items unless there are no more.
    """
    found = list(islice(items, limit + 1))
    return found[:limit], encode_cursor(start + limit) if len(found) > limit else None


def encode_cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"p{position}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> int:
    """
    Raises:
        ParameterError: `invalid-cursor`.
    """
    if cursor is None:
        return 0
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    if not (text.startswith("p") and text[1:].isdigit() and len(text) < 20):
        raise ParameterError("the cursor is not one that a page gave", code="invalid-cursor")
    return int(text[1:])
