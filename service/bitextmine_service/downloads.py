"""A bitext as an answer: streamed, named, of the right media type, and broken off visibly where its file is damaged."""

from __future__ import annotations

import logging
from contextlib import closing
from itertools import chain

from fastapi.responses import StreamingResponse
from starlette.concurrency import iterate_in_threadpool
from starlette.types import Send

from bitextmine.bitext import Bitext
from bitextmine.errors import BitextmineError
from bitextmine.exports import Compression, Export, ExportFormat, export_chunks, file_name

_TEXT = "text/plain; charset=utf-8"
_ZIP = "application/zip"
_FORMATS = {
    ExportFormat.TSV: "text/tab-separated-values; charset=utf-8",
    ExportFormat.TMX: "application/xml",  # it says its encoding itself
    ExportFormat.JSONL: "application/jsonl; charset=utf-8",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
}
_COMPRESSIONS = {Compression.GZ: "application/gzip", Compression.ZST: "application/zstd"}
_logger = logging.getLogger(__name__)

MEDIA_TYPES = sorted(
    {media_type.partition(";")[0] for media_type in (_TEXT, _ZIP, *_FORMATS.values(), *_COMPRESSIONS.values())}
)


def media_type(wanted: Export) -> str:
    """The media type of an export: of its outermost layer."""
    if wanted.compression is not Compression.NONE:
        return _COMPRESSIONS[wanted.compression]
    if wanted.form is ExportFormat.MOSES:
        return _TEXT if wanted.side else _ZIP
    return _FORMATS[wanted.form]


class Download(StreamingResponse):
    """An export of a bitext, which is read as it is sent.

    What of its file can be verified at once is verified before the answer begins. If the rest turns out to be damaged
    the answer has no end: the server closes the connection before the last chunk, which tells every client of HTTP/1.1
    that it has no whole file. HTTP/1.0 has no such sign: there the file is verified `whole` before.

    Raises:
        ArtifactError: the bitext is damaged.
        NotFoundError: `bitext-not-found`, it was deleted meanwhile.
    """

    def __init__(self, bitext: Bitext, wanted: Export, *, whole: bool) -> None:
        bitext.check(whole=whole)
        chunks = export_chunks(bitext, wanted)
        self._name = file_name(bitext, wanted)
        self._chunks = chain((next(chunks, b""),), chunks)
        self._source = chunks
        headers = {"Content-Disposition": f'attachment; filename="{self._name}"'}
        if wanted.is_stored_file and wanted.compression is Compression.NONE:
            headers["Content-Length"] = str(bitext.size)
        super().__init__((), headers=headers, media_type=media_type(wanted))

    async def stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            with closing(self._source):
                async for chunk in iterate_in_threadpool(self._chunks):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except BitextmineError as error:
            _logger.error("the download of %s is broken off: %s", self._name, error)  # noqa: TRY400  # no surprise
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
