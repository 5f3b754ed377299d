"""/v1/corpora/{name}/indexes: make a corpus searchable, and see by which encoders it is."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import Corpus
from bitextmine.embeddings import find_embeddings
from bitextmine.encoders import Encoder, installed, open_encoder
from bitextmine.errors import BitextmineError
from bitextmine.jobs.once import Claim
from bitextmine.jobs.record import JobKind, JobRecord
from bitextmine.jobs.specs import IndexSpec
from bitextmine.mining import MiningParameters, check_languages
from bitextmine.online.search_index import describe_search_index
from bitextmine.online.searchable import SCANNED_ROWS
from bitextmine_service.context import Context, Ctx, MineCtx
from bitextmine_service.idempotency import IdempotencyKey, once
from bitextmine_service.models.jobs import JobOut
from bitextmine_service.models.search import IndexIn, IndexList, IndexOut
from bitextmine_service.problems import documented
from bitextmine_service.routes.corpora import NamePath

router = APIRouter(prefix="/v1/corpora", tags=["search"])


@router.post(
    "/{name}/indexes",
    status_code=HTTPStatus.ACCEPTED,
    response_model=JobOut,
    responses=documented(
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
def create_index(context: MineCtx, name: NamePath, wanted: IndexIn, key: IdempotencyKey = None) -> JSONResponse:
    """Make a corpus searchable by an encoder: a job embeds what has no vectors yet and, of a large corpus, builds an
    index. What is there already is not done again."""
    request = {"route": "indexes", "corpus": name, **wanted.model_dump(mode="json")}
    return once(context, key, request, lambda claim: _submit(context, name, wanted, claim))


def _submit(context: Context, name: str, wanted: IndexIn, claim: Claim | None) -> JobRecord:
    corpus = context.catalog.open(name)
    encoder = open_encoder(wanted.encoder, context.settings.encoders_dir, device=context.settings.device)
    allowed = MiningParameters(allow_uncovered_languages=wanted.allow_uncovered_languages)
    check_languages([corpus.lang], encoder, allowed)
    context.check_room_for_a_job()
    spec = IndexSpec(
        corpus=name,
        digest=corpus.digest,
        encoder=wanted.encoder,
        allow_uncovered_languages=wanted.allow_uncovered_languages,
    )
    return context.submit(JobKind.INDEX, spec, claim=claim)


@router.get("/{name}/indexes", responses=documented(HTTPStatus.NOT_FOUND))
def list_indexes(context: Ctx, name: NamePath) -> IndexList:
    """The encoders that a corpus has vectors by, each with the index over them, if there is one."""
    corpus, store = context.catalog.open(name), context.workspace.artifacts
    items = []
    for card in installed(context.settings.encoders_dir):
        if (found := _index(context, card.name, corpus, store)) is not None:
            items.append(found)
    return IndexList(items=items)


def _index(context: Context, name: str, corpus: Corpus, store: ArtifactStore) -> IndexOut | None:
    try:
        encoder: Encoder = open_encoder(name, context.settings.encoders_dir, device=context.settings.device)
        vectors = find_embeddings(corpus, encoder, store)
        index = None if vectors is None else describe_search_index(vectors.digest, store)
    except BitextmineError:  # an encoder or an artifact that is damaged: it cannot be used, and is not listed
        return None
    if vectors is None:
        return None
    summary = {} if index is None else index.summary
    return IndexOut(
        encoder=name,
        sentences=len(vectors),
        dims=vectors.dims,
        indexed=index is not None,
        searchable=index is not None or len(vectors) <= SCANNED_ROWS,
        kind=summary.get("kind"),
        cells=summary.get("cells"),
        probes=summary.get("probes"),
        bytes=summary.get("bytes"),
    )
