"""The vectors of a corpus: one artifact a shard and encoder, so the same sentences are never embedded twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bitextmine.artifacts import Artifact, ArtifactKey, ArtifactStore
from bitextmine.corpus import Corpus, Shard
from bitextmine.encoders import Encoder
from bitextmine.errors import EncoderError, MismatchError
from bitextmine.progress import Progress, silent

KIND = "embeddings"
VECTORS = "vectors.npy"


class Vectors(Protocol):
    """Rows of vectors that can be read a block at a time."""

    @property
    def dims(self) -> int: ...

    def __len__(self) -> int: ...

    def block(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows start to stop as C-contiguous float32 (stop - start, dims), each of unit length (or zero)."""


class Embeddings:
    """The vectors of a corpus as float16 on disk, (rows, dims), memory-mapped shard by shard."""

    def __init__(self, shards: Sequence[Artifact], dims: int) -> None:
        self._paths = [shard.path / VECTORS for shard in shards]
        self._ends = list(accumulate(int(shard.summary["rows"]) for shard in shards))
        self.dims = dims
        self.digest = sha256("".join(shard.digest for shard in shards).encode()).hexdigest()[:32]
        self.truncated = sum(int(shard.summary["truncated"]) for shard in shards)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def block(self, start: int, stop: int) -> NDArray[np.float32]:
        """See `Vectors.block`; float16's rounding of the length is undone, so products of rows are cosines."""
        parts = []
        begin = 0
        for path, end in zip(self._paths, self._ends, strict=True):
            if begin < stop and start < end:
                shard = np.load(path, mmap_mode="r", allow_pickle=False)
                parts.append(shard[max(start - begin, 0) : stop - begin])
            begin = end
        return unit_rows(np.concatenate(parts) if parts else np.empty((0, self.dims), np.float16))


def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows scaled to unit length, (n, dims) C-contiguous float32; zero rows stay zero."""
    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    return scaled


def embed(
    corpus: Corpus, encoder: Encoder, store: ArtifactStore, *, stage: str = "embed", progress: Progress = silent
) -> Embeddings:
    """The corpus's vectors: shards that exist are reused, the rest encoded. Progress counts sentences.

    Raises:
        EncoderError: the encoder gave something that is not a finite vector.
        MismatchError: a stored shard does not fit its text.
    """
    shards = []
    for shard in corpus.shards:
        key = ArtifactKey(KIND, {"encoder": encoder.signature}, {"sentences": shard.digest})
        if store.find(key) is None:
            report = _from(shard.start, len(corpus), stage, progress)
            _embed_shard(corpus, shard, encoder, store, key, report)
        shards.append(_checked(store.find(key), shard, key))
        progress(stage, shard.stop, len(corpus))
    return Embeddings(shards, encoder.dims)


def _from(start: int, total: int, stage: str, progress: Progress) -> Callable[[int], None]:
    return lambda done: progress(stage, start + done, total)


def _embed_shard(
    corpus: Corpus,
    shard: Shard,
    encoder: Encoder,
    store: ArtifactStore,
    key: ArtifactKey,
    report: Callable[[int], None],
) -> None:
    started = time.monotonic()
    encoding = encoder.encode_counted(corpus.shard_texts(shard), progress=report)
    if not np.isfinite(encoding.vectors).all():
        raise EncoderError(f"encoder {encoder.name} gave vectors that are not finite; run encoders verify")
    with store.publish(key) as staging:
        write_npy(staging.path / VECTORS, unit_rows(encoding.vectors).astype(np.float16))  # no length overflows float16
        staging.summary |= {
            "rows": len(encoding.vectors),
            "dims": encoder.dims,
            "truncated": encoding.truncated,
            "encoder": encoder.name,
            "seconds": round(time.monotonic() - started, 3),
        }


def _checked(artifact: Artifact | None, shard: Shard, key: ArtifactKey) -> Artifact:
    rows = shard.stop - shard.start
    if artifact is None or int(artifact.summary["rows"]) != rows:
        raise MismatchError(f"embeddings {key.digest} do not hold the {rows:,} sentences of shard {shard.number}")
    return artifact


def delete_embeddings(store: ArtifactStore, shards: set[str]) -> None:
    """Delete the vectors, by whatever encoder, of the shards with these digests."""
    for artifact in store.list(KIND):
        if artifact.manifest["inputs"]["sentences"] in shards:
            store.delete(KIND, artifact.digest)


def write_npy(path: Path, array: NDArray[np.generic]) -> None:
    """Save an array so that a full disk is an OSError with its number (NumPy's own writer drops it)."""
    rows = np.ascontiguousarray(array)
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, np.lib.format.header_data_from_array_1_0(rows))
        stream.write(rows.reshape(-1).data.cast("B"))  # a view with no rows can be cast when it is flat only
