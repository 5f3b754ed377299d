"""/v1/mining-jobs and /v1/jobs: start, list, follow, cancel, try again."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from bitextmine import uploads
from bitextmine.encoders import open_encoder
from bitextmine.errors import ConflictError, ParameterError
from bitextmine.filters import FilterSettings
from bitextmine.jobs.once import Claim
from bitextmine.jobs.record import JobKind, JobRecord, JobState
from bitextmine.jobs.specs import MineSpec
from bitextmine.mining import MiningParameters
from bitextmine.thresholds import check_choice
from bitextmine_service.context import Context, Ctx, MineCtx, accepted
from bitextmine_service.event_stream import EventStream
from bitextmine_service.idempotency import IdempotencyKey, once
from bitextmine_service.job_events import stream_of
from bitextmine_service.models.jobs import JobOut, JobPage, JobsWanted, MiningJobIn
from bitextmine_service.planning import plan_of_job
from bitextmine_service.problems import documented

router = APIRouter(prefix="/v1", tags=["jobs"])
_JOB_ID = re.compile("[0-9a-f]{22}")
JobId = Annotated[str, Path(max_length=64, description="The job's id.")]
LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", max_length=64, description="The id of the last event that arrived, to go on from."),
]
_EVENTS = """retry: 2000

id: 1795370044844
event: progress
data: {"stage":"search","done":900,"total":4500,"rate":1573.8,"eta_seconds":2.3}

"""
_STREAM = {
    "description": "Events, until the job is over.",
    "content": {"text/event-stream": {"example": _EVENTS}},
}


@router.post(
    "/mining-jobs",
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
def create_mining_job(context: MineCtx, wanted: MiningJobIn, idempotency_key: IdempotencyKey = None) -> JSONResponse:
    """Mine sentence pairs from two corpora. What cannot work is refused here, before any work."""
    request = {"route": "mining-jobs", **wanted.model_dump(mode="json")}
    return once(context, idempotency_key, request, lambda claim: _submit_mining(context, wanted, claim))


def _submit_mining(context: Context, wanted: MiningJobIn, claim: Claim | None) -> JobRecord:
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
        documents=(rule := wanted.document_rule),
    )
    if wanted.precision is not None:
        check_choice(wanted.precision, parameters)
    filters = FilterSettings.parse(wanted.filters)
    src, tgt = context.catalog.open(wanted.src), context.catalog.open(wanted.tgt)
    encoder = open_encoder(wanted.encoder, context.settings.encoders_dir)
    context.check_room_for_a_job()
    plan = plan_of_job(context, src, tgt, encoder, parameters)
    given = wanted.model_dump(mode="json") | {"filters": filters.as_json() if filters.filters else None}
    given["document_links"] = rule.links.publish(context.workspace.artifacts).digest if rule and rule.links else None
    spec = MineSpec(**given, src_digest=src.digest, tgt_digest=tgt.digest)
    return context.submit(JobKind.MINE, spec, claim=claim, plan=plan)


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


@router.get(
    "/jobs/{job_id}/events",
    response_class=EventStream,
    status_code=HTTPStatus.OK,
    responses={
        **documented(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
        200: _STREAM,
        204: {"description": "The job is over, and the client with this Last-Event-ID has seen it end."},
    },
)
async def follow_job(request: Request, context: Ctx, job_id: JobId, last_event_id: LastEventId = None) -> Response:
    """Follow a job as Server-Sent Events: `job` with the job as it is now and at every change, `progress` in between,
    `end` when it is over. A client that comes back with `Last-Event-ID` gets what it missed."""
    return await stream_of(request.app.state, context, job_id, last_event_id)


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
    if record.state.final and (upload := record.spec.get("upload")):  # it never ran: no worker will tidy up after it
        uploads.release(context.workspace.uploads, upload)
    return accepted(record)


@router.post(
    "/jobs/{job_id}/retry",
    status_code=HTTPStatus.ACCEPTED,
    response_model=JobOut,
    responses=documented(
        HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE
    ),
)
def retry_job(context: MineCtx, job_id: JobId, idempotency_key: IdempotencyKey = None) -> JSONResponse:
    """Try a failed or cancelled job again: a new job with the same request. What the first finished is found."""
    request = {"route": "retry", "job": job_id}
    return once(context, idempotency_key, request, lambda claim: _submit_again(context, job_id, claim))


def _submit_again(context: Context, job_id: str, claim: Claim | None) -> JobRecord:
    """
    Raises:
        ConflictError: `job-unfinished`, `job-succeeded`, `upload-gone`.
    """
    record = context.jobs.get(job_id)
    if not record.state.final:
        raise ConflictError(f"job {job_id} is not over; wait for it, or cancel it first", code="job-unfinished")
    if record.state is JobState.SUCCEEDED:
        raise ConflictError(f"job {job_id} has succeeded; there is nothing to try again", code="job-succeeded")
    if (upload := record.spec.get("upload")) and not (context.workspace.uploads / upload).exists():
        message = f"the file that job {job_id} read was deleted when the job ended; upload it again"
        raise ConflictError(message, code="upload-gone")
    context.check_room_for_a_job()
    return context.submit(record.kind, record.spec, claim=claim, plan=record.plan, retry_of=record.id)
