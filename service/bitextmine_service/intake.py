"""How a file becomes a job: sent as the body, uploaded before in pieces, or lying on the server."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path as FilePath
from typing import Annotated, Any

from anyio import to_thread
from fastapi import Query, Request
from fastapi.responses import JSONResponse

from bitextmine.corpus import CorpusFormat, format_of
from bitextmine.errors import ConflictError, CorpusInputError, ParameterError
from bitextmine.imports import find_import
from bitextmine.jobs.once import Claim
from bitextmine.jobs.record import JobKind, JobRecord
from bitextmine.jobs.specs import IngestSpec
from bitextmine.keys import Scope
from bitextmine.quota import sentences_left
from bitextmine.resumable import Uploads
from bitextmine.uploads import ID_PATTERN
from bitextmine_service import uploads
from bitextmine_service.context import Context
from bitextmine_service.idempotency import once, once_uploaded

_SOURCE_CHARS = 200


@dataclass(frozen=True)
class FileQuery:
    """Which file, and how to read it: the query parameters of all routes that take one."""

    form: Annotated[
        CorpusFormat | None,
        Query(alias="format", description="How a line holds its sentence; told by the name in `source` if absent."),
    ] = None
    source: Annotated[
        str | None, Query(max_length=_SOURCE_CHARS, description="The file's name, kept as provenance.")
    ] = None
    upload: Annotated[
        str | None, Query(pattern=f"^{ID_PATTERN}$", description="A finished upload in pieces, in place of a body.")
    ] = None
    path: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=4096,
            description="A file of the server below a directory that imports are allowed from, in place of a body. "
            "Takes a key with the scope admin.",
        ),
    ] = None


@dataclass(frozen=True)
class Intake:
    """A file that is to become the corpus `name`, or to be appended to it; without `lang`, that of the corpus."""

    context: Context
    name: str
    file: FileQuery
    lang: str | None = None

    async def accept(self, request: Request, key: str | None) -> JSONResponse:
        """202 with the job.

        Raises:
            ParameterError: `invalid-parameter`: it is not one file.
            ConflictError: `corpus-exists`, `upload-incomplete`, `upload-in-use`, `upload-locked`.
            NotFoundError: `corpus-not-found`, `upload-not-found`, `upload-expired`.
            BitextmineError: see `receive` and `find_import`; `too-many-jobs`.
        """
        same = {"route": "corpora", "name": self.name, "lang": self.lang, **asdict(self.file)}
        if self.file.upload is None and self.file.path is None:
            return await body_accepted(self.context, request, key, same, check=self._check, make=self._submit_body)
        if self.file.upload is not None and self.file.path is not None:
            raise ParameterError("give `upload` or `path`, not both")
        refuse_body(request, "`upload` or `path`")
        make = self._submit_upload if self.file.upload is not None else self._submit_import
        return await to_thread.run_sync(once, self.context, key, same, make)

    def _submit_body(self, upload: uploads.Upload, claim: Claim | None) -> JobRecord:
        return self._submit(claim, self.file.source or self.name, upload=upload.name, sha256=upload.sha256)

    def _submit_upload(self, claim: Claim | None) -> JobRecord:
        self._check()
        with finished_upload(self.context, str(self.file.upload)) as filename:
            return self._submit(claim, self.file.source or filename or self.name, upload=self.file.upload)

    def _submit_import(self, claim: Claim | None) -> JobRecord:
        self.context.caller.check(Scope.ADMIN)
        found = find_import(str(self.file.path), self.context.settings.import_dirs)
        self._check()
        source = self.file.source or _printable(found.path.name)
        return self._submit(claim, source, path=str(found.path), root=str(found.root), state=found.state)

    def _submit(self, claim: Claim | None, source: str, **where: str | None) -> JobRecord:
        settings = self.context.settings
        spec = IngestSpec(
            name=self.name,
            lang=self.lang or self.context.catalog.get(self.name).lang,
            format=self.file.form or format_of(FilePath(source)),
            source=source,
            append=self.lang is None,
            token=secrets.token_hex(16),
            max_chars=settings.max_chars,
            max_bytes=settings.max_expanded_bytes,
            max_sentences=self.context.caller.max_sentences,
            **where,
        )
        return self.context.submit(JobKind.INGEST, spec, claim=claim)

    def _check(self) -> None:
        """Refuse before the upload what would be refused after it."""
        self.context.check_room_for_a_job()
        sentences_left(self.context.catalog, self.context.caller.max_sentences)
        if self.lang is None:
            self.context.catalog.get(self.name)
            return
        coming = {
            job.spec["name"]
            for job in self.context.jobs.unfinished_records()
            if job.kind is JobKind.INGEST and not job.spec.get("append")
        }
        if self.name in coming or self.context.catalog.has(self.name):
            message = f"there is a corpus {self.name!r} already; delete it, append to it or take another name"
            raise ConflictError(message, code="corpus-exists")


async def body_accepted(
    context: Context,
    request: Request,
    key: str | None,
    same: Mapping[str, Any],
    *,
    check: Callable[[], None],
    make: Callable[[uploads.Upload, Claim | None], JobRecord],
) -> JSONResponse:
    """202 with the job that `make` submits of the request's body, once it is on the disk; see `once_uploaded`.

    Raises:
        CorpusInputError: `unsupported-input`, and as `uploads.receive`.
        BitextmineError: `upload-stalled`; what `check` and `make` raise.
    """
    settings, directory = context.settings, context.workspace.uploads
    check_plain_body(request)
    uploads.check_size(int(request.headers.get("content-length", "0")), settings.max_upload_bytes)
    chunks = uploads.arriving(request, settings.upload_stall_seconds)
    return await once_uploaded(
        context,
        key,
        same,
        check=check,
        receive=lambda: uploads.receive(chunks, directory, settings.max_upload_bytes),
        make=make,
    )


def refuse_body(request: Request, given: str) -> None:
    """
    Raises:
        ParameterError: there is a body beside what is given in its place.
    """
    if int(request.headers.get("content-length", "0")) or "transfer-encoding" in request.headers:
        raise ParameterError(f"with {given} there is no body; leave one out")


@contextmanager
def finished_upload(context: Context, upload_id: str) -> Iterator[str | None]:
    """The file name of an upload that has come as a whole, and that nobody else changes or uses meanwhile.

    Raises:
        ConflictError: `upload-incomplete`, `upload-in-use`, `upload-locked`.
        NotFoundError: `upload-not-found`, `upload-expired`.
    """
    with resumable(context).locked(upload_id) as upload:
        if not upload.complete:
            message = f"upload {upload_id} has {upload.offset:,} of {upload.length:,} bytes; finish it first"
            raise ConflictError(message, code="upload-incomplete")
        check_unused(context, upload_id)
        uploads.keep(context.workspace.uploads, upload_id)
        name = upload.filename
        yield _printable(name) if name else None


def resumable(context: Context) -> Uploads:
    """The uploads in pieces of the caller's tenant."""
    return Uploads(context.workspace.uploads, context.settings.upload_max_age_seconds)


def check_unused(context: Context, upload_id: str) -> None:
    """
    Raises:
        ConflictError: `upload-in-use`: a job that is not over reads the upload.
    """
    for job in context.jobs.unfinished_records():
        if job.spec.get("upload") == upload_id:
            raise ConflictError(f"job {job.id} reads upload {upload_id}; wait for it", code="upload-in-use")


def _printable(name: str) -> str:
    shown = "".join(character if character.isprintable() else "_" for character in name)
    return shown.encode(errors="replace").decode()[-_SOURCE_CHARS:]


def check_plain_body(request: Request) -> None:
    """Refuse a form: its boundaries and headers would become sentences.

    Raises:
        CorpusInputError: `unsupported-input`.
    """
    if request.headers.get("content-type", "").strip().lower().startswith("multipart/form-data"):
        message = (
            "the body is a form, and must be the file itself: with curl use -T FILE or --data-binary @FILE, not -F"
        )
        raise CorpusInputError(message, code="unsupported-input")
