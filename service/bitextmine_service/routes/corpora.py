"""/v1/corpora: upload, list, look at, delete."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from bitextmine.catalog import NAME_PATTERN, check_name
from bitextmine.corpus import CorpusFormat
from bitextmine.errors import ArtifactError, ConflictError
from bitextmine.jobs.record import JobKind
from bitextmine.jobs.specs import IngestSpec
from bitextmine.languages import parse_language
from bitextmine_service import uploads
from bitextmine_service.context import Context, Ctx, Cursor, Limit, accepted, decode_cursor, page
from bitextmine_service.models import CorpusOut, CorpusPage, JobOut, RefusedLine, RefusedPage
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
    context: Ctx,
    name: Annotated[str, Query(pattern=f"^{NAME_PATTERN}$", description="A name for the corpus, not taken yet.")],
    lang: Annotated[str, Query(max_length=40, description="Its language: de, deu, deu_Latn, zh-Hans ...")],
    form: Annotated[CorpusFormat, Query(alias="format", description="How a line holds its sentence.")] = (
        CorpusFormat.TEXT
    ),
    source: Annotated[str | None, Query(max_length=200, description="The file's name, kept as provenance.")] = None,
) -> JSONResponse:
    """Upload a corpus, one sentence a line: the body is the file. The job that is answered makes it ready to mine.

    Try: curl -T news.de.gz 'http://127.0.0.1:8000/v1/corpora?name=news-de&lang=de' -X POST
    """
    language = parse_language(lang)
    limit = context.settings.max_upload_bytes
    uploads.check_size(int(request.headers.get("content-length", "0")), limit)
    await to_thread.run_sync(_check_free, context, name)
    upload = await uploads.receive(request.stream(), context.settings.workspace.uploads, limit)
    spec = IngestSpec(
        name=name,
        lang=language,
        format=form,
        source=source or name,
        upload=upload.name,
        sha256=upload.sha256,
        max_chars=context.settings.max_chars,
        max_bytes=context.settings.max_expanded_bytes,
    )
    try:
        record = await to_thread.run_sync(context.submit, JobKind.INGEST, spec)
    except BaseException:
        uploads.discard(context.settings.workspace.uploads, upload.name)
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
            corpora.append(CorpusOut.of(entry, context.catalog.open(entry.name)))
        except ArtifactError as error:  # one damaged corpus must not hide the others; asked for by name, it says so
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
def delete_corpus(context: Ctx, name: NamePath) -> None:
    """Delete a corpus and its embeddings. Bitexts mined from it stay. Refused while a job uses it."""
    context.catalog.get(name)
    for job_id in context.jobs.unfinished():
        job = context.jobs.get(job_id)
        if name in (job.spec.get("src"), job.spec.get("tgt")):
            raise ConflictError(f"job {job_id} mines corpus {name!r}; cancel it or wait", code="corpus-in-use")
    context.catalog.delete(name)


def _check_free(context: Context, name: str) -> None:
    """Refuse before the upload what would be refused after it."""
    context.check_room_for_a_job()
    taken = name in {entry.name for entry in context.catalog.list()}
    for job_id in context.jobs.unfinished():
        job = context.jobs.get(job_id)
        taken = taken or (job.kind is JobKind.INGEST and job.spec["name"] == check_name(name))
    if taken:
        raise ConflictError(f"there is a corpus {name!r} already; delete it or take another name", code="corpus-exists")
