"""The nearest of every sentence of one side in a background, in blocks that are an artifact each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bitextmine.artifacts import Artifact, ArtifactKey, ArtifactStore
from bitextmine.corpus import Corpus
from bitextmine.embeddings import Embeddings, write_npy
from bitextmine.errors import ArtifactError
from bitextmine.margin import neighborhood_means
from bitextmine.progress import Progress, silent
from bitextmine.resources import Resources
from bitextmine.search import MISSING, ExactOptions, nearest_exact

KIND = "neighborhoods"
BLOCK_SHARDS = 8  # 131,072 rows: what a crash can cost, and what the background is prepared for once
_IDS, _MEANS = "ids.npy", "means.npy"


@dataclass(frozen=True)
class Neighborhoods:
    """Of each row of one side: its k nearest in the background. Ids stay on disk, mean cosines are in memory."""

    blocks: tuple[Artifact, ...]
    block_rows: int
    background: Corpus

    @cached_property
    def means(self) -> NDArray[np.float32]:
        """Mean cosine of each row to its k nearest, (n,)."""
        parts = [np.load(block.path / _MEANS, allow_pickle=False) for block in self.blocks]
        return np.concatenate([np.empty(0, np.float32), *parts])

    def ranks(self, rows: NDArray[np.int64], hashes: NDArray[np.uint64]) -> NDArray[np.int16]:
        """From 1, where each row's neighbours hold the sentence with this hash, (n, 2) uint64; 0 where none is it."""
        ids = self._ids(rows)
        found = hashes_of(self.background, np.maximum(ids, 0).ravel()).reshape(*ids.shape, 2)
        hits = (found == hashes[:, None]).all(axis=2) & (ids != MISSING)
        return np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, 0).astype(np.int16)

    def _ids(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        numbers = rows // self.block_rows
        mapped = {number: self._block_ids(number) for number in np.unique(numbers).tolist()}
        found = np.empty((len(rows), next(iter(mapped.values())).shape[1]), np.int64)
        for number, ids in mapped.items():
            here = numbers == number
            found[here] = ids[rows[here] - number * self.block_rows]
        return found

    def _block_ids(self, number: int) -> NDArray[np.int64]:
        ids: NDArray[np.int64] = np.load(self.blocks[number].path / _IDS, mmap_mode="r", allow_pickle=False)
        return ids


def hashes_of(corpus: Corpus, rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The hashes of sentences as two numbers each, (n, 2)."""
    column = corpus.take("hash", rows)
    content = b"".join(column.to_pylist())
    return np.frombuffer(content, np.dtype("<u8")).reshape(-1, 2)


def find_neighborhoods(
    queries: Embeddings,
    base: Embeddings,
    background: Corpus,
    k: int,
    store: ArtifactStore,
    *,
    resources: Resources,
    report: Callable[[int], None] = lambda rows: None,
) -> Neighborhoods:
    """The k nearest rows of the base for each query, exactly, in blocks of BLOCK_SHARDS shards of the queries.

    Blocks that exist are reused. `base` has the vectors of `background`. `report` counts rows.

    Raises:
        ParameterError: `memory-too-small`.
        MismatchError: the vectors differ in dimensions.
        DiskFullError: what was finished before stays.
    """
    blocks, block_rows = [], BLOCK_SHARDS * queries.shard_rows
    for start in range(0, len(queries), block_rows):
        first = start // queries.shard_rows
        rows = min(block_rows, len(queries) - start)
        part = Embeddings(queries.artifacts[first : first + BLOCK_SHARDS], rows, queries.dims, queries.shard_rows)
        key = ArtifactKey(KIND, {"k": k}, {"queries": part.digest, "base": base.digest})
        if store.find(key) is None:
            _search(part, base, key, store, resources, _from(start, rows, report))
        report(start + rows)
        blocks.append(_found(store, key))
    return Neighborhoods(tuple(blocks), block_rows, background)


def discard_neighborhoods(store: ArtifactStore, found: Neighborhoods) -> None:
    """Delete what was kept to go on with after a crash."""
    for block in found.blocks:
        store.delete(KIND, block.digest)


def _search(
    part: Embeddings, base: Embeddings, key: ArtifactKey, store: ArtifactStore, resources: Resources, progress: Progress
) -> None:
    k, threads = int(key.parameters["k"]), resources.threads
    options = ExactOptions.within(resources.memory_bytes, len(part), len(base), part.dims, k, threads)
    neighbors = nearest_exact(part, base, k, options=options, progress=progress)
    with store.publish(key) as staging:
        write_npy(staging.path / _IDS, neighbors.ids)
        write_npy(staging.path / _MEANS, neighborhood_means(neighbors))
        staging.summary |= {"rows": len(part), "base_rows": len(base)}


def _from(start: int, rows: int, report: Callable[[int], None]) -> Progress:
    """A Progress of a block's search that counts its rows."""

    def progress(stage: str, done: int, total: int | None) -> None:
        if stage == "search" and total:
            report(start + rows * done // total)

    return progress if rows else silent


def _found(store: ArtifactStore, key: ArtifactKey) -> Artifact:
    artifact = store.find(key)
    if artifact is None:
        raise ArtifactError(f"{key.kind} {key.digest} vanished after it was published")
    return artifact
