"""/livez, /readyz and /v1/encoders: whether the service works and what it can do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from http import HTTPStatus

from fastapi import APIRouter
from fastapi.responses import JSONResponse, RedirectResponse

from bitextmine import __version__
from bitextmine.encoders import PRESETS, installed
from bitextmine.errors import BitextmineError, StoreUnavailableError
from bitextmine_service.context import Context, Ctx
from bitextmine_service.models.operations import Check, EncoderList, EncoderOut, Liveness, Readiness
from bitextmine_service.problems import RETRY_SECONDS, documented

router = APIRouter(tags=["operations"])


@router.get("/", include_in_schema=False)
def root() -> RedirectResponse:
    """To the page that describes the API, also behind a proxy that adds a prefix."""
    return RedirectResponse("docs")


@router.get("/livez")
def livez() -> Liveness:
    """Whether this process answers at all."""
    return Liveness(version=__version__)


@router.get(
    "/readyz",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Something that jobs need is missing; `checks` says what."}},
)
def readyz(context: Ctx) -> JSONResponse:
    """Whether a job sent now would be done: Redis answers, a worker lives, an encoder is there, the disk has room."""
    checks = [
        _check("redis", lambda: _redis(context)),
        _check("workers", lambda: _workers(context)),
        _check("encoders", lambda: _encoders(context)),
        _check("disk", lambda: _disk(context)),
    ]
    readiness = Readiness(ready=all(check.ok for check in checks), checks=checks)
    status = HTTPStatus.OK if readiness.ready else HTTPStatus.SERVICE_UNAVAILABLE
    headers = {} if readiness.ready else {"Retry-After": RETRY_SECONDS}
    return JSONResponse(readiness.model_dump(), status, headers)


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


def _check(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name=name, ok=True, detail=look())
    except (BitextmineError, OSError) as error:
        return Check(name=name, ok=False, detail=str(error))


def _redis(context: Context) -> str:
    return f"{len(context.service.store.unfinished())} jobs unfinished"


def _workers(context: Context) -> str:
    if not (workers := context.service.store.workers()):
        raise StoreUnavailableError("no worker has been heard of lately")
    return f"{len(workers)} alive"


def _encoders(context: Context) -> str:
    if not (cards := installed(context.settings.encoders_dir)):
        raise BitextmineError("no encoder is installed; run: bitextmine encoders pull muse")
    return ", ".join(card.name for card in cards)


def _disk(context: Context) -> str:
    free = shutil.disk_usage(context.settings.data_dir).free
    text = f"{free / (1 << 30):.1f} GiB free"
    if free < context.settings.min_free_bytes:
        raise BitextmineError(f"only {text}")
    return text
