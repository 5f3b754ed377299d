"""What every task of a run is given: where everything lies and what it may use. It travels as plain values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import Corpus
from bitextmine.encoders import Encoder, find_encoder
from bitextmine.encoders.card import Precision
from bitextmine.errors import NotFoundError
from bitextmine.matrix.stage_log import StageLog
from bitextmine.resources import Device, Provider, Resources
from bitextmine.workspace import Workspace

_ENCODERS_KEPT = 2  # open, in a process that does task after task


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Places as absolute paths, the same on every machine that takes part; resources are those of one task."""

    root: str  # of the workspace
    encoders: str
    encoder: str  # its name, or its directory
    log: str  # directory of the stage log
    threads: int
    memory_bytes: int
    gpus: int = 0
    precision: str | None = None  # of the encoder's numbers
    provider: str = Provider.AUTO.value
    allow_cpu_fallback: bool = False
    data_dir: str = ""  # where this machine's calibration lies; the root if it is empty

    @property
    def workspace(self) -> Workspace:
        return Workspace(Path(self.root), Path(self.encoders))

    @property
    def resources(self) -> Resources:
        return Resources(self.threads, self.memory_bytes, self.gpus, self._device)

    @property
    def _device(self) -> Device:
        return Device(Provider(self.provider), self.allow_cpu_fallback)

    def store(self, task: str) -> ArtifactStore:
        """The artifacts; those that the task makes are written down."""
        return StageLog(Path(self.log), task).store(self.workspace.artifacts.root)

    def open_encoder(self) -> Encoder:
        """The encoder, which stays open from task to task.

        Raises:
            NotFoundError, EncoderError: see `find_encoder`.
        """
        precision = Precision(self.precision) if self.precision else None
        return _opened(self.encoder, self.encoders, self.threads, self._device, precision)

    def with_precision(self) -> Bench:
        """The same with the precision that suits this machine, so that other machines encode alike.

        Raises:
            NotFoundError, EncoderError: see `find_encoder`.
        """
        return replace(self, precision=self.open_encoder().precision.value)

    def corpus(self, store: ArtifactStore, digest: str) -> Corpus:
        """
        Raises:
            NotFoundError: `corpus-not-found`.
            ArtifactError: it is damaged.
        """
        artifact = store.open("corpus", digest)
        if artifact is None:
            raise NotFoundError(f"the corpus {digest} was deleted before it was mined", code="corpus-not-found")
        return Corpus(artifact)


@lru_cache(maxsize=_ENCODERS_KEPT)
def _opened(name: str, encoders: str, threads: int, device: Device, precision: Precision | None) -> Encoder:
    return find_encoder(name, Path(encoders), threads=threads, device=device, precision=precision)
