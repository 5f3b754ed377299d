"""Named corpora: one small JSON file a name, pointing at a corpus artifact. Names are what the API speaks of."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bitextmine.artifacts import ArtifactStore, write_atomically
from bitextmine.corpus import Corpus
from bitextmine.corpus.statistics import delete_statistics
from bitextmine.embeddings import delete_embeddings, delete_indexes, digests_of_vectors
from bitextmine.errors import ArtifactError, ConflictError, NotFoundError, ParameterError
from bitextmine.files import locked
from bitextmine.postprocessed import delete_postprocessed

NAME_PATTERN = r"[a-z0-9][a-z0-9._-]{0,63}"
_NAME = re.compile(NAME_PATTERN)
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Version:
    """One state of a named corpus. `made_by` is what its maker calls itself, if anything; see `Catalog.append`."""

    digest: str  # of the corpus artifact
    created: str  # ISO 8601, UTC
    made_by: str = ""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """What a name stands for: the last of its versions. Each appended file makes one; the former ones stay."""

    name: str
    lang: str
    versions: tuple[Version, ...]

    @property
    def digest(self) -> str:
        """Of the corpus artifact that the name stands for now."""
        return self.versions[-1].digest

    @property
    def created(self) -> str:
        return self.versions[0].created

    @property
    def updated(self) -> str:
        return self.versions[-1].created

    @property
    def version(self) -> int:
        """Counted from 1."""
        return len(self.versions)

    def made_by(self, maker: str) -> Version | None:
        """The version that this maker made."""
        return next((version for version in self.versions if maker and version.made_by == maker), None)


def check_name(name: str) -> str:
    """The name itself, when it can be one: it becomes part of a path and of URLs.

    Raises:
        ParameterError: `invalid-name`.
    """
    if not _NAME.fullmatch(name):
        message = f"{name[:80]!r} cannot name a corpus: use 1 to 64 of a-z, 0-9, '.', '_', '-', a letter or digit first"
        raise ParameterError(message, code="invalid-name")
    return name


class Catalog:
    """The names under one directory."""

    def __init__(self, directory: Path, store: ArtifactStore) -> None:
        self._directory, self._store = directory, store

    def add(self, name: str, corpus: Corpus, made_by: str = "") -> CatalogEntry:
        """Name a corpus; naming the same corpus again changes nothing.

        Raises:
            ParameterError: `invalid-name`.
            ConflictError: `corpus-exists`: the name stands for another corpus.
            ArtifactError: the name is there, and what it stands for cannot be read.
        """
        if (known := self._read(check_name(name))) is not None:
            if known.versions[0].digest != corpus.digest:
                message = f"corpus {name!r} exists with other content; delete it first or take another name"
                raise ConflictError(message, code="corpus-exists")
            return known
        entry = CatalogEntry(name, corpus.lang, (_version(corpus, made_by),))
        try:
            write_atomically(self._path(name), _record(entry), replace=False)
        except FileExistsError:
            return self.add(name, corpus, made_by)  # another took the name meanwhile
        return entry

    def append(self, name: str, corpus: Corpus, *, after: str, made_by: str = "") -> CatalogEntry:
        """Have a name stand for what its corpus has grown to.

        Args:
            after: the digest of the version that grew; it must still be the last.
            made_by: names who appends, so that `CatalogEntry.made_by` tells that it was done. What is appended once
                is not appended again.
        Raises:
            NotFoundError: `corpus-not-found`: it was deleted meanwhile.
            ConflictError: `corpus-changed`: something else was appended meanwhile.
            ArtifactError: the name is there, and what it stands for cannot be read.
        """
        with self._locked():
            entry = self.get(name)
            if entry.made_by(made_by):
                return entry
            if entry.digest != after:
                message = f"corpus {name!r} was changed while a file was being appended to it; append it again"
                raise ConflictError(message, code="corpus-changed")
            grown = replace(entry, versions=(*entry.versions, _version(corpus, made_by)))
            write_atomically(self._path(name), _record(grown))
        return grown

    def has(self, name: str) -> bool:
        """Whether the name is taken, were it by a corpus that is lost or damaged.

        Raises:
            ParameterError: `invalid-name`.
        """
        return os.path.lexists(self._path(check_name(name)))

    def get(self, name: str) -> CatalogEntry:
        """
        Raises:
            NotFoundError: `corpus-not-found`.
            ArtifactError: the name is there, and what it stands for cannot be read.
        """
        if (entry := self._read(check_name(name))) is None:
            raise NotFoundError(f"there is no corpus {name!r}", code="corpus-not-found")
        return entry

    def open(self, name: str) -> Corpus:
        """
        Raises:
            NotFoundError: `corpus-not-found`.
            ArtifactError: the name is there, but its artifact is lost or damaged.
        """
        return self.corpus(self.get(name))

    def corpus(self, entry: CatalogEntry) -> Corpus:
        """
        Raises:
            ArtifactError: it is lost or damaged.
        """
        artifact = self._store.open("corpus", entry.digest, repair=repair(entry.name))
        if artifact is None:
            raise ArtifactError(f"corpus {entry.name!r} has lost its artifact {entry.digest}; {repair(entry.name)}")
        return Corpus(artifact)

    def list(self) -> list[CatalogEntry]:
        """All names, in alphabetical order. Those that cannot be read are left out, with a warning in the log."""
        found = []
        for name in sorted(path.stem for path in self._directory.glob("*.json")):
            try:
                entry = self._read(name)
            except ArtifactError as error:
                _logger.warning("%s", error)
            else:
                found += [entry] if entry else []
        return found

    def delete(self, name: str) -> None:
        """Forget a name; the corpus in all its versions and its embeddings go too, but what another name shares.

        Works on names and corpora that are damaged. Bitexts mined from the corpus stay: they hold their sentences
        themselves.

        Raises:
            NotFoundError: `corpus-not-found`.
        """
        check_name(name)
        with self._locked():
            try:
                versions = self.get(name).versions
            except ArtifactError:
                versions = ()
            self._path(name).unlink(missing_ok=True)
        for version in reversed(versions):
            self.delete_unnamed(version.digest)

    def delete_unnamed(self, digest: str) -> None:
        """Delete a corpus and its embeddings, unless a name stands for sentences they share.

        A damaged corpus goes whatever its names: it is of no use to them and in the way of making it again.
        """
        named = {version.digest for entry in self.list() for version in entry.versions}
        shards = self._shards(digest)
        if shards and digest in named:
            return
        self._store.delete("corpus", digest)
        delete_statistics(self._store, digest)
        others = [self._shards(other) for other in named - {digest}]
        if shards not in others:
            delete_indexes(self._store, digests_of_vectors(self._store, shards))
        unshared: set[str] = set(shards).difference(*others)
        delete_postprocessed(self._store, unshared)
        delete_embeddings(self._store, unshared)

    def _shards(self, digest: str) -> Sequence[str]:
        """Digests of a corpus's shards (it has one at least): none where it is lost or damaged."""
        try:
            artifact = self._store.open("corpus", digest)
        except ArtifactError:
            return []
        return [] if artifact is None else [shard.digest for shard in Corpus(artifact).shards]

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.json"

    def _read(self, name: str) -> CatalogEntry | None:
        try:
            return _entry(json.loads(self._path(name).read_bytes()), name)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ArtifactError(f"{self._path(name)} is damaged: {error}; {repair(name)}") from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Nobody else changes what a name stands for. Taking a name that is free needs no lock."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with locked(self._directory, wait=True):
            yield


def _version(corpus: Corpus, made_by: str) -> Version:
    return Version(corpus.digest, datetime.now(UTC).isoformat(timespec="milliseconds"), made_by)


def _record(entry: CatalogEntry) -> bytes:
    return json.dumps(asdict(entry)).encode()


def _entry(record: Any, name: str) -> CatalogEntry:
    """The entry that a record holds; those from before corpora could grow have one version.

    Raises:
        ValueError, TypeError, KeyError: it holds none.
    """
    if isinstance(record, dict) and "digest" in record:
        first = {field: record.pop(field) for field in ("digest", "created")}
        record["versions"] = [first]
    versions = tuple(Version(**version) for version in record["versions"])
    entry = CatalogEntry(**record | {"versions": versions})
    texts = [entry.name, entry.lang, *(text for version in versions for text in asdict(version).values())]
    if entry.name != name or not versions or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"it is not the record of {name!r}")
    for version in versions:
        datetime.fromisoformat(version.created)
    return entry


def repair(name: str) -> str:
    """What to do when a corpus is lost or damaged."""
    return f"delete corpus {name!r} over the API and upload it again"
