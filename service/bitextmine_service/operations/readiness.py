"""Whether a job or a sentence sent now would be done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bitextmine.errors import BitextmineError, StoreUnavailableError
from bitextmine_service.models.operations import Check, Readiness
from bitextmine_service.operations.looks import Disk, StoreView
from bitextmine_service.operations.watch import Watch

Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class Watches:
    """What is watched; an encoder's answer says what it runs on."""

    store: Watch[StoreView]
    disk: Watch[Disk]
    encoder: Watch[str]


async def readiness(watches: Watches, min_free_bytes: int, *, stopping: bool) -> Readiness:
    """All checks, made side by side; within a second or so, whatever hangs.

    Args:
        stopping: whether the service has been told to stop.
    """
    checks: Sequence[Check] = await asyncio.gather(
        _check("redis", watches.store, lambda view: f"{sum(view.jobs.values())} jobs unfinished"),
        _check("workers", watches.store, _workers),
        _check("encoders", watches.encoder, str),
        _check("disk", watches.disk, lambda disk: _room(disk, min_free_bytes)),
    )
    if stopping:
        checks = [*checks, Check(name="stopping", ok=False, detail="the service is about to stop")]
    return Readiness(ready=all(check.ok for check in checks), checks=list(checks))


def _check(name: str, watch: Watch[Seen], judge: Callable[[Seen], str]) -> Coroutine[None, None, Check]:
    async def made() -> Check:
        try:
            return Check(name=name, ok=True, detail=judge(await watch.seen()))
        except (BitextmineError, OSError, TimeoutError) as error:
            return Check(name=name, ok=False, detail=str(error) or type(error).__name__)

    return made()


def _workers(view: StoreView) -> str:
    if not view.workers:
        raise StoreUnavailableError("no worker has been heard of lately")
    return f"{view.workers} alive"


def _room(disk: Disk, min_free_bytes: int) -> str:
    text = f"{disk.free / (1 << 30):.1f} GiB free"
    if disk.free < min_free_bytes:
        raise BitextmineError(f"only {text}")
    return text
