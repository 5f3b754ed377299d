"""Who may do what: the scopes of keys, and the caller that a key stands for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bitextmine.errors import BitextmineError
from bitextmine.keys.rate import Rate
from bitextmine.tenants import DEFAULT_TENANT


class Scope(StrEnum):
    """What a key allows; each scope includes those before it."""

    READ = "read"  # look at corpora, jobs and bitexts; search, score, embed
    MINE = "mine"  # upload, send and cancel jobs, delete
    ADMIN = "admin"  # import files of the server, see how it is doing

    def includes(self, other: Scope) -> bool:
        order = list(Scope)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request: the tenant whose corpora, jobs and bitexts it is about, and what it may do.

    Of `rate`, `max_sentences` (stored by the tenant) and `max_jobs` (of the tenant, waiting or running), None is no
    limit.
    """

    tenant: str = DEFAULT_TENANT
    scope: Scope = Scope.ADMIN
    key_id: str | None = None  # None where the service asks for no keys
    rate: Rate | None = None
    max_sentences: int | None = None
    max_jobs: int | None = None

    def check(self, scope: Scope) -> None:
        """
        Raises:
            BitextmineError: `scope-missing` (403).
        """
        if not self.scope.includes(scope):
            message = f"this key has the scope {self.scope}; this takes {scope}"
            raise BitextmineError(message, code="scope-missing")


LOCAL = Caller()  # where the service asks for no keys
NOBODY = Caller(tenant="", scope=Scope.READ)  # on the paths that are open without a key; no tenant has this name
