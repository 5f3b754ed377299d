"""What every route works with: the service, made once in `create_app`, and a request's view of it, a dependency."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, TypeVar

from dramatiq.brokers.redis import RedisBroker
from fastapi import Depends, Query, Request, Security
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import BaseModel

from bitextmine import logs
from bitextmine.catalog import Catalog
from bitextmine.encoders.opened import OpenEncoders
from bitextmine.errors import ParameterError, StoreUnavailableError
from bitextmine.jobs.once import Claim, Room
from bitextmine.jobs.queue import enqueue
from bitextmine.jobs.record import JobKind, JobRecord
from bitextmine.jobs.store import JobStore
from bitextmine.jobs.tenant_jobs import TenantJobs
from bitextmine.keys import Caller, Scope
from bitextmine.workspace import Workspace
from bitextmine_service.models.jobs import JobOut
from bitextmine_service.results import Results
from bitextmine_service.searching import SearchPool
from bitextmine_service.settings import ServiceSettings

Item = TypeVar("Item")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Service:
    """What is there once."""

    settings: ServiceSettings
    store: JobStore
    broker: RedisBroker
    encoders: OpenEncoders
    results: Results
    searches: SearchPool


@dataclass(frozen=True)
class Context:
    """One request's view of the service: all that it sees is its caller's tenant's."""

    service: Service
    caller: Caller

    @property
    def settings(self) -> ServiceSettings:
        return self.service.settings

    @property
    def encoders(self) -> OpenEncoders:
        return self.service.encoders

    @property
    def workspace(self) -> Workspace:
        return self.settings.workspace.of_tenant(self.caller.tenant)

    @property
    def catalog(self) -> Catalog:
        place = self.workspace
        return Catalog(place.corpora, place.artifacts)

    @property
    def jobs(self) -> TenantJobs:
        return TenantJobs(self.service.store, self.caller.tenant)

    def check_room_for_a_job(self) -> None:
        """
        Raises:
            BitextmineError: `too-many-jobs` (429) or `store-unavailable` (503).
        """
        self.jobs.check_room(self._room)

    @property
    def _room(self) -> Room:
        return Room(self.settings.max_unfinished_jobs, self.caller.max_jobs)

    def submit(
        self, kind: JobKind, spec: BaseModel | dict[str, Any], *, claim: Claim | None = None, **fields: Any
    ) -> JobRecord:
        """Record the job and put it into the queue; `fields` are further ones of its record.

        Raises:
            StoreUnavailableError: there is no such job; once it is recorded, idle workers find it in any case.
            BitextmineError: `too-many-jobs`.
            AlreadyMade: another request with the Idempotency-Key of `claim` was faster; `idempotency` answers it.
        """
        stated = spec.model_dump(mode="json") if isinstance(spec, BaseModel) else spec
        record = self.jobs.create(kind, stated, room=self._room, claim=claim, **logs.origin(), **fields)
        try:
            enqueue(self.service.broker, record.id)
        except StoreUnavailableError as error:
            _logger.warning("job %s is recorded and not enqueued: %s", record.id, error)
        return record


def context_of(request: Request) -> Context:
    service: Service = request.app.state.service
    caller: Caller = request.state.caller  # the authentication has set it: without, nothing is answered
    return Context(service, caller)


def _allowed(scope: Scope) -> Callable[..., Awaitable[Context]]:
    """A dependency: the request's context, where its key has the scope."""

    async def checked(request: Request, _: Annotated[object, Security(_BEARER)]) -> Context:
        context = context_of(request)
        context.caller.check(scope)
        return context

    _SCOPES[checked] = scope
    return checked


def declared_scope(route: APIRoute) -> Scope | None:
    """The scope that a route asks for: None where it asks for none."""
    waiting, found = [route.dependant], []
    while waiting:
        dependant = waiting.pop()
        found += [_SCOPES[dependant.call]] if dependant.call in _SCOPES else []
        waiting += dependant.dependencies
    return max(found, key=list(Scope).index, default=None)


_SCOPES: dict[Callable[..., Any] | None, Scope] = {}  # of the dependencies that check one
_BEARER = HTTPBearer(auto_error=False, scheme_name="key", description="A key, as `bitextmine keys create` gives it.")
Ctx = Annotated[Context, Depends(_allowed(Scope.READ))]  # routes that look
MineCtx = Annotated[Context, Depends(_allowed(Scope.MINE))]  # routes that change or compute much
AdminCtx = Annotated[Context, Depends(_allowed(Scope.ADMIN))]
Limit = Annotated[int, Query(ge=1, le=1000, description="Most items of a page.")]
Cursor = Annotated[str | None, Query(max_length=200, description="The next_cursor of the page before.")]


def accepted(record: JobRecord, *, replayed: bool = False) -> JSONResponse:
    """202 with the job and where to follow it; `replayed` marks the answer to a request that had made it before."""
    body = JobOut.of(record).model_dump(mode="json")
    mark = {"Idempotent-Replayed": "true"} if replayed else {}
    return JSONResponse(body, 202, headers={"Location": f"/v1/jobs/{record.id}", **mark})


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
