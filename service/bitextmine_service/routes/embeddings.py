"""/v1/embeddings and /v1/models, in the shapes of OpenAI's API: vectors of sentences, concurrent requests in shared
batches."""

from __future__ import annotations

import base64
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated

import numpy as np
import pydantic_core
from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from bitextmine.encoders import EncoderCard, installed, open_encoder
from bitextmine.encoders.pool import Embedded
from bitextmine.errors import ParameterError
from bitextmine_service.context import Context, Ctx
from bitextmine_service.leaving import unless_the_client_leaves
from bitextmine_service.models.embeddings import EmbeddingsIn, EmbeddingsOut, EncodingFormat, ModelList, ModelOut
from bitextmine_service.problems import documented

router = APIRouter(prefix="/v1", tags=["encoders"])
_FEW = 16  # vectors that are written faster than a thread is woken; more must not hold up other requests


@router.post(
    "/embeddings",
    response_model=EmbeddingsOut,
    responses=documented(
        HTTPStatus.NOT_FOUND,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
async def create_embeddings(request: Request, context: Ctx, wanted: EmbeddingsIn) -> Response:
    """Embed one sentence or some with an installed encoder; requests that come together are encoded together.

    A vector depends on its sentence and the encoder alone. What is longer than the encoder reads is cut, and
    counted in `truncated`. While too much waits the answer is 429. The first request loads the encoder.
    """
    texts = [wanted.input] if isinstance(wanted.input, str) else wanted.input
    if wanted.dimensions is not None:
        await run_in_threadpool(_check_dimensions, context, wanted.model, wanted.dimensions)
    encoders = context.encoders
    future = encoders.submit(wanted.model, texts)
    if future is None:  # it is not open yet, which takes looking at files
        future = await run_in_threadpool(encoders.open_and_submit, wanted.model, texts)
    embedded = await unless_the_client_leaves(request, context.service.results.future(future))
    if len(texts) <= _FEW:
        content = _content(wanted, embedded)
    else:
        content = await run_in_threadpool(_content, wanted, embedded)
    return Response(content, media_type="application/json")


@router.get("/models", responses=documented())
def list_models(context: Ctx) -> ModelList:
    """The installed encoders, as OpenAI's clients list models."""
    return ModelList(data=[_model(context, card) for card in installed(context.settings.encoders_dir)])


@router.get("/models/{name}", responses=documented(HTTPStatus.NOT_FOUND))
def get_model(
    context: Ctx, name: Annotated[str, Path(max_length=64, description="An installed encoder's name.")]
) -> ModelOut:
    """One installed encoder, as OpenAI's clients look at a model."""
    return _model(context, open_encoder(name, context.settings.encoders_dir).card)


def _model(context: Context, card: EncoderCard) -> ModelOut:
    created = 0.0
    with suppress(OSError):  # a directory by another name, or one that is removed just now
        created = (context.settings.encoders_dir / card.name).stat().st_mtime
    return ModelOut(id=card.name, created=int(created), owned_by="bitextmine")


def _check_dimensions(context: Context, name: str, wanted: int) -> None:
    """
    Raises:
        ParameterError: `dimensions-unsupported`.
        NotFoundError: `encoder-not-installed`.
    """
    if (dims := open_encoder(name, context.settings.encoders_dir).dims) != wanted:
        message = f"vectors of {name} have {dims} dimensions, not {wanted}; leave `dimensions` out"
        raise ParameterError(message, code="dimensions-unsupported")


def _content(wanted: EmbeddingsIn, embedded: Embedded) -> bytes:
    """An EmbeddingsOut as JSON, without a check of every number."""
    vectors: list[list[float]] | list[str]
    if wanted.encoding_format is EncodingFormat.BASE64:
        vectors = [base64.b64encode(row.tobytes()).decode() for row in np.asarray(embedded.vectors, "<f4")]
    else:
        vectors = embedded.vectors.tolist()
    return pydantic_core.to_json(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)
            ],
            "model": wanted.model,
            "usage": {"prompt_tokens": embedded.tokens, "total_tokens": embedded.tokens},
            "truncated": embedded.truncated,
        }
    )
