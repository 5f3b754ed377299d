"""/v1/embeddings: vectors of sentences, in the shape of OpenAI's API, concurrent requests in shared batches."""

from __future__ import annotations

import base64
from http import HTTPStatus

import numpy as np
import pydantic_core
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from bitextmine.encoders.pool import Embedded
from bitextmine_service.context import Ctx
from bitextmine_service.leaving import unless_the_client_leaves
from bitextmine_service.models.embeddings import EmbeddingsIn, EmbeddingsOut, EncodingFormat
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
