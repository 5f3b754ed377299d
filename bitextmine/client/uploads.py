"""Uploads in pieces, after the tus protocol 1.0.0: what breaks off goes on where it stopped."""

from __future__ import annotations

import base64
from urllib.parse import quote

from bitextmine.client.answers import LOST, answered, checked, pause, problem, unexpected, unreachable
from bitextmine.client.corpus_results import UploadState
from bitextmine.client.operation import Group, Mode, operation
from bitextmine.client.sources import Progress, Source, body_of
from bitextmine.client.steps import Body, Call, Do, Flow, Repeats, Send, Sleep
from bitextmine.errors import CorpusInputError, ServiceError

_PATH = "/v1/uploads"
_VERSION = {"Tus-Resumable": "1.0.0"}
PIECE_BYTES = 64 << 20  # what a proxy in between may hold in memory or refuse; each piece is one request
_LOCKED, _LOCKED_PAUSE = 423, 15.0  # seconds; a service that has not noticed a broken connection holds on for a minute
_ELSEWHERE = "upload-offset"  # the end of a piece that broke off came after it was asked how much there is
_BUSY = (408, 423, 429, 500, 502, 503, 504)  # after which it is worth asking how much has come


class Uploads(Group[Mode]):
    """`client.uploads`; `corpora.upload` does all this for large files by itself."""

    @operation
    def begin(self, size: int, *, file_name: str | None = None) -> Flow[UploadState]:
        """Begin an upload of so many bytes.

        Raises:
            ServiceError: `upload-too-large`, `too-many-uploads` ...
        """
        return (yield from begun(size, file_name))

    @operation
    def get(self, upload: str) -> Flow[UploadState]:
        """How much of an upload has come.

        Raises:
            ServiceError: `upload-not-found`, `upload-expired`.
        """
        return (yield from looked_up(upload))

    @operation
    def send(self, upload: str, source: Source, *, progress: Progress | None = None) -> Flow[UploadState]:
        """Send what has not come yet of an upload, which may have been begun by another process, long ago.

        Raises:
            ServiceError: `upload-not-found`, `upload-expired`; or no byte has come for too long.
            CorpusInputError: `file-not-found`, `input-changed`: the source has another size.
        """
        body = yield Do(lambda: body_of(source, progress))
        return (yield from sent(upload, body))

    @operation
    def delete(self, upload: str) -> Flow[None]:
        """Delete an upload, finished or not.

        Raises:
            ServiceError: `upload-not-found`; `upload-in-use`, a job reads it.
        """
        yield from answered(Call("DELETE", _path(upload), headers=_VERSION))


def begun(size: int, file_name: str | None) -> Flow[UploadState]:
    """A new upload."""
    headers = {**_VERSION, "Upload-Length": str(size)}
    if file_name:
        headers["Upload-Metadata"] = f"filename {base64.b64encode(file_name.encode()).decode()}"
    response = yield from answered(Call("POST", _PATH, headers=headers))
    upload = response.headers.get("location", "").rpartition("/")[2]
    if not upload:
        raise unexpected(response, "it names no upload")
    return UploadState(id=upload, offset=0, length=size)


def looked_up(upload: str) -> Flow[UploadState]:
    """The upload as it is."""
    response = yield from answered(Call("HEAD", _path(upload), headers=_VERSION))
    offset, length = (response.headers.get(f"upload-{name}", "") for name in ("offset", "length"))
    if not (offset.isdigit() and length.isdigit()):
        raise unexpected(response, "it does not say how much has come")
    return UploadState(id=upload, offset=int(offset), length=int(length))


def sent(upload: str, body: Body) -> Flow[UploadState]:
    """Send the rest, a piece at a time. After a piece that broke off it is asked for what came of it.

    Raises:
        ServiceError, CorpusInputError: as Uploads.send.
    """
    state = yield from looked_up(upload)
    if body.size != state.length:
        message = f"upload {upload} is one of {state.length:,} bytes, and there are {body.size:,} to send"
        raise CorpusInputError(message, code="input-changed")
    repeats: int = yield Repeats()
    failures = 0
    while state.offset < state.length:
        error = yield from _piece_sent(state, body)
        before, state = state, (yield from looked_up(upload))
        if error is None or state.offset > before.offset:
            failures = 0
            continue
        failures += 1
        if failures > repeats:
            raise error
        yield Sleep(_LOCKED_PAUSE if error.status == _LOCKED else pause(failures))
    return state


def _piece_sent(state: UploadState, body: Body) -> Flow[ServiceError | None]:
    """None, or what broke it off.

    Raises:
        ServiceError: it was refused, and would be again.
    """
    size = min(PIECE_BYTES, state.length - state.offset)
    headers = {
        **_VERSION,
        "Upload-Offset": str(state.offset),
        "Content-Type": "application/offset+octet-stream",
    }
    call = Call("PATCH", _path(state.id), body=body.part(state.offset, size), headers=headers, repeatable=False)
    try:
        response = yield Send(call)
    except LOST as error:
        return unreachable(error)
    if response.is_error:
        refusal = problem(response, response.content)
        if response.status_code in _BUSY or refusal.code == _ELSEWHERE:
            return refusal
    checked(response)
    return None


def _path(upload: str) -> str:
    return f"{_PATH}/{quote(upload, safe='')}"
