"""/v1/mining-jobs and /v1/jobs: start, follow, cancel."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse

from bitextmine.encoders import open_encoder
from bitextmine.errors import ParameterError
from bitextmine.jobs.record import JobKind
from bitextmine.jobs.specs import MineSpec
from bitextmine.mining import MiningParameters, check_minable
from bitextmine_service import uploads
from bitextmine_service.context import Ctx, MineCtx, accepted
from bitextmine_service.models.jobs import JobOut, JobPage, JobsWanted, MiningJobIn
from bitextmine_service.problems import documented

router = APIRouter(prefix="/v1", tags=["jobs"])
_JOB_ID = re.compile("[0-9a-f]{22}")
JobId = Annotated[str, Path(max_length=64, description="The job's id.")]


@router.post(
    "/mining-jobs",
    status_code=HTTPStatus.ACCEPTED,
    response_model=JobOut,
    responses=documented(
        HTTPStatus.NOT_FOUND,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
def create_mining_job(context: MineCtx, wanted: MiningJobIn) -> JSONResponse:
    """Mine sentence pairs from two corpora. What cannot work is refused here, before any work."""
    parameters = MiningParameters(
        k=wanted.k,
        margin=wanted.margin,
        retrieval=wanted.retrieval,
        threshold=wanted.threshold,
        ceiling=wanted.ceiling,
        allow_uncovered_languages=wanted.allow_uncovered_languages,
        drop_identical=wanted.drop_identical,
        method=wanted.method,
        target_recall=wanted.target_recall,
    )
    src, tgt = context.catalog.open(wanted.src), context.catalog.open(wanted.tgt)
    check_minable(src, tgt, open_encoder(wanted.encoder, context.settings.encoders_dir), parameters)
    context.check_room_for_a_job()
    spec = MineSpec(**wanted.model_dump(mode="json"), src_digest=src.digest, tgt_digest=tgt.digest)
    return accepted(context.submit(JobKind.MINE, spec))


@router.get("/jobs", responses=documented(HTTPStatus.SERVICE_UNAVAILABLE))
def list_jobs(context: Ctx, wanted: Annotated[JobsWanted, Query()]) -> JobPage:
    """The jobs that meet all filters, newest first."""
    if wanted.cursor is not None and not _JOB_ID.fullmatch(wanted.cursor):
        raise ParameterError("the cursor is not one that a page gave", code="invalid-cursor")
    found = context.jobs.page(wanted.limit, wanted.cursor, wanted.filter)
    return JobPage(items=[JobOut.of(record) for record in found.records], next_cursor=found.following)


@router.get("/jobs/{job_id}", responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE))
def get_job(context: Ctx, job_id: JobId) -> JobOut:
    """One job: its state, and while it runs its stage, how much of it is done and when it will be."""
    return JobOut.of(context.jobs.get(job_id))


@router.delete(
    "/jobs/{job_id}",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE),
)
def delete_job(context: MineCtx, job_id: JobId) -> None:
    """Forget a job that is over. What it made stays."""
    context.jobs.delete(job_id)


@router.post(
    "/jobs/{job_id}/cancel",
    status_code=HTTPStatus.ACCEPTED,
    response_model=JobOut,
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE),
)
def cancel_job(context: MineCtx, job_id: JobId) -> JSONResponse:
    """Cancel a job: a waiting one at once, a running one within seconds. What it finished is kept for a next try."""
    record = context.jobs.request_cancel(job_id)
    if record.kind is JobKind.INGEST and record.state.final:  # it never ran, so no worker will tidy up after it
        uploads.discard(context.workspace.uploads, record.spec["upload"])
    return accepted(record)
