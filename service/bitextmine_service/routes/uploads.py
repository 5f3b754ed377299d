"""/v1/uploads: files in pieces, after the tus protocol 1.0.0 with creation, expiration, checksum and termination."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import AsyncIterator
from email.utils import format_datetime
from http import HTTPStatus
from typing import Annotated

import anyio
from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic.json_schema import SkipJsonSchema
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bitextmine.errors import BitextmineError, CorpusInputError
from bitextmine.resumable import Appending, Checksum, PartialUpload
from bitextmine.uploads import ID_PATTERN
from bitextmine_service import problems, uploads
from bitextmine_service.context import Ctx, MineCtx
from bitextmine_service.intake import check_unused, resumable
from bitextmine_service.problems import documented

VERSION = "1.0.0"
EXTENSIONS = "creation,expiration,checksum,termination"
CHECKSUMS = ("sha1", "sha256", "md5")
MEDIA_TYPE = "application/offset+octet-stream"
CHECKSUM_MISMATCH = 460  # tus; no status of HTTP's own
_FOLDER = "/v1/uploads"
_MOST_BYTES = 1 << 53  # beyond it a number of bytes is no integer to JavaScript


def _check_version(
    tus_resumable: Annotated[
        str, Header(description="The client's version of tus.", json_schema_extra={"enum": [VERSION]})
    ],
) -> None:
    if tus_resumable != VERSION:
        raise BitextmineError(f"this speaks tus {VERSION}, not {tus_resumable[:20]!r}", code="tus-version")


router = APIRouter(prefix=_FOLDER, tags=["uploads"])
UploadId = Annotated[str, Path(pattern=f"^{ID_PATTERN}$", description="The upload's id.")]
Spoken = [Depends(_check_version)]
_ALWAYS = (HTTPStatus.PRECONDITION_FAILED,)
_LOOKING_UP = (*_ALWAYS, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
PieceBody = {
    "requestBody": {
        "description": "The next bytes of the file, as many as you like.",
        "required": True,
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.options("", status_code=HTTPStatus.NO_CONTENT, response_class=Response, responses=documented())
def describe_uploads(context: Ctx) -> Response:
    """What of tus this speaks, and the largest upload that it takes."""
    headers = {
        "Tus-Extension": EXTENSIONS,
        "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
        "Tus-Max-Size": str(context.settings.max_upload_bytes),
    }
    return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    response_class=Response,
    dependencies=Spoken,
    responses=documented(
        *_ALWAYS,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INSUFFICIENT_STORAGE,
    ),
)
def create_upload(
    context: MineCtx,
    upload_length: Annotated[int, Header(ge=0, le=_MOST_BYTES, description="Bytes of the whole file.")],
    upload_metadata: Annotated[
        str, Header(max_length=2000, description="Names, each with a value in base64, with commas in between: filename")
    ] = "",
) -> Response:
    """Begin an upload in pieces. `Location` is where its pieces go."""
    uploads.check_size(upload_length, context.settings.max_upload_bytes)
    most = context.settings.max_unfinished_uploads
    upload = resumable(context).create(upload_length, upload_metadata, most)
    headers = {"Location": f"{_FOLDER}/{upload.id}", **_progress(upload)}
    return Response(status_code=HTTPStatus.CREATED, headers=headers)


@router.head(
    "/{upload_id}",
    status_code=HTTPStatus.OK,
    response_class=Response,
    dependencies=Spoken,
    responses=documented(*_LOOKING_UP),
)
def look_at_upload(context: MineCtx, upload_id: UploadId) -> Response:
    """How much of an upload has come: what `Upload-Offset` counts is on the disk."""
    upload = resumable(context).get(upload_id)
    headers = {"Upload-Length": str(upload.length), "Cache-Control": "no-store", **_progress(upload)}
    if upload.metadata:
        headers["Upload-Metadata"] = upload.metadata
    return Response(headers=headers)


@router.patch(
    "/{upload_id}",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    dependencies=Spoken,
    openapi_extra=PieceBody,
    responses=documented(
        *_LOOKING_UP,
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.LOCKED,
        HTTPStatus.INSUFFICIENT_STORAGE,
    )
    | {CHECKSUM_MISMATCH: documented()[HTTPStatus.UNPROCESSABLE_ENTITY] | {"description": "Checksum Mismatch"}},
)
async def append_to_upload(
    request: Request,
    context: MineCtx,
    upload_id: UploadId,
    upload_offset: Annotated[int, Header(ge=0, le=_MOST_BYTES, description="Where the piece begins.")],
    upload_checksum: Annotated[
        str | SkipJsonSchema[None],
        Header(
            max_length=200,
            description="sha1, sha256 or md5, a space, the piece's digest in base64.",
            json_schema_extra={"pattern": f"^({'|'.join(CHECKSUMS)}) [A-Za-z0-9+/]{{22,43}}={{1,2}}$"},
        ),
    ] = None,
) -> Response:
    """Send the next piece. What came of one that breaks off is kept, unless it has a checksum."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise BitextmineError(f"a piece has the Content-Type {MEDIA_TYPE}", code="unsupported-media-type")
    checksum = _checksum(upload_checksum)
    store = resumable(context)
    piece = await to_thread.run_sync(store.append, upload_id, upload_offset, checksum)
    chunks = uploads.arriving(request, context.settings.upload_stall_seconds)
    announced = int(request.headers.get("content-length", "0"))
    if not await _received(piece, chunks, announced):
        return _mismatch(request.url.path)
    upload = await to_thread.run_sync(store.get, upload_id)
    return Response(status_code=HTTPStatus.NO_CONTENT, headers=_progress(upload))


@router.delete(
    "/{upload_id}",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    dependencies=Spoken,
    responses=documented(*_LOOKING_UP, HTTPStatus.CONFLICT, HTTPStatus.LOCKED, HTTPStatus.SERVICE_UNAVAILABLE),
)
def delete_upload(context: MineCtx, upload_id: UploadId) -> None:
    """Delete an upload, finished or not. Refused while a job reads it."""
    store = resumable(context)
    with store.locked(upload_id):
        check_unused(context, upload_id)
        uploads.discard(store.directory, upload_id)


async def _received(piece: Appending, chunks: AsyncIterator[bytes], announced: int) -> bool:
    """Write what comes; whether it is what its checksum says, if it has one."""
    whole = False
    try:
        piece.check_room(announced)
        async for block in uploads.blocks(chunks):
            await to_thread.run_sync(piece.write, block)
        whole = True
    finally:
        with anyio.CancelScope(shield=True):  # what came is kept, whatever ends the request
            good = await to_thread.run_sync(lambda: piece.close(whole=whole))
    return good


def _checksum(header: str | None) -> Checksum | None:
    if header is None:
        return None
    name, _, digest = header.strip().partition(" ")
    if name not in CHECKSUMS:
        message = f"checksums are {', '.join(CHECKSUMS)}, not {name[:20]!r}"
        raise BitextmineError(message, code="checksum-unsupported")
    hasher = hashlib.new(name, usedforsecurity=False)
    try:
        expected = base64.b64decode(digest.strip(), validate=True)
    except (binascii.Error, ValueError):
        expected = b""
    if len(expected) != hasher.digest_size:
        raise CorpusInputError(f"Upload-Checksum has no {name} digest in base64", code="invalid-upload-checksum")
    return Checksum(hasher, expected)


def _mismatch(path: str) -> JSONResponse:
    problem = problems.Problem(
        type="urn:bitextmine:error:upload-checksum-mismatch",
        title="Checksum Mismatch",
        status=CHECKSUM_MISMATCH,
        detail="the piece is not what its checksum says; none of it was kept",
        instance=path,
        code="upload-checksum-mismatch",
    )
    content = problem.model_dump(exclude_defaults=True)
    return JSONResponse(content, CHECKSUM_MISMATCH, media_type=problems.MEDIA_TYPE)


def _progress(upload: PartialUpload) -> dict[str, str]:
    return {"Upload-Offset": str(upload.offset), "Upload-Expires": format_datetime(upload.expires, usegmt=True)}


class TusHeaders:
    """ASGI middleware: every answer about uploads says which version of tus this speaks, problems too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_FOLDER):
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Tus-Resumable", VERSION)
                headers.setdefault("Tus-Version", VERSION)
            await send(message)

        await self._app(scope, receive, sending)
