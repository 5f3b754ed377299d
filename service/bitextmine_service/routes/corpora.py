"""/v1/corpora: upload, list, look at, delete."""

from __future__ import annotations

import logging
import pathlib
from http import HTTPStatus
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from bitextmine.catalog import NAME_PATTERN
from bitextmine.corpus import CorpusFormat, format_of
from bitextmine.errors import ArtifactError, ConflictError, CorpusInputError, NotFoundError
from bitextmine.jobs.record import JobKind
from bitextmine.jobs.specs import IngestSpec
from bitextmine.languages import parse_language
from bitextmine_service import uploads
from bitextmine_service.context import Context, Ctx, Cursor, Limit, MineCtx, accepted, decode_cursor, page
from bitextmine_service.models.corpora import CorpusOut, CorpusPage, RefusedLine, RefusedPage
from bitextmine_service.models.jobs import JobOut
from bitextmine_service.problems import documented

router = APIRouter(prefix="/v1/corpora", tags=["corpora"])
_logger = logging.getLogger(__name__)
NamePath = Annotated[str, Path(pattern=f"^{NAME_PATTERN}$", description="The corpus's name.")]
UploadBody = {
    "requestBody": {
        "description": "The file itself, plain or compressed with gzip, xz or zstd (told by its content).",
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    response_model=JobOut,
    openapi_extra=UploadBody,
    responses=documented(
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.INSUFFICIENT_STORAGE,
    ),
)
async def create_corpus(
    request: Request,
    context: MineCtx,
    name: Annotated[str, Query(pattern=f"^{NAME_PATTERN}$", description="A name for the corpus, not taken yet.")],
    lang: Annotated[str, Query(max_length=40, description="Its language: de, deu, deu_Latn, zh-Hans ...")],
    form: Annotated[
        CorpusFormat | None,
        Query(alias="format", description="How a line holds its sentence; told by the name in `source` if absent."),
    ] = None,
    source: Annotated[str | None, Query(max_length=200, description="The file's name, kept as provenance.")] = None,
) -> JSONResponse:
    """Upload a corpus, one sentence a line: the body is the file. The job that is answered makes it ready to mine.

    Try: curl -T news.de.gz 'http://127.0.0.1:8000/v1/corpora?name=news-de&lang=de' -X POST
    """
    _check_plain_body(request)
    language = parse_language(lang)
    limit = context.settings.max_upload_bytes
    uploads.check_size(int(request.headers.get("content-length", "0")), limit)
    await to_thread.run_sync(_check_free, context, name)
    upload = await uploads.receive(request.stream(), context.workspace.uploads, limit)
    spec = IngestSpec(
        name=name,
        lang=language,
        format=form or format_of(pathlib.Path(source or name)),
        source=source or name,
        upload=upload.name,
        sha256=upload.sha256,
        max_chars=context.settings.max_chars,
        max_bytes=context.settings.max_expanded_bytes,
    )
    try:
        record = await to_thread.run_sync(context.submit, JobKind.INGEST, spec)
    except BaseException:
        uploads.discard(context.workspace.uploads, upload.name)
        raise
    return accepted(record)


@router.get("", responses=documented())
def list_corpora(context: Ctx, limit: Limit = 100, cursor: Cursor = None) -> CorpusPage:
    """The corpora that are ready, in alphabetical order."""
    start = decode_cursor(cursor)
    entries, following = page(iter(context.catalog.list()[start:]), start, limit)
    corpora = []
    for entry in entries:
        try:
            corpora.append(CorpusOut.of(entry, context.catalog.corpus(entry)))
        except ArtifactError as error:  # damaged, or deleted meanwhile; asked for by name, it says so
            _logger.error("%s", error)  # noqa: TRY400 - one line: the file is damaged, not the program
    return CorpusPage(items=corpora, next_cursor=following)


@router.get("/{name}", responses=documented(HTTPStatus.NOT_FOUND))
def get_corpus(context: Ctx, name: NamePath) -> CorpusOut:
    """One corpus: its language, and what became of the lines of its file."""
    return CorpusOut.of(context.catalog.get(name), context.catalog.open(name))


@router.get("/{name}/refused", responses=documented(HTTPStatus.NOT_FOUND))
def get_refused_lines(context: Ctx, name: NamePath, limit: Limit = 100, cursor: Cursor = None) -> RefusedPage:
    """The lines of the file that could not be used, each with its number and the reason."""
    start = decode_cursor(cursor)
    lines, following = page(context.catalog.open(name).refusals(start, limit + 1), start, limit)
    items = [RefusedLine(line=each.line, reason=each.reason, detail=each.detail) for each in lines]
    return RefusedPage(items=items, next_cursor=following)


@router.delete(
    "/{name}",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE),
)
def delete_corpus(context: MineCtx, name: NamePath) -> None:
    """Delete a corpus and its embeddings. Bitexts mined from it stay. Refused while a job uses it."""
    if not context.catalog.has(name):
        raise NotFoundError(f"there is no corpus {name!r}", code="corpus-not-found")
    for job in context.jobs.unfinished_records():
        if name in (job.spec.get("src"), job.spec.get("tgt")):
            raise ConflictError(f"job {job.id} mines corpus {name!r}; cancel it or wait", code="corpus-in-use")
    context.catalog.delete(name)


def _check_plain_body(request: Request) -> None:
    """Refuse a form: its boundaries and headers would become sentences."""
    if request.headers.get("content-type", "").strip().lower().startswith("multipart/form-data"):
        message = (
            "the body is a form, and must be the file itself: with curl use -T FILE or --data-binary @FILE, not -F"
        )
        raise CorpusInputError(message, code="unsupported-input")


def _check_free(context: Context, name: str) -> None:
    """Refuse before the upload what would be refused after it."""
    context.check_room_for_a_job()
    coming = {job.spec["name"] for job in context.jobs.unfinished_records() if job.kind is JobKind.INGEST}
    if name in coming or context.catalog.has(name):
        raise ConflictError(f"there is a corpus {name!r} already; delete it or take another name", code="corpus-exists")
