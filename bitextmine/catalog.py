"""Named corpora: one small JSON file a name, pointing at a corpus artifact. Names are what the API speaks of."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from bitextmine.artifacts import ArtifactStore, write_atomically
from bitextmine.corpus import Corpus
from bitextmine.embeddings import delete_embeddings
from bitextmine.errors import ArtifactError, ConflictError, NotFoundError, ParameterError

NAME_PATTERN = r"[a-z0-9][a-z0-9._-]{0,63}"
_NAME = re.compile(NAME_PATTERN)


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

    def get(self, name: str) -> CatalogEntry:
        """
        Raises:
            NotFoundError: `corpus-not-found`.
        """
        if (entry := self._read(check_name(name))) is None:
            raise NotFoundError(f"there is no corpus {name!r}", code="corpus-not-found")
        return entry

    def open(self, name: str) -> Corpus:
        """
        Raises:
            NotFoundError: `corpus-not-found`.
            ArtifactError: the name is there but its artifact is not.
        """
        entry = self.get(name)
        artifact = self._store.open("corpus", entry.digest)
        if artifact is None:
            raise ArtifactError(f"corpus {name!r} has lost its artifact {entry.digest}; delete and upload it again")
        return Corpus(artifact)

    def list(self) -> list[CatalogEntry]:
        """All names, in alphabetical order."""
        names = sorted(path.stem for path in self._directory.glob("*.json"))
        return [entry for name in names if (entry := self._read(name)) is not None]

    def delete(self, name: str) -> None:
        """Forget a name; the corpus and its embeddings go too, unless another name stands for sentences they share.

        Bitexts mined from it stay: they hold their sentences themselves.

        Raises:
            NotFoundError: `corpus-not-found`.
        """
        entry = self.get(name)
        others = {other.digest for other in self.list() if other.name != name}
        self._path(name).unlink(missing_ok=True)
        if entry.digest in others:
            return
        unshared = self._shards(entry.digest).difference(*map(self._shards, others))
        self._store.delete("corpus", entry.digest)
        delete_embeddings(self._store, unshared)

    def _shards(self, digest: str) -> set[str]:
        """Digests of a corpus's shards: none where it is lost or damaged, so that deleting always works."""
        try:
            artifact = self._store.open("corpus", digest)
        except ArtifactError:
            return set()
        return set() if artifact is None else {shard.digest for shard in Corpus(artifact).shards}

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.json"

    def _read(self, name: str) -> CatalogEntry | None:
        try:
            return CatalogEntry(**json.loads(self._path(name).read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            message = f"{self._path(name)} is damaged; delete it and upload the corpus again"
            raise ArtifactError(message) from error
