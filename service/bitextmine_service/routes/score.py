"""/v1/score and /v1/scoring-jobs: margin scores of given pairs, at once or of a file."""

from __future__ import annotations

import math
import unicodedata
from http import HTTPStatus
from typing import Annotated, Any

import pydantic_core
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from bitextmine.encoders.pool import Embedded
from bitextmine.languages import parse_language
from bitextmine.online.scoring import ScoreRequest, UsedBackground, score_online
from bitextmine_service.context import Context, Ctx, MineCtx
from bitextmine_service.idempotency import IdempotencyKey
from bitextmine_service.leaving import unless_the_client_leaves
from bitextmine_service.models.jobs import JobOut
from bitextmine_service.models.score import ScoreIn, ScoreOut, ScoringJobIn
from bitextmine_service.problems import documented
from bitextmine_service.score_intake import ScoreIntake, parameters_of

router = APIRouter(prefix="/v1", tags=["scores"])
_UPLOAD = {
    "requestBody": {
        "description": "The file itself, plain or compressed with gzip, xz or zstd (told by its content), or a zip.",
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "/score",
    response_model=ScoreOut,
    responses=documented(
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
async def score(request: Request, context: Ctx, wanted: ScoreIn) -> Response:
    """Score sentence pairs by margin against background corpora, which are embedded (POST .../indexes, or mined).

    Scores are those that a mining job of the two backgrounds gives the same pairs. What is too much for an answer at
    once goes to POST /v1/scoring-jobs as a file. While too much waits the answer is 429.
    """
    searches = context.service.searches
    with searches.admission(2 * len(wanted.pairs)):
        texts = [_cleaned(text) for side in ("src", "tgt") for text in (getattr(pair, side) for pair in wanted.pairs)]
        future = context.encoders.submit(wanted.encoder, texts)
        if future is None:  # it is not open yet, which takes looking at files
            future = await run_in_threadpool(context.encoders.open_and_submit, wanted.encoder, texts)
        embedded = await unless_the_client_leaves(request, context.service.results.future(future))
        answering = searches.submit(lambda: _answer(context, wanted, embedded))
        content = await unless_the_client_leaves(request, answering)
    return Response(content, media_type="application/json")


@router.post(
    "/scoring-jobs",
    status_code=HTTPStatus.ACCEPTED,
    response_model=JobOut,
    openapi_extra=_UPLOAD,
    responses=documented(
        HTTPStatus.NOT_FOUND,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.GONE,
        HTTPStatus.LOCKED,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.INSUFFICIENT_STORAGE,
    ),
)
async def create_scoring_job(
    request: Request,
    context: MineCtx,
    wanted: Annotated[ScoringJobIn, Query()],
    idempotency_key: IdempotencyKey = None,
) -> JSONResponse:
    """Score the pairs of a bitext, of any size: the body is the file. The job's result names a bitext, best first.

    Without backgrounds the file's own sentences are them. Lines that cannot be used are refused and counted.
    Try: curl -T old.tmx 'http://127.0.0.1:8000/v1/scoring-jobs?src_lang=de&tgt_lang=en&source=old.tmx' -X POST
    """
    return await ScoreIntake(context, wanted).accept(request, idempotency_key)


def _cleaned(text: str) -> str:
    """As sentences of corpora are: what is the same text has the same vector."""
    return unicodedata.normalize("NFC", text.strip())


def _answer(context: Context, wanted: ScoreIn, embedded: Embedded) -> bytes:
    """A ScoreOut as JSON; in a thread of the search's."""
    count = len(wanted.pairs)
    request = ScoreRequest(
        src_lang=parse_language(wanted.src_lang),
        tgt_lang=parse_language(wanted.tgt_lang),
        src_background=wanted.src_background,
        tgt_background=wanted.tgt_background,
        parameters=parameters_of(wanted),
        exact=wanted.exact,
    )
    sides = embedded.vectors[:count], embedded.vectors[count:]
    answer = score_online(context.service.searches.engine, context.workspace, request, sides, embedded.encoder)
    scores = answer.scores
    columns = (scores.margin, scores.cosine, scores.src_mean, scores.tgt_mean)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return pydantic_core.to_json(
        {
            "scores": [
                dict(zip(("margin", "cosine", "src_mean", "tgt_mean"), map(_number, row), strict=True)) for row in rows
            ],
            "encoder": embedded.encoder.name,
            "k": wanted.k,
            "margin": wanted.margin,
            "src_background": _background_out(answer.src_background),
            "tgt_background": _background_out(answer.tgt_background),
            "truncated": embedded.truncated,
        }
    )


def _number(value: float) -> float | None:
    """float32 scores have six decimals; what is not finite is unknown."""
    return round(value, 6) if math.isfinite(value) else None


def _background_out(used: UsedBackground | None) -> dict[str, Any] | None:
    return None if used is None else {"corpus": used.name, "sentences": used.sentences, "exact": used.exact}
