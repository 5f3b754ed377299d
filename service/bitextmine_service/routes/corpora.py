"""/v1/corpora: upload, append, list, look at, delete."""

from __future__ import annotations

import logging
import threading
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from bitextmine.catalog import NAME_PATTERN, CatalogEntry
from bitextmine.corpus.statistics import find_statistics, known_warnings, statistics
from bitextmine.errors import ArtifactError, BitextmineError, ConflictError, NotFoundError
from bitextmine.languages import parse_language
from bitextmine_service.context import Context, Ctx, Cursor, Limit, MineCtx, decode_cursor, page
from bitextmine_service.idempotency import IdempotencyKey
from bitextmine_service.intake import FileQuery, Intake
from bitextmine_service.models.corpora import CorpusOut, CorpusPage, RefusedLine, RefusedPage, StatisticsOut
from bitextmine_service.models.jobs import JobOut
from bitextmine_service.problems import documented

router = APIRouter(prefix="/v1/corpora", tags=["corpora"])
_logger = logging.getLogger(__name__)
_computing = threading.Lock()  # statistics of a corpus that has none yet: one at a time, the others are told to wait
NamePath = Annotated[str, Path(pattern=f"^{NAME_PATTERN}$", description="The corpus's name.")]
UploadBody = {
    "requestBody": {
        "description": "The file itself, plain or compressed with gzip, xz or zstd (told by its content). Without "
        "`upload` and `path` there must be one.",
        "required": False,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


ACCEPTING = documented(
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,
    HTTPStatus.GONE,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.LOCKED,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.INSUFFICIENT_STORAGE,
)


@router.post("", status_code=HTTPStatus.ACCEPTED, response_model=JobOut, openapi_extra=UploadBody, responses=ACCEPTING)
async def create_corpus(
    request: Request,
    context: MineCtx,
    name: Annotated[str, Query(pattern=f"^{NAME_PATTERN}$", description="A name for the corpus, not taken yet.")],
    lang: Annotated[str, Query(max_length=40, description="Its language: de, deu, deu_Latn, zh-Hans ...")],
    file: Annotated[FileQuery, Depends()],
    key: IdempotencyKey = None,
) -> JSONResponse:
    """Upload a corpus, one sentence a line: the body is the file. The job that is answered makes it ready to mine.

    In place of a body, `upload` names what was uploaded in pieces before, or `path` a file of the server.

    Try: curl -T news.de.gz 'http://127.0.0.1:8000/v1/corpora?name=news-de&lang=de' -X POST
    """
    return await Intake(context, name, file, parse_language(lang)).accept(request, key)


@router.post(
    "/{name}/append",
    status_code=HTTPStatus.ACCEPTED,
    response_model=JobOut,
    openapi_extra=UploadBody,
    responses=ACCEPTING,
)
async def append_to_corpus(
    request: Request,
    context: MineCtx,
    name: NamePath,
    file: Annotated[FileQuery, Depends()],
    key: IdempotencyKey = None,
) -> JSONResponse:
    """Append a file to a corpus, which makes a new version of it: the body is the file, as for a new corpus.

    The sentences that it has keep their rows, and are not embedded again; those that it has not follow. Jobs sent
    before work on the version that there was then.
    """
    return await Intake(context, name, file).accept(request, key)


@router.get("", responses=documented())
def list_corpora(context: Ctx, limit: Limit = 100, cursor: Cursor = None) -> CorpusPage:
    """The corpora that are ready, in alphabetical order."""
    start = decode_cursor(cursor)
    entries, following = page(iter(context.catalog.list()[start:]), start, limit)
    corpora = []
    for entry in entries:
        try:
            corpora.append(_shown(context, entry))
        except ArtifactError as error:  # damaged, or deleted meanwhile; asked for by name, it says so
            _logger.error("%s", error)  # noqa: TRY400 - one line: the file is damaged, not the program
    return CorpusPage(items=corpora, next_cursor=following)


@router.get("/{name}", responses=documented(HTTPStatus.NOT_FOUND))
def get_corpus(context: Ctx, name: NamePath) -> CorpusOut:
    """One corpus: its language, its files, and what became of their lines."""
    return _shown(context, context.catalog.get(name))


@router.get(
    "/{name}/statistics",
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INSUFFICIENT_STORAGE),
)
def get_statistics(context: Ctx, name: NamePath) -> StatisticsOut:
    """What a corpus is like: lengths, languages and scripts of its sentences, what was refused or repeated.

    Languages and scripts are those of a sample. They are found out when a corpus is made; for one from before there
    were statistics, now, which takes a second or two for each million sentences.
    """
    corpus, store = context.catalog.open(name), context.workspace.artifacts
    if (found := find_statistics(corpus, store)) is None:
        if not _computing.acquire(blocking=False):
            message = "statistics of another corpus are being computed; try again soon"
            raise BitextmineError(message, code="queue-full")
        try:
            found = statistics(corpus, store)
        finally:
            _computing.release()
    return StatisticsOut(**found)


@router.get("/{name}/refused", responses=documented(HTTPStatus.NOT_FOUND))
def get_refused_lines(context: Ctx, name: NamePath, limit: Limit = 100, cursor: Cursor = None) -> RefusedPage:
    """The lines that could not be used, each with its file, its number in it and the reason."""
    start = decode_cursor(cursor)
    lines, following = page(context.catalog.open(name).refusals_by_part(start, limit + 1), start, limit)
    items = [
        RefusedLine(source=part.source, line=each.line, reason=each.reason, detail=each.detail) for part, each in lines
    ]
    return RefusedPage(items=items, next_cursor=following)


@router.delete(
    "/{name}",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE),
)
def delete_corpus(context: MineCtx, name: NamePath) -> None:
    """Delete a corpus in all its versions, with its embeddings. Bitexts mined from it stay.

    Refused while a job that is not over reads it, or appends to it.
    """
    if not context.catalog.has(name):
        raise NotFoundError(f"there is no corpus {name!r}", code="corpus-not-found")
    for job in context.jobs.unfinished_records():
        if name in job.corpora:
            message = f"job {job.id} ({job.kind}) works with corpus {name!r}; cancel it or wait"
            raise ConflictError(message, code="corpus-in-use")
    context.catalog.delete(name)


def _shown(context: Context, entry: CatalogEntry) -> CorpusOut:
    corpus = context.catalog.corpus(entry)
    return CorpusOut.of(entry, corpus, known_warnings(corpus, context.workspace.artifacts))
