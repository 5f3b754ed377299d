"""The vectors of a corpus: one artifact a shard and encoder, so the same sentences are never embedded twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitextmine.artifacts import Artifact, ArtifactKey, ArtifactStore
from bitextmine.corpus import Corpus, Shard
from bitextmine.encoders import Encoder
from bitextmine.errors import EncoderError, MismatchError
from bitextmine.progress import Progress, silent
from bitextmine.vectors import StoredVectors, unit_rows

KIND = "embeddings"
VECTORS = "vectors.npy"


class Embeddings(StoredVectors):
    """The vectors of a corpus: float16 on disk, a file a shard."""

    def __init__(self, shards: Sequence[Artifact], rows: int, dims: int, shard_rows: int) -> None:
        super().__init__([shard.path / VECTORS for shard in shards], rows, dims, shard_rows)
        self.artifacts = tuple(shards)
        self.digest = sha256("".join(shard.digest for shard in shards).encode()).hexdigest()[:32]
        self.truncated = sum(int(shard.summary["truncated"]) for shard in shards)
        self.zeros = sum(int(shard.summary.get("zeros", 0)) for shard in shards)  # rows of vectors that were given

    def origin(self, side: str) -> dict[str, object]:
        """What a summary says of one side's vectors: how many were cut or are zero, and what made them.

        That is the `provider`, as ONNX Runtime names it, or the `file` that held them and its `sha256`.
        """
        names = ("provider", "file", "sha256")
        found = {name: sorted({str(made.summary.get(name, "")) for made in self.artifacts} - {""}) for name in names}
        made_by = {name: ", ".join(values) for name, values in found.items() if values}
        return {f"{side}_truncated": self.truncated, f"{side}_zeros": self.zeros, f"{side}_vectors": made_by}


def embed(
    corpus: Corpus, encoder: Encoder, store: ArtifactStore, *, stage: str = "embed", progress: Progress = silent
) -> Embeddings:
    """The corpus's vectors: shards that exist are reused, the rest encoded. Progress counts the sentences of the rest.

    Raises:
        EncoderError: the encoder gave something that is not a finite vector.
        MismatchError: a stored shard does not fit its text.
    """
    keys = [ArtifactKey(KIND, {"encoder": encoder.signature}, {"sentences": shard.digest}) for shard in corpus.shards]
    missing = [(shard, key) for shard, key in zip(corpus.shards, keys, strict=True) if store.find(key) is None]
    done, total = 0, sum(shard.stop - shard.start for shard, _ in missing)
    for shard, key in missing:
        if store.find(key) is None:  # another process may have made it meanwhile
            _embed_shard(corpus, shard, encoder, store, key, _from(done, total, stage, progress))
        done += shard.stop - shard.start
        progress(stage, done, total)
    if not missing:
        progress(stage, len(corpus), len(corpus))
    shards = [
        checked(store.find(key), shard, key, encoder.dims) for shard, key in zip(corpus.shards, keys, strict=True)
    ]
    return Embeddings(shards, len(corpus), encoder.dims, corpus.shard_rows)


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
            "provider": encoder.provider,
            "seconds": round(time.monotonic() - started, 3),
        }


def checked(artifact: Artifact | None, shard: Shard, key: ArtifactKey, dims: int) -> Artifact:
    """The artifact, which holds a row of so many dims for each sentence of the shard.

    Raises:
        MismatchError: it does not, or there is none.
    """
    rows = shard.stop - shard.start
    if artifact is None or int(artifact.summary["rows"]) != rows:
        raise MismatchError(f"embeddings {key.digest} do not hold the {rows:,} sentences of shard {shard.number}")
    if (found := int(artifact.summary.get("dims", dims))) != dims:
        raise MismatchError(f"embeddings {key.digest} have {found} dimensions, not {dims}; delete {artifact.path}")
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
