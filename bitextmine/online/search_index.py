"""The index that a corpus is searched with online: built once, found again by the vectors' digest alone.

What an index is depends on the memory it was built with, which a reader does not know. So an artifact of its own names
the specification and the parts; its key is nothing but the vectors.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bitextmine.artifacts import Artifact, ArtifactKey, ArtifactStore
from bitextmine.embeddings import Embeddings
from bitextmine.errors import ArtifactError
from bitextmine.progress import Progress, silent
from bitextmine.search.index_shards import KIND as SHARD_KIND
from bitextmine.search.index_shards import TRAINING_KIND, ShardedIndex, build_index
from bitextmine.search.index_spec import CodeKind, IndexSpec, choose_spec, make_spec

KIND = "search-index"
FILE = "index.json"
MOST_LOADED_BYTES = 1 << 30  # of an index that is loaded to be searched; larger ones are mapped
_log = logging.getLogger(__name__)


def online_spec(rows: int, dims: int, memory_bytes: int) -> IndexSpec:
    """The index of so many vectors: loaded whole while that is little, mapped where it is much.

    Raises:
        ParameterError: the memory is too little to train it.
    """
    spec = choose_spec(rows, dims, memory_bytes)
    if spec.kind is CodeKind.PQ_FASTSCAN and rows * spec.bytes_per_vector > MOST_LOADED_BYTES:
        return make_spec(CodeKind.RABITQ, dims, nlist=spec.nlist, training_rows=spec.training_rows)
    return spec


def build_search_index(
    vectors: Embeddings, store: ArtifactStore, *, memory_bytes: int, threads: int = 1, progress: Progress = silent
) -> ShardedIndex:
    """The search index of these vectors, which is made where there is none; shards that exist are reused.

    Raises:
        ParameterError: the memory is too little to train it.
        ArtifactError: a shard reads back differently from what was written.
        DiskFullError: the disk is full; the shards finished before stay.
    """
    if (there := find_search_index(vectors, store)) is not None:
        return there
    spec = online_spec(len(vectors), vectors.dims, memory_bytes)
    index = build_index(vectors, vectors.digest, spec, store, threads=threads, progress=progress)
    key = _key(vectors.digest)
    store.delete(KIND, key.digest)  # one that names parts which are no more
    with store.publish(key) as staging:
        parts = {"training": index.training.digest, "shards": [shard.digest for shard in index.shards]}
        (staging.path / FILE).write_text(json.dumps({"spec": asdict(spec), **parts}), encoding="utf-8")
        staging.summary |= {
            "rows": len(vectors),
            "kind": spec.kind.value,
            "cells": spec.nlist,
            "probes": spec.nprobe,
            "bytes": index.file_bytes,
            "seconds": round(index.seconds, 3),
        }
    return index


def find_search_index(vectors: Embeddings, store: ArtifactStore) -> ShardedIndex | None:
    """The search index of these vectors, if there is one and its parts are whole."""
    try:
        if (artifact := describe_search_index(vectors.digest, store)) is None:
            return None
        content = json.loads((artifact.path / FILE).read_bytes())
        spec = _spec(content["spec"])
        training = _part(store, TRAINING_KIND, content["training"])
        shards = [_part(store, SHARD_KIND, digest) for digest in content["shards"]]
    except (ArtifactError, OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("the search index of vectors %s cannot be used: %s", vectors.digest, error)
        return None
    return ShardedIndex(spec, training, shards, len(vectors))


def describe_search_index(vectors_digest: str, store: ArtifactStore) -> Artifact | None:
    """The artifact that names an index's parts; its summary says how large it is.

    Raises:
        ArtifactError: it is damaged.
    """
    return store.find(_key(vectors_digest))


def _key(vectors_digest: str) -> ArtifactKey:
    return ArtifactKey(KIND, {}, {"vectors": vectors_digest})


def _spec(fields: Mapping[str, Any]) -> IndexSpec:
    return IndexSpec(**{**fields, "kind": CodeKind(fields["kind"])})


def _part(store: ArtifactStore, kind: str, digest: str) -> Artifact:
    if (artifact := store.open(kind, digest)) is None:
        raise ArtifactError(f"its {kind} {digest} is not there")
    return artifact
