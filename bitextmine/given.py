"""Vectors that were made elsewhere, in place of an encoder: checked against the text that they are given with."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np

from bitextmine.artifacts import ArtifactKey, ArtifactStore
from bitextmine.corpus import Corpus, Shard
from bitextmine.embeddings import KIND, VECTORS, Embeddings, checked, embed, write_npy
from bitextmine.encoders import Encoder
from bitextmine.errors import InputError
from bitextmine.line_vectors import LineVectors
from bitextmine.progress import Progress, silent

NAME = "vectors from file"  # what provenance says in an encoder's place


class GivenVectors:
    """The vectors of both sides of a mining run: a .npy file each, with a row for each line of its text file."""

    name = NAME

    def __init__(self, src: Path, tgt: Path) -> None:
        """Open both files.

        Raises:
            InputError: `vectors-unreadable`, `vectors-shape`; `vectors-dims`: the sides have different dimensions.
        """
        self.src, self.tgt = LineVectors(src), LineVectors(tgt)
        if self.src.dims != self.tgt.dims:
            message = f"{src} has {self.src.dims} dimensions, {tgt} has {self.tgt.dims}; they must be of one encoder"
            raise InputError(message, code="vectors-dims")

    @property
    def dims(self) -> int:
        return self.src.dims

    @property
    def signature(self) -> str:
        """32 hexadecimal digits over the content of both files."""
        return sha256(f"{self.src.sha256} {self.tgt.sha256}".encode()).hexdigest()[:32]

    def check(self, src: Corpus, tgt: Corpus) -> None:
        """
        Raises:
            InputError: `vectors-count`: a file has not as many rows as its text has lines.
        """
        for vectors, corpus in ((self.src, src), (self.tgt, tgt)):
            lines = int(corpus.summary["lines"])
            if len(vectors) != lines:
                message = (
                    f"{vectors.path} has {len(vectors):,} rows, and {corpus.source} has {lines:,} lines; there must be "
                    "a row for each line, also for blank and repeated ones"
                )
                raise InputError(message, code="vectors-count")


def sides(source: Encoder | GivenVectors) -> tuple[Encoder | LineVectors, Encoder | LineVectors]:
    """What the source's vectors, and the target's, come from."""
    return (source.src, source.tgt) if isinstance(source, GivenVectors) else (source, source)


def vectors_of(
    corpus: Corpus,
    source: Encoder | LineVectors,
    store: ArtifactStore,
    *,
    stage: str = "embed",
    progress: Progress = silent,
) -> Embeddings:
    """The corpus's vectors, by an encoder or from a file.

    Raises:
        EncoderError, MismatchError: see `embed`.
        InputError: see `adopt`.
    """
    if isinstance(source, LineVectors):
        return adopt(corpus, source, store, stage=stage, progress=progress)
    return embed(corpus, source, store, stage=stage, progress=progress)


def adopt(
    corpus: Corpus, vectors: LineVectors, store: ArtifactStore, *, stage: str = "embed", progress: Progress = silent
) -> Embeddings:
    """The vectors of a corpus's sentences, each that of its first line, as embeddings; shards that exist are reused.

    They are named by the file's SHA-256 and the corpus: in another one the same sentences have other lines.

    Raises:
        InputError: `vectors-not-finite`; `vectors-all-zero`; `input-changed`: the file was written to meanwhile.
        DiskFullError: no room; what was finished before stays.
    """
    inputs = {"file": vectors.sha256, "corpus": corpus.digest}
    shards = []
    for shard in corpus.shards:
        key = ArtifactKey(KIND, {"encoder": NAME}, inputs | {"sentences": shard.digest})
        if store.find(key) is None:
            _adopt_shard(corpus, shard, vectors, store, key)
        shards.append(checked(store.find(key), shard, key, vectors.dims))
        progress(stage, shard.stop, len(corpus))
    embeddings = Embeddings(shards, len(corpus), vectors.dims, corpus.shard_rows)
    if embeddings.zeros == len(corpus):
        raise InputError(f"{vectors.path} holds zeros only, for all sentences", code="vectors-all-zero")
    return embeddings


def _adopt_shard(corpus: Corpus, shard: Shard, vectors: LineVectors, store: ArtifactStore, key: ArtifactKey) -> None:
    lines = corpus.shard_column("line", shard).to_numpy(zero_copy_only=False).astype(np.int64)
    rows = vectors.of_lines(lines)
    with store.publish(key) as staging:
        write_npy(staging.path / VECTORS, rows.astype(np.float16))
        vectors.check_unchanged()  # or the digest would name other rows
        staging.summary |= {
            "rows": len(rows),
            "dims": vectors.dims,
            "truncated": 0,
            "zeros": int((~rows.any(axis=1)).sum()),
            "encoder": NAME,
            "file": vectors.path.name,
            "sha256": vectors.sha256,
        }
