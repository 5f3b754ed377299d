"""The shards of an index: trained once, then built, verified and published one by one, so that a crash costs one.

All shards of an index share its centroids and codebooks. So the approximate score of a vector does not depend on the
shard that it is in, and the best over all shards are the same however many there are.
"""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from bitextmine.artifacts import Artifact, ArtifactKey, ArtifactStore
from bitextmine.errors import ArtifactError, MismatchError
from bitextmine.progress import Progress, silent
from bitextmine.search.index_spec import CodeKind, IndexSpec
from bitextmine.search.rescore import gather
from bitextmine.vectors import StoredVectors

TRAINING_KIND, KIND = "index-training", "index"
FILE = "index.faiss"
_BLOCK_ROWS = 8192
_TRIED_ROWS, _TRIED_NEIGHBORS = 8, 64
_LEAST_TRAINING_ROWS = 256  # of 8-bit codebooks
_KMEANS_ROUNDS = 10
_NOISE = 1e-5
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenedShard:
    """An index as searches use it; nothing in it may be changed. `whole` keeps alive what the others point into."""

    whole: Any
    ivf: Any
    transforms: tuple[Any, ...]  # applied to queries first (OPQ)

    @classmethod
    def of(cls, index: Any) -> OpenedShard:
        if not isinstance(index, faiss.IndexPreTransform):
            return cls(index, faiss.downcast_index(index), ())
        chain: Any = index.chain
        transforms = tuple(faiss.downcast_VectorTransform(chain.at(i)) for i in range(chain.size()))
        return cls(index, faiss.downcast_index(index.index), transforms)


class ShardedIndex:
    """An index on disk. Shards are mapped where FAISS can, and at most `open_shards` are kept open; thread-safe."""

    def __init__(self, spec: IndexSpec, training: Artifact, shards: list[Artifact], rows: int) -> None:
        self.spec, self.training, self.shards, self.rows = spec, training, shards, rows
        self.open_shards = len(shards)
        self._opened: OrderedDict[Path, OpenedShard] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.shards)

    @property
    def digest(self) -> str:
        return sha256("".join(shard.digest for shard in (self.training, *self.shards)).encode()).hexdigest()[:32]

    @property
    def file_bytes(self) -> int:
        return sum((shard.path / FILE).stat().st_size for shard in self.shards)

    @property
    def seconds(self) -> float:
        """What it took to train and build, in whichever run."""
        return sum(float(artifact.summary["seconds"]) for artifact in (self.training, *self.shards))

    def limited(self, memory_bytes: int) -> ShardedIndex:
        """The same with as many shards open at a time as fit the budget (always one)."""
        other = ShardedIndex(self.spec, self.training, self.shards, self.rows)
        largest = max(((shard.path / FILE).stat().st_size for shard in self.shards), default=1)
        other.open_shards = min(max(memory_bytes // largest, 1), len(self.shards))
        return other

    def shard(self, number: int) -> OpenedShard:
        return self._open(self.shards[number].path / FILE, self.open_shards + 1)

    def trained(self) -> OpenedShard:
        """The index without vectors: centroids, codebooks and rotation."""
        return self._open(self.training.path / FILE, self.open_shards + 1)

    def _open(self, path: Path, most: int) -> OpenedShard:
        with self._lock:
            if path not in self._opened:
                self._opened[path] = OpenedShard.of(_read(path, self.spec.kind))
            self._opened.move_to_end(path)
            while len(self._opened) > most:
                self._opened.popitem(last=False)
            return self._opened[path]


def build_index(
    vectors: StoredVectors,
    digest: str,
    spec: IndexSpec,
    store: ArtifactStore,
    *,
    threads: int = 1,
    stage: str = "index",
    progress: Progress = silent,
) -> ShardedIndex:
    """The index of these vectors, whose identity is `digest`: what exists is reused, what is damaged is made again.

    Memory: the training sample (a quarter of the budget that `choose_spec` was given) and a copy of it; then the
    codes of one shard.

    Raises:
        MismatchError: the vectors are of other dimensions than the index.
        ArtifactError: a shard reads back differently from what was written.
        DiskFullError: the disk is full; the shards finished before stay.
    """
    if vectors.dims != spec.dims:
        raise MismatchError(f"vectors of {vectors.dims} dimensions do not fit an index of {spec.dims}")
    rows = len(vectors)
    with omp_threads(threads):
        training_key = ArtifactKey(TRAINING_KIND, spec.training, {"vectors": digest})
        training = sound(store, training_key) or _train(vectors, spec, store, training_key)
        shards = []
        for start in range(0, rows, spec.shard_rows):
            span = range(start, min(start + spec.shard_rows, rows))
            inputs = {"training": training.digest, "vectors": digest}
            key = ArtifactKey(KIND, {"start": span.start, "stop": span.stop}, inputs)
            shards.append(sound(store, key) or _build_shard(vectors, span, training, store, key))
            progress(stage, span.stop, rows)
    return ShardedIndex(spec, training, shards, rows)


def sound(store: ArtifactStore, key: ArtifactKey) -> Artifact | None:
    """The artifact, if it exists and is whole; a damaged one is removed, since it can be made again."""
    try:
        return store.find(key)
    except ArtifactError as error:
        _log.warning("%s; it is made again", error)
        store.delete(key.kind, key.digest)
        return None


@contextmanager
def omp_threads(threads: int) -> Iterator[None]:
    """How many threads FAISS takes in this thread."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(int(threads))
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def training_sample(vectors: StoredVectors, count: int, seed: int) -> NDArray[np.float32]:
    """One row, at random, of each of `count` equal stretches: (min(count, rows), dims) float32, read piece by piece."""
    rows = len(vectors)
    count = min(count, rows)
    offsets = np.random.default_rng(seed).random(count)
    chosen = np.minimum(((np.arange(count) + offsets) * (rows / max(count, 1))).astype(np.int64), rows - 1)
    sample = np.empty((count, vectors.dims), np.float32)
    for start in range(0, count, _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        sample[part] = gather(vectors, chosen[part])
    return sample


def _train(vectors: StoredVectors, spec: IndexSpec, store: ArtifactStore, key: ArtifactKey) -> Artifact:
    started = time.monotonic()
    sample = training_sample(vectors, spec.training_rows, spec.seed)
    if len(sample) < (least := max(_LEAST_TRAINING_ROWS, spec.nlist)):
        sample = np.resize(sample, (least, vectors.dims))  # repeated; zeros if there are none
    if spec.kind is CodeKind.PQ_FASTSCAN:
        _shake(sample, spec.seed)
    index = _untrained(spec)
    index.train(sample)
    with store.publish(key) as staging:
        _write(index, staging.path / FILE)
        staging.summary |= {"rows": len(sample), "seconds": round(time.monotonic() - started, 3)}
    return _published(store, key)


def _untrained(spec: IndexSpec) -> Any:
    index = faiss.index_factory(spec.dims, spec.factory, faiss.METRIC_INNER_PRODUCT)
    ivf = OpenedShard.of(index).ivf
    for clustering in (ivf.cp, ivf.pq.cp) if hasattr(ivf, "pq") else (ivf.cp,):
        clustering.seed = spec.seed
        clustering.min_points_per_centroid = 1  # fewer are no reason to warn on the terminal
    ivf.cp.niter = _KMEANS_ROUNDS
    if hasattr(ivf, "do_polysemous_training"):
        ivf.do_polysemous_training = False  # takes minutes, for a filter that is not used here
    return index


def _shake(sample: NDArray[np.float32], seed: int) -> None:
    """Add a little noise: if all residuals are the same, so are the codewords, and fast scan divides zero by zero."""
    rng = np.random.default_rng(seed)
    for start in range(0, len(sample), _BLOCK_ROWS):
        part = sample[start : start + _BLOCK_ROWS]
        part += rng.standard_normal(part.shape, np.float32) * np.float32(_NOISE)


def _build_shard(
    vectors: StoredVectors, span: range, training: Artifact, store: ArtifactStore, key: ArtifactKey
) -> Artifact:
    started = time.monotonic()
    index = faiss.read_index(str(training.path / FILE))
    for start in range(span.start, span.stop, _BLOCK_ROWS):
        index.add(vectors.block(start, min(start + _BLOCK_ROWS, span.stop)))
    with store.publish(key) as staging:
        _write(index, staging.path / FILE)
        found = _verify(staging.path / FILE, index, vectors, span)
        staging.summary |= {"rows": len(span), "self_found": found, "seconds": round(time.monotonic() - started, 3)}
    return _published(store, key)


def _verify(path: Path, index: Any, vectors: StoredVectors, span: range) -> int:
    """Compare the file with the index that was written; return how many of eight of its rows found themselves."""
    again = faiss.read_index(str(path))
    if again.ntotal != len(span) or index.ntotal != len(span):
        raise ArtifactError(f"{path} holds {again.ntotal:,} vectors, not {len(span):,}")
    rows = np.unique(np.linspace(0, len(span) - 1, _TRIED_ROWS, dtype=np.int64))
    queries = gather(vectors, rows + span.start).astype(np.float32)
    count = min(_TRIED_NEIGHBORS, len(span))
    (scores, ids), (scores_again, ids_again) = index.search(queries, count), again.search(queries, count)
    if not np.array_equal(ids, ids_again) or not np.array_equal(scores, scores_again, equal_nan=True):
        raise ArtifactError(f"{path} answers differently from the index that was written to it")
    found = int((ids == rows[:, None]).any(axis=1).sum())
    if 2 * found < len(rows):
        _log.warning("only %d of %d vectors of index rows %d-%d find themselves", found, len(rows), span[0], span[-1])
    return found


def _write(index: Any, path: Path) -> None:
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        if "No space left" in str(error):  # FAISS says it in words only
            raise OSError(errno.ENOSPC, "no space left", str(path)) from error
        raise


def _read(path: Path, kind: CodeKind) -> Any:
    mapped = 0 if kind is CodeKind.PQ_FASTSCAN else faiss.IO_FLAG_MMAP  # FAISS cannot map its packed blocks
    try:
        return faiss.read_index(str(path), mapped | faiss.IO_FLAG_READ_ONLY)
    except RuntimeError as error:
        raise ArtifactError(f"{path} is not readable; delete {path.parent} to make it again") from error


def _published(store: ArtifactStore, key: ArtifactKey) -> Artifact:
    artifact = store.find(key)
    if artifact is None:
        raise ArtifactError(f"{key.kind} {key.digest} vanished while it was used")
    return artifact
