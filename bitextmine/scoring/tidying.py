"""What scoring a file leaves behind, once its bitext is there: the pairs as they were read, and their vectors."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bitextmine.artifacts import Artifact, ArtifactStore
from bitextmine.bitext import KIND as BITEXT
from bitextmine.catalog import Catalog
from bitextmine.corpus import Corpus
from bitextmine.embeddings import delete_embeddings
from bitextmine.errors import ArtifactError
from bitextmine.pair_files.ingest import KIND, SIDE_KIND
from bitextmine.scoring.neighborhoods import KIND as NEIGHBORHOODS

MAX_AGE_SECONDS = 86_400.0
_LOCK = ".scoring"


@contextmanager
def at_work(store: ArtifactStore) -> Iterator[None]:
    """While the block lasts nobody tidies: runs on the same sentences share their vectors."""
    descriptor = _open_lock(store.root)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def tidy(store: ArtifactStore, catalog: Catalog, *, max_age_seconds: float = MAX_AGE_SECONDS) -> bool:
    """Delete the pairs of files whose bitexts are there, and the vectors of their sentences that no corpus has.

    What a run that failed needs to go on stays until it is `max_age_seconds` old. Returns False, and does nothing,
    where a run is at work: it tidies when it is done.
    """
    descriptor = _open_lock(store.root)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        oldest = time.time_ns() - int(max_age_seconds * 1e9)
        _delete_pairs(store, catalog, oldest)
        for published, digest in store.published(NEIGHBORHOODS):
            if published < oldest:
                store.delete(NEIGHBORHOODS, digest)
        return True
    finally:
        os.close(descriptor)


def _delete_pairs(store: ArtifactStore, catalog: Catalog, oldest: int) -> None:
    scored = {bitext.manifest["inputs"].get("pairs") for bitext in store.list(BITEXT)}
    gone = [digest for published, digest in store.published(KIND) if digest in scored or published < oldest]
    sides = store.list(SIDE_KIND)
    doomed = [side for side in sides if side.manifest["inputs"]["pairs"] in gone]
    if not doomed:
        return
    kept = {shard for side in sides if side not in doomed for shard in _shards(side)}
    for entry in catalog.list():
        for version in entry.versions:
            kept |= _shards_of_corpus(store, version.digest)
    delete_embeddings(store, {shard for side in doomed for shard in _shards(side)} - kept)
    for side in doomed:
        store.delete(SIDE_KIND, side.digest)
    for digest in gone:
        store.delete(KIND, digest)


def _shards_of_corpus(store: ArtifactStore, digest: str) -> set[str]:
    try:
        artifact = store.open("corpus", digest)
    except ArtifactError:
        return set()
    return set() if artifact is None else _shards(artifact)


def _shards(side: Artifact) -> set[str]:
    return {shard.digest for shard in Corpus(side).shards}


def _open_lock(root: Path) -> int:
    root.mkdir(parents=True, exist_ok=True)
    return os.open(root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
