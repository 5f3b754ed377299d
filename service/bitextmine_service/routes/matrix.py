"""/v1/matrix-jobs: every pair of many corpora, and the report, which grows from pair to pair."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse

from bitextmine.encoders import open_encoder
from bitextmine.errors import NotFoundError
from bitextmine.filters import FilterSettings
from bitextmine.jobs.once import Claim
from bitextmine.jobs.record import JobKind, JobRecord, JobState
from bitextmine.jobs.specs import MatrixSpec
from bitextmine.languages import parse_language
from bitextmine.matrix import MatrixCorpus, MatrixParameters, PairChoice
from bitextmine.matrix.page import report_page
from bitextmine.matrix.record import as_stopped, read_record
from bitextmine.mining import MiningParameters
from bitextmine_service.context import Context, Ctx, MineCtx
from bitextmine_service.idempotency import IdempotencyKey, once
from bitextmine_service.models.jobs import JobOut
from bitextmine_service.models.matrix import MatrixJobIn, MatrixReport
from bitextmine_service.planning import plan_of_matrix
from bitextmine_service.problems import documented
from bitextmine_service.routes.jobs import JobId

router = APIRouter(prefix="/v1", tags=["jobs"])
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"  # the page's styles are in it
_MINING = (
    "k",
    "margin",
    "retrieval",
    "threshold",
    "ceiling",
    "method",
    "target_recall",
    "allow_uncovered_languages",
    "drop_identical",
)


@router.post(
    "/matrix-jobs",
    status_code=HTTPStatus.ACCEPTED,
    response_model=JobOut,
    responses=documented(
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
def create_matrix_job(context: MineCtx, wanted: MatrixJobIn, idempotency_key: IdempotencyKey = None) -> JSONResponse:
    """Mine every pair of many corpora. Each is embedded once; all pairs are planned, and refused, before any work.

    A worker that takes what memory is free decides itself how each pair is searched: then there may be no plan.
    """
    request = {"route": "matrix-jobs", **wanted.model_dump(mode="json")}
    return once(context, idempotency_key, request, lambda claim: _submit(context, wanted, claim))


def _submit(context: Context, wanted: MatrixJobIn, claim: Claim | None) -> JobRecord:
    parameters = MatrixParameters(
        mining=MiningParameters(**{name: getattr(wanted, name) for name in _MINING}),
        precision=wanted.precision,
        filters=FilterSettings.parse(wanted.filters),
    )
    listed = None if wanted.pairs is None else tuple((src, tgt) for src, tgt in wanted.pairs)
    first = tuple((src, tgt) for src, tgt in wanted.first)
    pivots = tuple(each if each in wanted.corpora else parse_language(each) for each in wanted.pivots)
    choice = PairChoice(pivots=pivots, listed=listed, first=first)
    corpora = [MatrixCorpus(name, context.catalog.open(name)) for name in wanted.corpora]
    encoder = open_encoder(wanted.encoder, context.settings.encoders_dir)
    context.check_room_for_a_job()
    matrix, plan = plan_of_matrix(context, corpora, choice, encoder, parameters)
    spec = MatrixSpec(
        corpora={each.name: each.corpus.digest for each in corpora},
        pairs=[[src, tgt] for src, tgt in matrix.pairs],
        first=wanted.first,
        encoder=wanted.encoder,
        parameters=parameters.as_json(),
        matrix=matrix.digest,
    )
    return context.submit(JobKind.MATRIX, spec, claim=claim, plan=plan)


@router.get(
    "/matrix-jobs/{job_id}/report",
    response_model=MatrixReport,
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
)
def get_matrix_report(context: Ctx, job_id: JobId) -> JSONResponse:
    """What came of each pair so far: counts, histograms, thresholds, what filters dropped, and where the time went."""
    return JSONResponse(_record(context, job_id))


@router.get(
    "/matrix-jobs/{job_id}/report.html",
    response_class=HTMLResponse,
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
)
def get_matrix_page(context: Ctx, job_id: JobId) -> HTMLResponse:
    """The report as a page with a heat map of all pairs; it needs nothing else."""
    return HTMLResponse(report_page(_record(context, job_id)), headers={"Content-Security-Policy": _POLICY})


def _record(context: Context, job_id: str) -> dict[str, Any]:
    """
    Raises:
        NotFoundError: `job-not-found`; `matrix-not-found`: it is no matrix job, or has not begun.
    """
    job = context.jobs.get(job_id)
    if job.kind is not JobKind.MATRIX:
        raise NotFoundError(f"job {job_id} mines no matrix", code="matrix-not-found")
    found = read_record(context.workspace.matrices / str(job.spec["matrix"]))
    unfinished = found["finished"] is None and job.state in {JobState.FAILED, JobState.CANCELLED}
    return as_stopped(found) if unfinished else found
