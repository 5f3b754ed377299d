"""/v1/search: the nearest sentences of named corpora, with margins, while the client waits."""

from __future__ import annotations

import base64
import binascii
import unicodedata
from http import HTTPStatus
from typing import Any

import numpy as np
import pydantic_core
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool

from bitextmine.encoders import open_encoder
from bitextmine.encoders.pool import Embedded
from bitextmine.errors import MismatchError
from bitextmine.languages import parse_language
from bitextmine.online.filters import Filter
from bitextmine.online.request import Hit, SearchAnswer, SearchRequest
from bitextmine_service.context import Context, Ctx
from bitextmine_service.leaving import unless_the_client_leaves
from bitextmine_service.models.search import SearchIn, SearchOut
from bitextmine_service.problems import documented

router = APIRouter(prefix="/v1", tags=["search"])


@router.post(
    "/search",
    response_model=SearchOut,
    responses=documented(
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
async def search(request: Request, context: Ctx, wanted: SearchIn) -> Response:
    """Find the sentences nearest to some texts or vectors, in corpora that are embedded (POST .../indexes, or mined).

    Cosines are exact. Margins are those that a mining job gives the same pairs: hits come by falling margin. Of large
    corpora an index gives the candidates; small ones are compared sentence by sentence. While too much waits the answer
    is 429. The first search of a corpus opens it.
    """
    searches = context.service.searches
    with searches.admission(wanted.queries):
        embedded = await _embedded(request, context, wanted)
        answering = searches.submit(lambda: _answer(context, wanted, embedded))
        content = await unless_the_client_leaves(request, answering)
    return Response(content, media_type="application/json")


async def _embedded(request: Request, context: Context, wanted: SearchIn) -> Embedded | None:
    """The vectors of the texts; None where vectors were given."""
    if not wanted.texts:
        return None
    # as sentences of corpora are cleaned: what is the same text has the same vector
    texts = [unicodedata.normalize("NFC", text.strip()) for text in wanted.texts]
    future = context.encoders.submit(wanted.encoder, texts)
    if future is None:  # it is not open yet, which takes looking at files
        future = await run_in_threadpool(context.encoders.open_and_submit, wanted.encoder, texts)
    return await unless_the_client_leaves(request, context.service.results.future(future))


def _answer(context: Context, wanted: SearchIn, embedded: Embedded | None) -> bytes:
    """A SearchOut as JSON; in a thread of the search's."""
    if embedded is None:
        vectors: NDArray[np.floating] = _given(wanted)
        encoder = open_encoder(wanted.encoder, context.settings.encoders_dir, device=context.settings.device)
    else:
        vectors, encoder = embedded.vectors, embedded.encoder
    answer = context.service.searches.engine.search(context.workspace, _request(wanted), vectors, encoder)
    return pydantic_core.to_json(
        {
            "results": [{"hits": [_hit(rank, hit) for rank, hit in enumerate(hits, start=1)]} for hits in answer.hits],
            "order": "margin" if answer.by_margin else "cosine",
            "searched": _searched(answer),
            "skipped": [{"corpus": name, "code": code} for name, code in answer.skipped],
            "encoder": encoder.name,
            "truncated": embedded.truncated if embedded else 0,
        }
    )


def _request(wanted: SearchIn) -> SearchRequest:
    """
    Raises:
        LanguageError: `unknown-language`.
    """
    return SearchRequest(
        corpora=wanted.corpora,
        langs=[parse_language(lang) for lang in wanted.langs],
        lang=None if wanted.lang is None else parse_language(wanted.lang),
        k=wanted.k,
        margin=wanted.margin,
        neighborhood=wanted.neighborhood,
        background=wanted.background,
        probes=wanted.probes,
        exact=wanted.exact,
        min_margin=wanted.min_margin,
        min_cosine=wanted.min_cosine,
        filter=Filter.of(wanted.filter.doc_ids, wanted.filter.meta),
        allow_uncovered_languages=wanted.allow_uncovered_languages,
    )


def _given(wanted: SearchIn) -> NDArray[np.float64]:
    """The vectors of the request, (q, dims).

    Raises:
        MismatchError: they are not of equal length, or base64 of something else.
    """
    rows = [_decoded(vector) if isinstance(vector, str) else vector for vector in wanted.vectors]
    if len({len(row) for row in rows}) != 1:
        raise MismatchError("the vectors of a request must have the same number of dimensions")
    return np.array(rows, np.float64)


def _decoded(text: str) -> NDArray[np.float32]:
    try:
        content = base64.b64decode(text, validate=True)
        return np.frombuffer(content, "<f4")
    except (binascii.Error, ValueError) as error:
        raise MismatchError(f"a vector is no base64 of little-endian float32: {error}") from None


def _hit(rank: int, hit: Hit) -> dict[str, Any]:
    sentence = hit.sentence
    return {
        "rank": rank,
        "text": sentence.text,
        "corpus": hit.corpus,
        "lang": hit.lang,
        "row": hit.row,
        "id": sentence.id,
        "doc_id": sentence.doc_id,
        "source": sentence.source,
        "line": sentence.line,
        "meta": sentence.meta,
        "cosine": hit.cosine,
        "margin": hit.margin,
        "query_mean": hit.query_mean,
        "hit_mean": hit.hit_mean,
    }


def _searched(answer: SearchAnswer) -> list[dict[str, Any]]:
    return [
        {
            "corpus": each.name,
            "lang": each.lang,
            "sentences": each.sentences,
            "exact": each.exact,
            "background": each.background,
            "background_mined": each.background_mined,
        }
        for each in answer.searched
    ]
