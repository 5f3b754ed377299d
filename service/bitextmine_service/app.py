"""The application: routes, errors and limits put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from bitextmine import __version__
from bitextmine.encoders.opened import OpenEncoders, PoolOptions
from bitextmine.jobs.following import Follower, running
from bitextmine.jobs.queue import connect, make_broker
from bitextmine.jobs.store import JobStore
from bitextmine_service import idempotency, problems, reference, server
from bitextmine_service.context import Service
from bitextmine_service.operations.metrics import Metrics
from bitextmine_service.operations.setup import set_up
from bitextmine_service.page import routes as web_page
from bitextmine_service.protections import document, protect
from bitextmine_service.results import Results
from bitextmine_service.routes import (
    bitexts,
    corpora,
    embeddings,
    indexes,
    jobs,
    judging,
    matrix,
    operations,
    plan,
    score,
    search,
    uploads,
    words,
)
from bitextmine_service.searching import SearchPool
from bitextmine_service.settings import ServiceSettings

REDIS_SECONDS = 1.0  # of its silence, after which requests are told that it is gone
_DESCRIPTION = """Mine parallel sentences: upload corpora, start a mining job, read or download the pairs.

Long work is a job: the answer is `202` with a `Location` to follow. Every error is a problem document (RFC 9457)
with a stable `code`. Lists come in pages: pass `next_cursor` back as `cursor`."""


def create_app(settings: ServiceSettings) -> FastAPI:
    """The service with these settings. Connects to Redis when the first request needs it."""
    results = Results()
    metrics = Metrics()
    options = PoolOptions(
        settings.embed_threads, settings.embed_queue_tokens, after_turn=results.deliver, observe=metrics.batch
    )
    encoders = OpenEncoders(settings.encoders_dir, options, most=settings.embed_encoders, device=settings.device)
    searches = SearchPool.of(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.operations.watches.encoder.begin()  # so that the first request does not wait for it
        searches.prepare()
        app.state.follower = Follower(settings.redis_url, settings.max_event_streams)
        async with running(app.state.follower):
            yield
        await run_in_threadpool(encoders.close)
        await run_in_threadpool(searches.close)

    app = FastAPI(
        title="bitextmine",
        version=__version__,
        description=_DESCRIPTION,
        generate_unique_id_function=_name,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's pages fetch scripts from elsewhere; ours is in reference
        redoc_url=None,
        redirect_slashes=False,  # what is not there is a problem document
    )
    client = connect(settings.redis_url, REDIS_SECONDS)
    server.set_up(app.state)
    set_up(app, settings, client, encoders, metrics)
    app.state.service = Service(settings, JobStore(client), make_broker(client), encoders, results, searches)
    for module in (
        embeddings,
        search,
        score,
        words,
        corpora,
        uploads,
        indexes,
        jobs,
        matrix,
        bitexts,
        judging,
        plan,
        operations,
    ):
        app.include_router(module.router)
    web_page.install(app)
    problems.install(app)
    protect(app, settings, client)
    app.add_middleware(uploads.TusHeaders)
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
        document(schema)
        idempotency.document(schema)
        reference.complete(schema)
        app.openapi_schema = schema
    return app.openapi_schema
