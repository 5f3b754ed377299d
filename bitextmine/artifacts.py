"""Artifacts: directories with a manifest, named by the digest of what made them, published whole or not at all.

A stage whose artifact exists is done; that is the whole of resuming. Layout: `<root>/<kind>/<digest>/manifest.json`
beside the artifact's files, and `<root>/.staging/` for what is being written.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import Any
from uuid import uuid4

from bitextmine.errors import ArtifactError, disk_full_named
from bitextmine.files import file_sha256, fsync, locked, write_atomically

__all__ = ["MANIFEST", "Artifact", "ArtifactKey", "ArtifactStore", "Staging", "file_sha256", "write_atomically"]

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
_logger = logging.getLogger(__name__)
_STAGING = ".staging"
_STALE_SECONDS = 60.0  # younger staging directories are left alone: their writer may not hold the lock yet
_RECORDED = ("bitextmine", "numpy", "pyarrow", "onnxruntime", "onnxruntime-gpu", "faiss-cpu", "faiss-gpu")


@dataclass(frozen=True)
class ArtifactKey:
    """What determines an artifact: its kind, the parameters, and the digests of its inputs (all JSON values)."""

    kind: str
    parameters: Mapping[str, Any]
    inputs: Mapping[str, str]

    @cached_property
    def digest(self) -> str:
        """32 hexadecimal digits: SHA-256 of the key as canonical JSON, truncated to 128 bits."""
        key = {
            "kind": self.kind,
            "schema": SCHEMA_VERSION,
            "parameters": self.parameters,
            "inputs": self.inputs,
        }
        text = json.dumps(key, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A published artifact: its directory and its manifest."""

    path: Path
    manifest: Mapping[str, Any]

    @property
    def digest(self) -> str:
        return self.path.name

    @property
    def parameters(self) -> Mapping[str, Any]:
        return dict(self.manifest["parameters"])

    @property
    def summary(self) -> Mapping[str, Any]:
        """What the stage found out while it made the artifact (counts, timings); not part of the digest."""
        return dict(self.manifest["summary"])

    def verify(self) -> None:
        """Read every file and compare it with the manifest.

        Raises:
            ArtifactError: a file differs from what was published.
        """
        for name, record in self.manifest["files"].items():
            file = self.path / name
            if not file.is_file() or file_sha256(file) != record["sha256"]:
                raise ArtifactError(f"{file} is not the file that was published; delete {self.path}")


@dataclass(slots=True)
class Staging:
    """Where a stage writes: files under `path`, findings into `summary`."""

    path: Path
    summary: dict[str, Any] = field(default_factory=dict)


class ArtifactStore:
    """The artifacts under one root directory. Safe for many processes: whoever publishes first wins.

    `on_published` is called with the key of each artifact that this object published.
    """

    def __init__(self, root: Path, on_published: Callable[[ArtifactKey], None] = lambda key: None) -> None:
        self.root = root
        self._on_published = on_published

    def path(self, kind: str, digest: str) -> Path:
        return self.root / kind / digest

    def find(self, key: ArtifactKey) -> Artifact | None:
        """The published artifact of this key, or None.

        Raises:
            ArtifactError: it exists but a file is missing or has another size than was published.
        """
        return self.open(key.kind, key.digest)

    def open(self, kind: str, digest: str, *, repair: str = "") -> Artifact | None:
        """As `find`; `repair` is what an error advises where deleting the directory would not do."""
        path = self.path(kind, digest)
        try:
            manifest = json.loads((path / MANIFEST).read_bytes())
            damage = _damage(path, manifest)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            damage = f"{path / MANIFEST} cannot be read: {error}"
        if damage:
            raise ArtifactError(f"{damage}; {repair or f'delete {path} to make it again'}")
        return Artifact(path, manifest)

    def digests(self, kind: str) -> set[str]:
        """The digests of the artifacts of a kind, as their directories say; opens none."""
        return {directory.name for directory in _entries(self.root / kind)}

    def published(self, kind: str) -> list[tuple[int, str]]:
        """The time (nanoseconds since 1970) and digest of every artifact of a kind, oldest first; opens none."""
        found = []
        for directory in _entries(self.root / kind):
            with suppress(OSError):
                found.append(((directory / MANIFEST).stat().st_mtime_ns, directory.name))
        return sorted(found)

    def list(self, kind: str) -> list[Artifact]:
        """The artifacts of a kind, oldest first. Damaged ones are left out, with a warning in the log."""
        found = []
        for directory in _entries(self.root / kind):
            try:
                artifact = self.open(kind, directory.name)
            except ArtifactError as error:
                _logger.warning("%s", error)
            else:
                found += [artifact] if artifact else []
        return sorted(found, key=lambda artifact: (artifact.manifest["created"], artifact.digest))

    @contextmanager
    def publish(self, key: ArtifactKey) -> Iterator[Staging]:
        """A staging directory that becomes the artifact when the block ends well, and vanishes when it does not.

        Raises:
            DiskFullError: the disk is full; nothing was published.
        """
        with disk_full_named(f"{key.kind} {key.digest}"), self._staging_directory() as directory:
            staging = Staging(directory)
            yield staging
            directory.chmod(self.root.stat().st_mode & 0o777)  # as readable as the rest, for other users too
            _write_manifest(directory, key, staging.summary)
            _publish_directory(directory, self.path(key.kind, key.digest))
            self._on_published(key)

    def delete(self, kind: str, digest: str) -> None:
        """Remove an artifact; a reader that has its files open keeps them."""
        (self.root / _STAGING).mkdir(parents=True, exist_ok=True)
        doomed = self.root / _STAGING / f"{digest}-{uuid4().hex}"  # no new directory: a full disk has no room for it
        with suppress(FileNotFoundError):
            self.path(kind, digest).rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)

    def sweep(self, complain: Callable[[OSError], None] = lambda error: _logger.warning("%s", error)) -> int:
        """Remove what writers that died left in staging; return how many directories went. `complain` of the rest."""
        removed = 0
        for directory in _entries(self.root / _STAGING):
            try:
                if time.time() - directory.stat().st_mtime > _STALE_SECONDS:
                    with locked(directory):
                        shutil.rmtree(directory)
                    removed += 1
            except (FileNotFoundError, NotADirectoryError, BlockingIOError):
                continue  # gone meanwhile, no directory, or its writer lives
            except OSError as error:
                complain(error)
        return removed

    @contextmanager
    def _staging_directory(self) -> Iterator[Path]:
        (self.root / _STAGING).mkdir(parents=True, exist_ok=True)
        directory = Path(tempfile.mkdtemp(dir=self.root / _STAGING))
        try:
            with locked(directory):
                yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def _write_manifest(directory: Path, key: ArtifactKey, summary: Mapping[str, Any]) -> None:
    files = sorted(file for file in directory.rglob("*") if file.is_file())
    manifest = {
        "kind": key.kind,
        "schema": SCHEMA_VERSION,
        "digest": key.digest,
        "parameters": key.parameters,
        "inputs": key.inputs,
        "files": {
            str(file.relative_to(directory)): {"sha256": file_sha256(file), "size": file.stat().st_size}
            for file in files
        },
        "summary": summary,
        "versions": _versions(),
        "created": datetime.now(UTC).isoformat(timespec="microseconds"),
    }
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for file in (*files, directory / MANIFEST, directory):
        fsync(file)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _damage(path: Path, manifest: Any) -> str | None:
    """What is wrong with an artifact, as far as a look at its directory tells."""
    if not _is_manifest(manifest, path.name):
        return f"{path / MANIFEST} is not the manifest of {path.name}"
    for file, record in ((path / name, record) for name, record in manifest["files"].items()):
        if not file.is_file() or file.stat().st_size != record["size"]:
            return f"{file} is missing or was truncated"
    return None


def _is_manifest(manifest: Any, digest: str) -> bool:
    return (
        isinstance(manifest, dict)
        and manifest.get("digest") == digest
        and all(isinstance(manifest.get(name), dict) for name in ("parameters", "inputs", "files", "summary"))
        and isinstance(manifest.get("created"), str)
        and all(
            isinstance(record, dict) and {"size", "sha256"} <= record.keys() for record in manifest["files"].values()
        )
    )


def _publish_directory(directory: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        directory.rename(target)
    except OSError:
        if (target / MANIFEST).is_file():
            return  # another process published the same content first
        if not target.is_dir():
            raise
        shutil.rmtree(target)  # what has lost its manifest is no artifact
        directory.rename(target)
    fsync(target.parent)


@cache
def _versions() -> dict[str, str]:
    found = {}
    for name in _RECORDED:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
