"""/v1/bitexts/{id}: the histogram of margins, random samples, and what people say of pairs."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query

from bitextmine.bitext import Bitext, pair_record
from bitextmine.judgements import Judgement, Judgements, Verdict
from bitextmine.pair_scores import MOST_BINS, MOST_SAMPLED, histogram, precisions, sample
from bitextmine.thresholds.found import find_estimate, point_at
from bitextmine_service.context import Context, Ctx, MineCtx
from bitextmine_service.models.bitexts import PairOut
from bitextmine_service.models.judging import HistogramOut, JudgementOut, JudgementsIn, JudgementsOut, SampleOut
from bitextmine_service.problems import documented
from bitextmine_service.routes.bitexts import BitextId, Margins, open_bitext

router = APIRouter(prefix="/v1/bitexts", tags=["bitexts"])


@router.get("/{bitext_id}/histogram", responses=documented(HTTPStatus.NOT_FOUND))
def get_histogram(
    context: Ctx,
    bitext_id: BitextId,
    bins: Annotated[
        int, Query(ge=1, le=MOST_BINS, description="Of equal width; fewer where margins differ little.")
    ] = 100,
) -> HistogramOut:
    """How the margins are distributed, and for each possible threshold how many pairs it would keep and how precise
    they would be, as far as pairs have been judged."""
    bitext = open_bitext(context, bitext_id)
    found = histogram(bitext, bins)
    estimates = precisions(found, _judgements(context, bitext_id).all())
    return HistogramOut.model_validate(
        {
            "pairs": len(bitext),
            "edges": found.edges,
            "counts": found.counts,
            "at_least": found.at_least,
            "precision": [each and asdict(each) for each in estimates],
            "expected": _expected(context, bitext, found.edges[:-1]),
        }
    )


def _expected(context: Context, bitext: Bitext, thresholds: list[float]) -> list[dict[str, Any] | None]:
    estimate = find_estimate(bitext, context.workspace.artifacts)
    if estimate is None or not estimate.points:
        return []
    points = [point_at(estimate, threshold) for threshold in thresholds]
    return [None if point is None else asdict(point) for point in points]


@router.get("/{bitext_id}/sample", responses=documented(HTTPStatus.NOT_FOUND))
def sample_pairs(
    context: Ctx,
    bitext_id: BitextId,
    margins: Margins,
    size: Annotated[int, Query(ge=1, le=MOST_SAMPLED, description="How many pairs.")] = 20,
    seed: Annotated[int | None, Query(ge=0, lt=1 << 53, description="The same one gives the same pairs.")] = None,
) -> SampleOut:
    """Random pairs of a range of margins, to be judged by eye."""
    found = sample(open_bitext(context, bitext_id), size, margins, seed=seed)
    return SampleOut(items=[PairOut(**pair_record(pair)) for pair in found.pairs], total=found.total)


@router.get("/{bitext_id}/judgements", responses=documented(HTTPStatus.NOT_FOUND))
def get_judgements(context: Ctx, bitext_id: BitextId) -> JudgementsOut:
    """All that people have said of the pairs of a bitext, with the pairs. They are deleted with the bitext."""
    open_bitext(context, bitext_id)
    return _shown(_judgements(context, bitext_id).all())


@router.put(
    "/{bitext_id}/judgements",
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.INSUFFICIENT_STORAGE),
)
def put_judgements(context: MineCtx, bitext_id: BitextId, wanted: JudgementsIn) -> JudgementsOut:
    """Say of pairs that they are good or bad, or take that back. Pairs are named by both their rows. If one of them is
    not in the bitext nothing is changed."""
    verdicts = {(each.src_row, each.tgt_row): each.verdict for each in wanted.judgements}
    return _shown(_judgements(context, bitext_id).judge(open_bitext(context, bitext_id), verdicts))


def _judgements(context: Context, bitext_id: str) -> Judgements:
    return Judgements(context.workspace.judgements, bitext_id)


def _shown(judgements: list[Judgement]) -> JudgementsOut:
    good = sum(each.verdict is Verdict.GOOD for each in judgements)
    items = [JudgementOut.model_validate(asdict(each)) for each in judgements]
    return JudgementsOut(good=good, bad=len(items) - good, items=items)
