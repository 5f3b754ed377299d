"""Vectors of a corpus after post-processing: the fit is an artifact, and so is each processed shard.

A fit is made on a seeded sample of one corpus's vectors; a shard's digest covers the fit's own. So whatever is searched
in or mined from processed vectors has another digest than what comes of the encoder's own, which stay as they are.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from bitextmine.artifacts import Artifact, ArtifactKey, ArtifactStore
from bitextmine.embeddings import KIND as EMBEDDINGS
from bitextmine.embeddings import VECTORS, Embeddings, write_npy
from bitextmine.encoders.postprocess import FittedPostProcessing, PostProcessing
from bitextmine.errors import ArtifactError
from bitextmine.progress import Progress, silent
from bitextmine.vectors import StoredVectors

FIT_KIND, SHARD_KIND = "postprocessing", "processed-embeddings"
FIT = "fit.npz"
SAMPLE_ROWS = 16_384  # 16 for each of 1,024 dimensions
_SEED = 0
_BLOCK_ROWS = 16_384


def postprocess(
    vectors: Embeddings,
    processing: PostProcessing,
    store: ArtifactStore,
    *,
    stage: str = "postprocess",
    progress: Progress = silent,
) -> Embeddings:
    """The same rows, processed by what is fitted on a sample of them; shards that exist are reused.

    Raises:
        ParameterError: `too-few-vectors`.
        DiskFullError: no room; what was finished before stays.
    """
    fit = _fit(vectors, processing, store)
    fitted = FittedPostProcessing.load(fit.path / FIT)
    parameters = {"steps": str(processing), "fit": fitted.digest}
    shards = []
    for number, source in enumerate(vectors.artifacts):
        key = ArtifactKey(SHARD_KIND, parameters, {"embeddings": source.digest, "fit": fit.digest})
        if store.find(key) is None:
            _process_shard(vectors.shard(number), source, fitted, store, key)
        shards.append(_found(store, key))
        progress(stage, min((number + 1) * vectors.shard_rows, len(vectors)), len(vectors))
    return Embeddings(shards, len(vectors), vectors.dims, vectors.shard_rows)


def sample_of(vectors: StoredVectors) -> NDArray[np.float32]:
    """Up to SAMPLE_ROWS rows in their order, always the same ones of the same vectors: (rows, dims)."""
    chosen = np.arange(len(vectors))
    if len(vectors) > SAMPLE_ROWS:
        chosen = np.sort(np.random.default_rng(_SEED).choice(len(vectors), SAMPLE_ROWS, replace=False))
    number, row = np.divmod(chosen, vectors.shard_rows)
    parts = [vectors.shard(int(shard))[row[number == shard]] for shard in np.unique(number)]
    return np.concatenate([np.empty((0, vectors.dims), np.float32), *parts]).astype(np.float32)


def delete_postprocessed(store: ArtifactStore, shards: set[str]) -> None:
    """Delete what was made of the embeddings, by whatever encoder, of the sentences of these shards.

    The fits go that a lost shard was part of, and everything that they were applied to.
    """
    lost = {made.digest for made in store.list(EMBEDDINGS) if made.manifest["inputs"]["sentences"] in shards}
    for kind in (FIT_KIND, SHARD_KIND):
        for artifact in store.list(kind):
            if lost.intersection(artifact.manifest["inputs"].values()):
                store.delete(kind, artifact.digest)
                lost.add(artifact.digest)


def _fit(vectors: Embeddings, processing: PostProcessing, store: ArtifactStore) -> Artifact:
    inputs = {f"embeddings-{number:06}": shard.digest for number, shard in enumerate(vectors.artifacts)}
    key = ArtifactKey(FIT_KIND, {"steps": str(processing), "sample": SAMPLE_ROWS, "seed": _SEED}, inputs)
    if store.find(key) is None:
        sample = sample_of(vectors)
        fitted = processing.fit(sample, of="the corpus")
        with store.publish(key) as staging:
            fitted.save(staging.path / FIT)
            staging.summary |= {"rows": len(sample), "dims": vectors.dims, "fit": fitted.digest}
    return _found(store, key)


def _process_shard(
    rows: NDArray[np.float16], source: Artifact, fitted: FittedPostProcessing, store: ArtifactStore, key: ArtifactKey
) -> None:
    started = time.monotonic()
    processed = np.empty(rows.shape, np.float16)
    for start in range(0, len(rows), _BLOCK_ROWS):
        processed[start : start + _BLOCK_ROWS] = fitted.apply(rows[start : start + _BLOCK_ROWS])
    with store.publish(key) as staging:
        write_npy(staging.path / VECTORS, processed)
        staging.summary |= {**source.summary, "seconds": round(time.monotonic() - started, 3)}


def _found(store: ArtifactStore, key: ArtifactKey) -> Artifact:
    artifact = store.find(key)
    if artifact is None:
        raise ArtifactError(f"{key.kind} {key.digest} vanished after it was published")
    return artifact
