"""/livez, /readyz, /metrics and /v1/encoders: whether the service works and what it can do."""

from __future__ import annotations

from http import HTTPStatus
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from bitextmine import __version__
from bitextmine.encoders import PRESETS, installed
from bitextmine.errors import BitextmineError
from bitextmine_service.context import AdminCtx, Ctx
from bitextmine_service.models.operations import EncoderList, EncoderOut, Liveness, Readiness
from bitextmine_service.operations.exposition import Told, exposition
from bitextmine_service.operations.readiness import readiness
from bitextmine_service.operations.watch import Watch
from bitextmine_service.problems import RETRY_SECONDS, documented
from bitextmine_service.reference.page import page

router = APIRouter(tags=["operations"])
Seen = TypeVar("Seen")
_SCRAPES = CapacityLimiter(1)  # threads of their own, so that no other request waits for one or holds it up


@router.get("/docs", include_in_schema=False)
def docs(request: Request) -> HTMLResponse:
    """The API's description, for people."""
    return HTMLResponse(page(request.app.openapi()))


@router.get("/livez")
def livez() -> Liveness:
    """Whether this process answers at all."""
    return Liveness(version=__version__)


@router.get(
    "/readyz",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Something that jobs need is missing; `checks` says what."}},
)
async def readyz(request: Request) -> JSONResponse:
    """Whether what is sent now would be done: Redis answers, a worker lives, the encoder is loaded, the disk has room.

    Answers within about a second, whatever hangs. While the encoder is being loaded the answer is 503.
    """
    state = request.app.state
    found = await readiness(state.operations.watches, state.service.settings.min_free_bytes, stopping=state.draining)
    status = HTTPStatus.OK if found.ready else HTTPStatus.SERVICE_UNAVAILABLE
    headers = {} if found.ready else {"Retry-After": RETRY_SECONDS}
    return JSONResponse(found.model_dump(), status, headers)


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={
        **documented(),
        200: {"description": "Metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}},
    },
)
async def metrics(request: Request, context: AdminCtx) -> Response:
    """Counters and gauges in Prometheus's text format; where keys are asked for, to those with the scope `admin`."""
    operations = request.app.state.operations
    told = Told(await _or_none(operations.watches.store), await _or_none(operations.watches.disk))
    content = await to_thread.run_sync(exposition, operations.metrics, told, limiter=_SCRAPES)
    return Response(content, media_type=CONTENT_TYPE_PLAIN_0_0_4)


@router.get("/v1/encoders", responses=documented())
def list_encoders(context: Ctx) -> EncoderList:
    """The encoders that a mining job can name, and those that could be installed."""
    cards = {card.name: card for card in installed(context.settings.encoders_dir)}
    providers = context.encoders.providers()
    items = [
        EncoderOut(
            name=card.name,
            dims=card.dims,
            languages=list(card.languages),
            licence=card.licence,
            installed=True,
            provider=providers.get(card.name),
        )
        for card in cards.values()
    ] + [
        EncoderOut(
            name=preset.name,
            dims=preset.dims,
            languages=list(preset.languages),
            licence=preset.licence,
            installed=False,
        )
        for preset in PRESETS
        if preset.name not in cards
    ]
    return EncoderList(items=items)


async def _or_none(watch: Watch[Seen]) -> Seen | None:
    try:
        return await watch.seen()
    except (BitextmineError, OSError):
        return None
