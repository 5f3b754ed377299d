"""What is looked at to say how the service is doing: the job store, the disk, the encoder that it should have ready."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import redis

from bitextmine.encoders import installed
from bitextmine.encoders.card import CARD
from bitextmine.encoders.opened import OpenEncoders
from bitextmine.errors import BitextmineError
from bitextmine.gpus import Gpu
from bitextmine.jobs import totals
from bitextmine.jobs.gpu_reports import GpuReports
from bitextmine.jobs.record import JobKind, JobState, now
from bitextmine.jobs.store import JobStore

DEFAULT_ENCODER = "muse"
_WORD = "ready"
_LOADING_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class StoreView:
    """The job store at a moment."""

    jobs: Mapping[tuple[JobKind, JobState], int]  # unfinished ones
    oldest_queued: float  # seconds; 0 where nothing waits
    workers: int  # alive
    totals: list[totals.Count]
    gpus: Mapping[str, list[Gpu]]  # by host


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system of the data directory, in bytes."""

    free: int
    total: int


def look_at_store(client: redis.Redis) -> StoreView:
    """
    Raises:
        StoreUnavailableError: Redis does not answer.
    """
    store = JobStore(client)
    records = store.unfinished_records()
    queued = [record.created for record in records if record.state is JobState.QUEUED]
    return StoreView(
        jobs=Counter((record.kind, record.state) for record in records),
        oldest_queued=max((now() - min(queued)).total_seconds(), 0.0) if queued else 0.0,
        workers=len(store.leases.workers()),
        totals=totals.read(client),
        gpus=GpuReports(client).read(),
    )


def look_at_disk(data_dir: Path) -> Disk:
    """
    Raises:
        OSError: it cannot be looked at.
    """
    usage = shutil.disk_usage(data_dir)
    return Disk(usage.free, usage.total)


class EncoderTrial:
    """Tries an encoder as requests would use it: loads it and embeds a word, once for each state that it is in."""

    def __init__(self, encoders: OpenEncoders, directory: Path, wanted: str | None) -> None:
        self._encoders, self._directory, self._wanted = encoders, directory, wanted
        self._tried: tuple[str, tuple[int, int]] | None = None
        self._outcome = ""

    def __call__(self) -> str:
        """The encoder and what it runs on.

        Raises:
            BitextmineError: there is none, or it does not work.
        """
        name = self._name()
        state = self._encoders.state_of(name)
        if self._tried == (name, state):
            return self._outcome
        self._encoders.open_and_submit(name, [_WORD]).result(_LOADING_SECONDS)
        provider = self._encoders.providers().get(name, "")
        self._outcome = f"{name} on {provider}" if provider else name
        if self._encoders.is_open(name, state):  # else it was the one before that answered, and the next look tries
            self._tried = (name, state)
        return self._outcome

    def _name(self) -> str:
        if self._wanted is not None:
            return self._wanted
        names = sorted(path.parent.name for path in self._directory.glob(f"*/{CARD}"))
        if not names:
            raise BitextmineError("no encoder is installed; run: bitextmine encoders pull muse")
        if DEFAULT_ENCODER in names:
            return DEFAULT_ENCODER
        return next((card.name for card in installed(self._directory)), names[0])  # else what is wrong with it is said
