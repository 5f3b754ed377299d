"""/v1/bitexts: mined pairs, in pages and as downloads."""

from __future__ import annotations

import hashlib
import logging
import re
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from bitextmine.bitext import KIND, Bitext, MarginRange, Order, pair_record
from bitextmine.errors import ArtifactError, NotFoundError, ParameterError
from bitextmine.exports import Compression, Export, ExportFormat, Side
from bitextmine.filtered import RejectedPairs, rejected_record
from bitextmine.filters import check_filter_name
from bitextmine.judgements import Judgements
from bitextmine_service.context import Context, Ctx, Cursor, Limit, MineCtx, decode_cursor, page
from bitextmine_service.downloads import MEDIA_TYPES, Download
from bitextmine_service.models.bitexts import (
    BitextOut,
    BitextPage,
    PairOut,
    PairPage,
    RejectedPairOut,
    RejectedPairPage,
)
from bitextmine_service.models.corpora import RefusedLine, RefusedPage
from bitextmine_service.problems import documented

router = APIRouter(prefix="/v1/bitexts", tags=["bitexts"])
BitextId = Annotated[str, Path(max_length=64, description="The bitext's id, as a mining job's result names it.")]
Score = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
_DIGEST = re.compile("[0-9a-f]{32}")
_CURSOR = re.compile("([0-9]{1,19})-([0-9a-f]{32})")
_PAIRS_CURSOR = re.compile("([0-9]{1,18})-([0-9a-f]{8})")
_REPAIR = "delete it over the API and mine again"
_logger = logging.getLogger(__name__)


def _margins(
    min_margin: Annotated[Score | None, Query(description="Pairs with a lower margin are left out.")] = None,
    max_margin: Annotated[Score | None, Query(description="Pairs with a higher margin are left out.")] = None,
) -> MarginRange:
    return MarginRange(min_margin, max_margin)


Margins = Annotated[MarginRange, Depends(_margins)]


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
            bitexts.append(BitextOut.of(open_bitext(context, digest).artifact))
        except (ArtifactError, NotFoundError) as error:  # damaged, or deleted meanwhile
            _logger.warning("%s", error)
    return BitextPage(items=bitexts)


@router.get("/{bitext_id}", responses=documented(HTTPStatus.NOT_FOUND))
def get_bitext(context: Ctx, bitext_id: BitextId) -> BitextOut:
    """One bitext: its languages, parameters and counts."""
    return BitextOut.of(open_bitext(context, bitext_id).artifact)


@router.delete(
    "/{bitext_id}",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    responses=documented(HTTPStatus.NOT_FOUND),
)
def delete_bitext(context: MineCtx, bitext_id: BitextId) -> None:
    """Delete a bitext, were it damaged, and what people said of its pairs. Mining the same corpora again is quick:
    what it was made of is kept."""
    store = context.workspace.artifacts
    if not (_DIGEST.fullmatch(bitext_id) and store.path(KIND, bitext_id).is_dir()):
        raise _not_found(bitext_id)
    store.delete(KIND, bitext_id)
    Judgements(context.workspace.judgements, bitext_id).forget()


@router.get("/{bitext_id}/pairs", responses=documented(HTTPStatus.NOT_FOUND))
def get_pairs(
    context: Ctx,
    bitext_id: BitextId,
    margins: Margins,
    limit: Limit = 100,
    cursor: Cursor = None,
    order: Annotated[Order, Query(description="By margin: desc has the best first.")] = Order.DESC,
) -> PairPage:
    """The pairs by margin. A cursor belongs to the bitext, the bounds and the order of the page that gave it."""
    sign = _signed(bitext_id, margins, order)
    start = _decode_start(cursor, sign)
    page = open_bitext(context, bitext_id).page(start, limit, margins, order)
    following = start + limit
    return PairPage(
        items=[PairOut(**pair_record(pair)) for pair in page.pairs],
        total=page.total,
        next_cursor=f"{following}-{sign}" if following < page.total else None,
    )


@router.get("/{bitext_id}/refused", responses=documented(HTTPStatus.NOT_FOUND))
def get_refused_pairs(context: Ctx, bitext_id: BitextId, limit: Limit = 100, cursor: Cursor = None) -> RefusedPage:
    """Of a bitext that was given and scored, the lines of its file (in TMX, the units) that could not be used."""
    start = decode_cursor(cursor)
    bitext = open_bitext(context, bitext_id)
    lines, following = page(bitext.refusals(start, limit + 1), start, limit)
    source = bitext.parameters["src_source"]
    items = [RefusedLine(source=source, line=each.line, reason=each.reason, detail=each.detail) for each in lines]
    return RefusedPage(items=items, next_cursor=following)


@router.get("/{bitext_id}/rejected", responses=documented(HTTPStatus.NOT_FOUND))
def get_rejected_pairs(
    context: Ctx,
    bitext_id: BitextId,
    dropped_by: Annotated[
        str | None, Query(alias="filter", max_length=64, description="Only what this filter dropped first.")
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> RejectedPairPage:
    """Of a filtered bitext, the pairs that were dropped, with the filter and the reason, by falling margin. A cursor
    belongs to the bitext and the filter of the page that gave it."""
    if dropped_by is not None:
        check_filter_name(dropped_by)
    sign = _signed(bitext_id, "rejected", dropped_by)
    start = _decode_start(cursor, sign)
    found = RejectedPairs(open_bitext(context, bitext_id)).page(start, limit, dropped_by)
    following = start + limit
    return RejectedPairPage(
        items=[RejectedPairOut(**rejected_record(row)) for row in found.pairs],
        total=found.total,
        next_cursor=f"{following}-{sign}" if following < found.total else None,
    )


@router.get(
    "/{bitext_id}/download",
    response_class=StreamingResponse,
    responses={
        **documented(HTTPStatus.NOT_FOUND),
        200: {
            "description": "The pairs.",
            "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA_TYPES},
        },
    },
)
def download(
    request: Request,
    context: Ctx,
    bitext_id: BitextId,
    margins: Margins,
    form: Annotated[
        ExportFormat,
        Query(
            alias="format",
            description="tsv: margin, src, tgt. moses: a sentence a line, one side or a zip of both. tmx: TMX 1.4b. "
            "jsonl, parquet: every column.",
        ),
    ] = ExportFormat.TSV,
    compress: Annotated[Compression, Query(description="Not of a zip.")] = Compression.NONE,
    side: Annotated[Side | None, Query(description="Of moses: one side alone, as plain text.")] = None,
) -> Download:
    """The pairs as a file, by falling margin. A connection that closes before its end has met a damaged file."""
    wanted = Export(form=form, compression=compress, side=side, margins=margins)
    old = request.scope["http_version"] == "1.0"
    return Download(open_bitext(context, bitext_id), wanted, whole=old)


def open_bitext(context: Context, bitext_id: str) -> Bitext:
    """
    Raises:
        NotFoundError: `bitext-not-found`.
        ArtifactError: its manifest is damaged.
    """
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


def _signed(*which: object) -> str:
    """What a list of pairs is told by: a cursor of another one would silently lead somewhere else."""
    return hashlib.sha256(" ".join(map(str, which)).encode()).hexdigest()[:8]


def _decode_start(cursor: str | None, sign: str) -> int:
    if cursor is None:
        return 0
    match = _PAIRS_CURSOR.fullmatch(cursor)
    if match is None or match[2] != sign:
        message = "the cursor is not one that a page of these pairs gave, chosen and ordered as there"
        raise ParameterError(message, code="invalid-cursor")
    return int(match[1])
