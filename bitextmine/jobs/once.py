"""Making a job once: requests that carry an Idempotency-Key, and the one step that creates a job.

A request claims its key for some seconds, and again while its body arrives. The claim tells a second request that
the first is being answered; that there is one job is seen to by the creation, a script that looks at the key again. So
a claim that has run out does no harm, and neither does an API that dies anywhere in between.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Any

import redis

from bitextmine.errors import BitextmineError, ConflictError, ParameterError
from bitextmine.jobs.events import RECORD, entry_id
from bitextmine.jobs.leases import ACQUIRE, RELEASE
from bitextmine.jobs.names import (
    INDEX,
    UNFINISHED,
    events_key,
    index_key,
    job_key,
    once_key,
    text,
    unavailable_named,
    unfinished_key,
)
from bitextmine.jobs.record import JobRecord

CLAIM_SECONDS = 10.0
KEPT_SECONDS = 86_400  # from the creation of the job
_MADE = "job"
_CREATE = """
if redis.call('exists', KEYS[1]) == 1 then return {'created', ''} end
local stored = KEYS[7] and redis.call('get', KEYS[7])
if stored and string.sub(stored, 1, 4) == 'job:' then return {'made', stored} end
local unfinished = {redis.call('scard', KEYS[4]), redis.call('scard', KEYS[5])}
if ARGV[4] ~= '' and unfinished[1] >= tonumber(ARGV[4]) then return {'all', unfinished[1]} end
if ARGV[5] ~= '' and unfinished[2] >= tonumber(ARGV[5]) then return {'tenant', unfinished[2]} end
redis.call('set', KEYS[1], ARGV[2])
redis.call('zadd', KEYS[2], 0, ARGV[1])
redis.call('zadd', KEYS[3], 0, ARGV[1])
redis.call('sadd', KEYS[4], ARGV[1])
redis.call('sadd', KEYS[5], ARGV[1])
redis.call('xadd', KEYS[6], ARGV[3], ARGV[8], ARGV[2])
if KEYS[7] then redis.call('set', KEYS[7], ARGV[6], 'ex', ARGV[7]) end
return {'created', ''}
"""


@dataclass(frozen=True, slots=True)
class Room:
    """Most jobs that may be unfinished, of all tenants and of one; None is no limit."""

    all: int | None = None
    tenant: int | None = None

    def check(self, unfinished: int, of_tenant: int) -> None:
        """
        Raises:
            BitextmineError: `too-many-jobs` (429).
        """
        if self.all is not None and unfinished >= self.all:
            raise _too_many("all", unfinished)
        if self.tenant is not None and of_tenant >= self.tenant:
            raise _too_many("tenant", of_tenant)


def _too_many(whose: str, unfinished: int) -> BitextmineError:
    limit = "of your jobs are waiting or running, the most that you may have"
    reason = f"{unfinished:,} {limit if whose == 'tenant' else 'jobs are waiting or running'}"
    return BitextmineError(f"{reason}; try again later", code="too-many-jobs")


@dataclass(frozen=True, slots=True)
class Made:
    """The job that a request made, and the request's fingerprint."""

    job_id: str
    fingerprint: str

    @classmethod
    def parse(cls, stored: Any) -> Made | None:
        """None: it is a claim."""
        kind, job_id, fingerprint = text(stored).split(":")
        return cls(job_id, fingerprint) if kind == _MADE else None

    def __str__(self) -> str:
        return f"{_MADE}:{self.job_id}:{self.fingerprint}"

    def check(self, fingerprint: str) -> None:
        """
        Raises:
            ParameterError: `idempotency-key-reused`.
        """
        if fingerprint != self.fingerprint:
            message = "another request was sent with this Idempotency-Key within the last day; take a new one"
            raise ParameterError(message, code="idempotency-key-reused")


class AlreadyMade(Exception):  # noqa: N818 - no error: the answer is there
    """What was about to be made is there: another request with the same key was faster."""

    def __init__(self, made: Made) -> None:
        super().__init__(made.job_id)
        self.made = made


@dataclass(frozen=True, slots=True)
class Claim:
    """A request's hold on its key; `made` is what an earlier request with this key made."""

    key: str  # in Redis
    token: str
    fingerprint: str = ""
    made: Made | None = None

    def of(self, fingerprint: str) -> Claim:
        """The claim of a request with this fingerprint."""
        return replace(self, fingerprint=fingerprint)


class Claims:
    """The keys of requests. Every method raises StoreUnavailableError when Redis is gone."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._acquire = client.register_script(ACQUIRE)
        self._release = client.register_script(RELEASE)

    @unavailable_named()
    def begin(self, tenant: str, key: str) -> Claim:
        """Claim a tenant's key for CLAIM_SECONDS, or find what it made.

        Raises:
            ConflictError: `idempotency-key-in-use`: a request with this key is being answered.
        """
        claim = Claim(once_key(tenant, key), f"claim:{secrets.token_hex(8)}:")
        if self.renew(claim):
            return claim
        stored = self._client.get(claim.key)
        if stored is not None and (made := Made.parse(stored)) is not None:
            return replace(claim, made=made)
        message = "a request with this Idempotency-Key is being answered; wait for it, then ask again"
        raise ConflictError(message, code="idempotency-key-in-use")

    @unavailable_named()
    def renew(self, claim: Claim) -> bool:
        """Claim the key for CLAIM_SECONDS from now; False where another has it."""
        return bool(self._acquire(keys=[claim.key], args=[claim.token, int(CLAIM_SECONDS * 1000)]))

    @unavailable_named()
    def release(self, claim: Claim) -> None:
        """Give the key back, unless it made something."""
        self._release(keys=[claim.key], args=[claim.token])


class Creation:
    """The one step that creates a job."""

    def __init__(self, client: redis.Redis) -> None:
        self._create = client.register_script(_CREATE)

    @unavailable_named()
    def __call__(self, record: JobRecord, room: Room, claim: Claim | None) -> None:
        """Store the record, all or nothing. It may be sent twice: the client does that when a connection breaks.

        Raises:
            BitextmineError: `too-many-jobs`: there is no room.
            AlreadyMade: the key of `claim` has made a job.
        """
        keys = [job_key(record.id), INDEX, index_key(record.tenant), UNFINISHED, unfinished_key(record.tenant)]
        keys += [events_key(record.id), *([claim.key] if claim else [])]
        made = Made(record.id, claim.fingerprint) if claim else ""
        limits = ["" if limit is None else limit for limit in (room.all, room.tenant)]
        args = [record.id, record.model_dump_json(), entry_id(record.version), *limits, str(made), KEPT_SECONDS, RECORD]
        outcome, detail = self._create(keys=keys, args=args)
        if text(outcome) in ("all", "tenant"):
            raise _too_many(text(outcome), int(detail))
        if text(outcome) == "made" and (earlier := Made.parse(detail)) is not None:
            raise AlreadyMade(earlier)
