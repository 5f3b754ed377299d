"""/v1/bitexts: mined pairs, in pages and as downloads."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from itertools import chain
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse

from bitextmine.bitext import KIND, Bitext, ExportFormat, export_lines, pair_record
from bitextmine.errors import ArtifactError, NotFoundError, ParameterError
from bitextmine_service.context import Context, Ctx, Cursor, Limit, MineCtx, decode_cursor, page
from bitextmine_service.models.bitexts import BitextOut, BitextPage, PairOut, PairPage
from bitextmine_service.problems import documented

router = APIRouter(prefix="/v1/bitexts", tags=["bitexts"])
BitextId = Annotated[str, Path(max_length=64, description="The bitext's id, as a mining job's result names it.")]
MEDIA_TYPES = {ExportFormat.TSV: "text/tab-separated-values", ExportFormat.JSONL: "application/jsonl"}
_DIGEST = re.compile("[0-9a-f]{32}")
_CURSOR = re.compile("([0-9]{1,19})-([0-9a-f]{32})")
_CHUNK_CHARS = 1 << 16
_REPAIR = "delete it over the API and mine again"
_logger = logging.getLogger(__name__)


@router.get("", responses=documented())
def list_bitexts(context: Ctx, limit: Limit = 100, cursor: Cursor = None) -> BitextPage:
    """The mined bitexts, newest first."""
    store = context.workspace.artifacts
    before = _decode(cursor)
    listed = [found for found in store.published(KIND) if _DIGEST.fullmatch(found[1])]
    older = (found for found in reversed(listed) if before is None or found < before)
    bitexts: list[BitextOut] = []
    last = None
    for time, digest in older:
        if len(bitexts) == limit:
            return BitextPage(items=bitexts, next_cursor=last)
        last = f"{time}-{digest}"
        try:
            bitexts.append(BitextOut.of(_open(context, digest).artifact))
        except (ArtifactError, NotFoundError) as error:  # damaged, or deleted meanwhile
            _logger.warning("%s", error)
    return BitextPage(items=bitexts)


@router.get("/{bitext_id}", responses=documented(HTTPStatus.NOT_FOUND))
def get_bitext(context: Ctx, bitext_id: BitextId) -> BitextOut:
    """One bitext: its languages, parameters and counts."""
    return BitextOut.of(_open(context, bitext_id).artifact)


@router.delete(
    "/{bitext_id}",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    responses=documented(HTTPStatus.NOT_FOUND),
)
def delete_bitext(context: MineCtx, bitext_id: BitextId) -> None:
    """Delete a bitext, were it damaged. Mining the same corpora again is quick: what it was made of is kept."""
    store = context.workspace.artifacts
    if not (_DIGEST.fullmatch(bitext_id) and store.path(KIND, bitext_id).is_dir()):
        raise _not_found(bitext_id)
    store.delete(KIND, bitext_id)


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
    chunks = _chunks(export_lines(bitext, form))
    first = next(chunks)  # a bitext that is damaged is found out while the answer can still say so
    return StreamingResponse(
        chain((first,), chunks),
        media_type=f"{MEDIA_TYPES[form]}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _open(context: Context, bitext_id: str) -> Bitext:
    store = context.workspace.artifacts
    artifact = store.open(KIND, bitext_id, repair=_REPAIR) if _DIGEST.fullmatch(bitext_id) else None
    if artifact is None:
        raise _not_found(bitext_id)
    return Bitext(artifact)


def _not_found(bitext_id: str) -> NotFoundError:
    return NotFoundError(f"there is no bitext {bitext_id!r}", code="bitext-not-found")


def _decode(cursor: str | None) -> tuple[int, str] | None:
    """The place in the list, newest first, that a page ended at."""
    if cursor is None:
        return None
    if (match := _CURSOR.fullmatch(cursor)) is None:
        raise ParameterError("the cursor is not one that a page gave", code="invalid-cursor")
    return int(match[1]), match[2]


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
