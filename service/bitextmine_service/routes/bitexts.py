"""/v1/bitexts: mined pairs, in pages and as downloads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse

from bitextmine.bitext import KIND, Bitext, ExportFormat, export_lines, pair_record
from bitextmine.errors import NotFoundError
from bitextmine_service.context import Context, Ctx, Cursor, Limit, decode_cursor, page
from bitextmine_service.models import BitextOut, BitextPage, PairOut, PairPage
from bitextmine_service.problems import documented

router = APIRouter(prefix="/v1/bitexts", tags=["bitexts"])
BitextId = Annotated[str, Path(max_length=64, description="The bitext's id, as a mining job's result names it.")]
MEDIA_TYPES = {ExportFormat.TSV: "text/tab-separated-values", ExportFormat.JSONL: "application/jsonl"}
_DIGEST = re.compile("[0-9a-f]{32}")
_CHUNK_CHARS = 1 << 16


@router.get("", responses=documented())
def list_bitexts(context: Ctx, limit: Limit = 100, cursor: Cursor = None) -> BitextPage:
    """The mined bitexts, oldest first."""
    start = decode_cursor(cursor)
    artifacts, following = page(iter(context.settings.workspace.artifacts.list(KIND)[start:]), start, limit)
    return BitextPage(items=[BitextOut.of(artifact) for artifact in artifacts], next_cursor=following)


@router.get("/{bitext_id}", responses=documented(HTTPStatus.NOT_FOUND))
def get_bitext(context: Ctx, bitext_id: BitextId) -> BitextOut:
    """One bitext: its languages, parameters and counts."""
    return BitextOut.of(_open(context, bitext_id).artifact)


@router.get("/{bitext_id}/pairs", responses=documented(HTTPStatus.NOT_FOUND))
def get_pairs(context: Ctx, bitext_id: BitextId, limit: Limit = 100, cursor: Cursor = None) -> PairPage:
    """The pairs by falling margin."""
    start = decode_cursor(cursor)
    pairs, following = page(_open(context, bitext_id).pairs(start, limit + 1), start, limit)
    return PairPage(items=[PairOut(**pair_record(pair)) for pair in pairs], next_cursor=following)


@router.get(
    "/{bitext_id}/download",
    response_class=StreamingResponse,
    responses={
        **documented(HTTPStatus.NOT_FOUND),
        200: {
            "description": "The pairs.",
            "content": {kind: {"schema": {"type": "string"}} for kind in MEDIA_TYPES.values()},
        },
    },
)
def download(
    context: Ctx,
    bitext_id: BitextId,
    form: Annotated[
        ExportFormat, Query(alias="format", description="tsv: margin, src, tgt. jsonl: every column.")
    ] = ExportFormat.TSV,
) -> StreamingResponse:
    """All pairs as a file, by falling margin."""
    bitext = _open(context, bitext_id)
    languages = f"{bitext.parameters['src_lang']}-{bitext.parameters['tgt_lang']}"
    name = f"{languages}-{bitext_id[:8]}.{form}"
    return StreamingResponse(
        _chunks(export_lines(bitext, form)),
        media_type=f"{MEDIA_TYPES[form]}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _open(context: Context, bitext_id: str) -> Bitext:
    artifact = context.settings.workspace.artifacts.open(KIND, bitext_id) if _DIGEST.fullmatch(bitext_id) else None
    if artifact is None:
        raise NotFoundError(f"there is no bitext {bitext_id!r}", code="bitext-not-found")
    return Bitext(artifact)


def _chunks(lines: Iterable[str]) -> Iterator[str]:
    """Lines joined to chunks: each chunk is one hop to a thread and one write to the socket."""
    waiting: list[str] = []
    size = 0
    for line in lines:
        waiting.append(line)
        size += len(line)
        if size >= _CHUNK_CHARS:
            yield "".join(waiting)
            waiting, size = [], 0
    yield "".join(waiting)
