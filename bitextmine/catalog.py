"""Named corpora: one small JSON file a name, pointing at a corpus artifact. Names are what the API speaks of."""

from __future__ import annotations

import json
import logging
import os
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from bitextmine.artifacts import ArtifactStore, write_atomically
from bitextmine.corpus import Corpus
from bitextmine.embeddings import delete_embeddings
from bitextmine.errors import ArtifactError, ConflictError, NotFoundError, ParameterError
from bitextmine.postprocessed import delete_postprocessed

NAME_PATTERN = r"[a-z0-9][a-z0-9._-]{0,63}"
_NAME = re.compile(NAME_PATTERN)
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    name: str
    lang: str
    digest: str  # of the corpus artifact
    created: str  # ISO 8601, UTC


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

    def add(self, name: str, corpus: Corpus) -> CatalogEntry:
        """Name a corpus; naming the same corpus again changes nothing.

        Raises:
            ParameterError: `invalid-name`.
            ConflictError: `corpus-exists`: the name stands for another corpus.
            ArtifactError: the name is there, and what it stands for cannot be read.
        """
        if (known := self._read(check_name(name))) is not None:
            if known.digest != corpus.digest:
                message = f"corpus {name!r} exists with other content; delete it first or take another name"
                raise ConflictError(message, code="corpus-exists")
            return known
        entry = CatalogEntry(name, corpus.lang, corpus.digest, datetime.now(UTC).isoformat(timespec="milliseconds"))
        try:
            write_atomically(self._path(name), json.dumps(asdict(entry)).encode(), replace=False)
        except FileExistsError:
            return self.add(name, corpus)  # another took the name meanwhile
        return entry

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
        """Forget a name; the corpus and its embeddings go too, unless another name stands for sentences they share.

        Works on names and corpora that are damaged. Bitexts mined from the corpus stay: they hold their sentences
        themselves.

        Raises:
            NotFoundError: `corpus-not-found`.
        """
        try:
            entry = self.get(name)
        except ArtifactError:
            entry = None
        self._path(name).unlink(missing_ok=True)
        if entry is not None:
            self.delete_unnamed(entry.digest)

    def delete_unnamed(self, digest: str) -> None:
        """Delete a corpus and its embeddings, unless a name stands for sentences they share.

        A damaged corpus goes whatever its names: it is of no use to them and in the way of making it again.
        """
        named = {entry.digest for entry in self.list()}
        shards = self._shards(digest)
        if shards and digest in named:
            return
        self._store.delete("corpus", digest)
        unshared = shards.difference(*map(self._shards, named))
        delete_postprocessed(self._store, unshared)
        delete_embeddings(self._store, unshared)

    def _shards(self, digest: str) -> set[str]:
        """Digests of a corpus's shards (it has one at least): none where it is lost or damaged."""
        try:
            artifact = self._store.open("corpus", digest)
        except ArtifactError:
            return set()
        return set() if artifact is None else {shard.digest for shard in Corpus(artifact).shards}

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.json"

    def _read(self, name: str) -> CatalogEntry | None:
        try:
            entry = CatalogEntry(**json.loads(self._path(name).read_bytes()))
            _check_entry(entry, name)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise ArtifactError(f"{self._path(name)} is damaged: {error}; {repair(name)}") from error
        return entry


def _check_entry(entry: CatalogEntry, name: str) -> None:
    if entry.name != name or not all(isinstance(value, str) for value in asdict(entry).values()):
        raise ValueError(f"it is not the record of {name!r}")
    datetime.fromisoformat(entry.created)


def repair(name: str) -> str:
    """What to do when a corpus is lost or damaged."""
    return f"delete corpus {name!r} over the API and upload it again"
