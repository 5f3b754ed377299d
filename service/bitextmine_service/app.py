"""The application: routes, errors and limits put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bitextmine import __version__
from bitextmine.encoders.opened import OpenEncoders, PoolOptions
from bitextmine.jobs.queue import connect, make_broker
from bitextmine.jobs.store import JobStore
from bitextmine_service import problems, server
from bitextmine_service.context import Service
from bitextmine_service.results import Results
from bitextmine_service.routes import bitexts, corpora, embeddings, indexes, jobs, operations, plan, search
from bitextmine_service.searching import SearchPool
from bitextmine_service.settings import ServiceSettings

MAX_BODY_BYTES = 1 << 20  # of requests that are not uploads
_DESCRIPTION = """Mine parallel sentences: upload corpora, start a mining job, read or download the pairs.

Long work is a job: the answer is `202` with a `Location` to follow. Every error is a problem document (RFC 9457)
with a stable `code`. Lists come in pages: pass `next_cursor` back as `cursor`."""


def create_app(settings: ServiceSettings) -> FastAPI:
    """The service with these settings. Connects to Redis when the first request needs it."""
    results = Results()
    options = PoolOptions(settings.embed_threads, settings.embed_queue_tokens, after_turn=results.deliver)
    encoders = OpenEncoders(settings.encoders_dir, options, most=settings.embed_encoders, device=settings.device)
    searches = SearchPool.of(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(encoders.close)
        await run_in_threadpool(searches.close)

    app = FastAPI(
        title="bitextmine",
        version=__version__,
        description=_DESCRIPTION,
        generate_unique_id_function=_name,
        lifespan=lifespan,
        redirect_slashes=False,  # what is not there is a problem document
    )
    client = connect(settings.redis_url)
    server.set_up(app.state)
    app.state.service = Service(settings, JobStore(client), make_broker(client), encoders, results, searches)
    for module in (embeddings, search, corpora, indexes, jobs, bitexts, plan, operations):
        app.include_router(module.router)
    problems.install(app)
    app.add_middleware(BodyLimit, max_bytes=MAX_BODY_BYTES, unlimited="/v1/corpora")
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _name(route: APIRoute) -> str:
    return route.name


def _openapi(app: FastAPI) -> dict[str, object]:
    """FastAPI's schema, with problem documents in place of its own shape of validation error."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = schema["components"]["schemas"]
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        definition = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= definition.pop("$defs") | {"Problem": definition}
        app.openapi_schema = schema
    return app.openapi_schema


class BodyLimit:
    """Refuses request bodies over a limit, whether or not they announce their length."""

    def __init__(self, app: ASGIApp, max_bytes: int, unlimited: str) -> None:
        self._app, self._max, self._unlimited = app, max_bytes, unlimited

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == self._unlimited:
            await self._app(scope, receive, send)
            return
        seen = 0
        body: list[Message] = []
        while True:
            message = await receive()
            body.append(message)
            seen += len(message.get("body", b""))
            if seen > self._max:
                detail = f"the body is larger than {self._max:,} bytes"
                refusal = problems.response(
                    scope["path"], HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", detail
                )
                await refusal(scope, receive, send)
                return
            if message["type"] != "http.request" or not message.get("more_body", False):
                break

        async def replay() -> Message:
            return body.pop(0) if body else await receive()

        await self._app(scope, replay, send)
