"""Idempotency-Key: a request that makes a job, sent again, is answered with the job that it made the first time.

After draft-ietf-httpapi-idempotency-key-header-07. A key belongs to a tenant, and is kept for a day from the job's
creation. What fails makes no job and may be sent again with the same key.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

import anyio
from anyio import to_thread
from fastapi import Header
from fastapi.responses import JSONResponse

from bitextmine.errors import ConflictError, NotFoundError, StoreUnavailableError
from bitextmine.jobs.once import CLAIM_SECONDS, AlreadyMade, Claim, Made
from bitextmine.jobs.record import JobRecord
from bitextmine_service import uploads
from bitextmine_service.context import Context, accepted
from bitextmine_service.uploads import Upload

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern="^[ -~]+$",
        description="A name for this request, such as a UUID: sent again with it within a day, it makes no second job.",
    ),
]
Request = Mapping[str, Any]  # what makes two requests the same: the route, and all that it was given, as JSON values


def once(
    context: Context, key: str | None, request: Request, make: Callable[[Claim | None], JobRecord]
) -> JSONResponse:
    """The 202 for the job that `make` submits with the claim it is given; or for the one made with this key before.

    Raises:
        ConflictError: `idempotency-key-in-use`, `idempotency-key-spent`.
        ParameterError: `idempotency-key-reused`.
    """
    if key is None:
        return accepted(make(None))
    claims = context.service.store.claims
    claim = claims.begin(context.caller.tenant, key).of(_fingerprint(request))
    try:
        return _answer(context, claim, make)
    except BaseException:
        with suppress(StoreUnavailableError):  # it runs out by itself
            claims.release(claim)
        raise


async def once_uploaded(
    context: Context,
    key: str | None,
    request: Request,
    *,
    check: Callable[[], None],
    receive: Callable[[], Awaitable[Upload]],
    make: Callable[[Upload, Claim | None], JobRecord],
) -> JSONResponse:
    """The same for a request whose body is a file; its SHA-256 is part of what makes two requests the same.

    Args:
        check: refuses what cannot work; not asked where the key has made a job, which may be what stands in the way.
        receive: the body. Where no job is made of it, its file is deleted.

    Raises:
        ConflictError, ParameterError: as `once`, and what the three functions raise.
    """
    async with _claimed(context, key) as claim:
        if claim is None or claim.made is None:
            await to_thread.run_sync(check)
        upload = await receive()
        return await to_thread.run_sync(_answer_upload, context, claim, request, upload, make)


def _answer_upload(
    context: Context,
    claim: Claim | None,
    request: Request,
    upload: Upload,
    make: Callable[[Upload, Claim | None], JobRecord],
) -> JSONResponse:
    def made(claim: Claim | None) -> JobRecord:
        try:
            return make(upload, claim)
        except StoreUnavailableError:  # perhaps there is a job: a worker deletes the file in a day if there is none
            uncertain.append(upload)
            raise

    uncertain: list[Upload] = []
    try:
        if claim is None or claim.made is None:
            context.check_room_for_a_job()  # fails, for certain, if the store is gone
        if claim is None:
            return accepted(made(None))
        answer = _answer(context, claim.of(_fingerprint({**request, "sha256": upload.sha256})), made)
    except BaseException:
        if not uncertain:
            uploads.discard(context.workspace.uploads, upload.name)
        raise
    if "idempotent-replayed" in answer.headers:
        uploads.discard(context.workspace.uploads, upload.name)
    return answer


def _answer(context: Context, claim: Claim, make: Callable[[Claim], JobRecord]) -> JSONResponse:
    if claim.made is not None:
        return _again(context, claim.made, claim.fingerprint)
    try:
        return accepted(make(claim))
    except AlreadyMade as earlier:
        return _again(context, earlier.made, claim.fingerprint)


def _again(context: Context, made: Made, fingerprint: str) -> JSONResponse:
    made.check(fingerprint)
    try:
        return accepted(context.jobs.get(made.job_id), replayed=True)
    except NotFoundError:
        message = f"job {made.job_id}, which this Idempotency-Key made, has been deleted; take a new key"
        raise ConflictError(message, code="idempotency-key-spent") from None


def _fingerprint(request: Request) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


def document(schema: dict[str, Any]) -> None:
    """Add to an OpenAPI description the headers of answers with a job."""
    for operation in (each for methods in schema["paths"].values() for each in methods.values()):
        if (answer := operation["responses"].get("202")) is not None:
            takes_key = any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", ()))
            answer["description"] = "The job."
            answer["headers"] = _LOCATION | (_REPLAYED if takes_key else {})


_LOCATION = {"Location": {"description": "Where to follow the job.", "schema": {"type": "string"}}}
_REPLAYED = {
    "Idempotent-Replayed": {
        "description": "Where an earlier request with this Idempotency-Key has made the job.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}


@asynccontextmanager
async def _claimed(context: Context, key: str | None) -> AsyncIterator[Claim | None]:
    """The claim of a request that takes a while, renewed meanwhile, and given back if it makes nothing."""
    if key is None:
        yield None
        return
    claims = context.service.store.claims
    claim = await to_thread.run_sync(claims.begin, context.caller.tenant, key)
    renewing = asyncio.create_task(_renewed(context, claim))
    try:
        yield claim
    except BaseException:
        with anyio.CancelScope(shield=True), suppress(StoreUnavailableError):
            await to_thread.run_sync(claims.release, claim)
        raise
    finally:
        renewing.cancel()
        await asyncio.wait([renewing])


async def _renewed(context: Context, claim: Claim) -> None:
    while claim.made is None:
        await asyncio.sleep(CLAIM_SECONDS / 3)
        with suppress(StoreUnavailableError):
            await to_thread.run_sync(context.service.store.claims.renew, claim)
