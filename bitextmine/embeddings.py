"""The vectors of a corpus: one artifact a shard and encoder, so the same sentences are never embedded twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitextmine.artifacts import MANIFEST, Artifact, ArtifactKey, ArtifactStore, Staging
from bitextmine.corpus import Corpus, Shard
from bitextmine.encoders import Encoder
from bitextmine.errors import ArtifactError, EncoderError, MismatchError
from bitextmine.progress import Progress, silent
from bitextmine.vectors import StoredVectors, unit_rows

KIND = "embeddings"
VECTORS = "vectors.npy"
INDEX_KINDS = ("search-index", "index", "index-training", "candidates")  # the first names the others: it goes first


class Embeddings(StoredVectors):
    """The vectors of a corpus: float16 on disk, a file a shard."""

    def __init__(self, shards: Sequence[Artifact], rows: int, dims: int, shard_rows: int) -> None:
        super().__init__([shard.path / VECTORS for shard in shards], rows, dims, shard_rows)
        self.artifacts = tuple(shards)
        self.digest = _joined(shard.digest for shard in shards)
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

    Of a shard that has grown, the vectors of what it has grown from are taken over where they exist, bit by bit; so
    are those of a shard of another corpus, such as that of a shorter file, that it begins with.

    Raises:
        EncoderError: the encoder gave something that is not a finite vector.
        MismatchError: a stored shard does not fit its text.
    """
    keys = _keys(corpus, encoder.signature)
    missing = [(shard, key) for shard, key in zip(corpus.shards, keys, strict=True) if store.find(key) is None]
    begun = [_known(corpus, shard, encoder, store) for shard, _ in missing]
    done, total = 0, sum(shard.stop - shard.start for shard, _ in missing) - sum(known.rows for known in begun)
    for (shard, key), known in zip(missing, begun, strict=True):
        if store.find(key) is None:  # another process may have made it meanwhile
            texts = corpus.shard_texts(shard)[known.rows :]
            _embed_shard(texts, known, encoder, store.publish(key), _from(done, total, stage, progress))
        done += shard.stop - shard.start - known.rows
        progress(stage, done, total)
    if not missing:
        progress(stage, len(corpus), len(corpus))
    shards = [
        checked(store.find(key), shard, key, encoder.dims) for shard, key in zip(corpus.shards, keys, strict=True)
    ]
    return Embeddings(shards, len(corpus), encoder.dims, corpus.shard_rows)


def embed_shard(
    corpus: Corpus,
    number: int,
    encoder: Encoder,
    store: ArtifactStore,
    *,
    stage: str = "embed",
    progress: Progress = silent,
) -> int:
    """As `embed`, one shard only; returns how many sentences were encoded.

    Raises:
        EncoderError: as `embed`.
    """
    shard, key = corpus.shards[number], _keys(corpus, encoder.signature)[number]
    if store.find(key) is not None:
        return 0
    known = _known(corpus, shard, encoder, store)
    texts = corpus.shard_texts(shard)[known.rows :]
    _embed_shard(texts, known, encoder, store.publish(key), _from(0, len(texts), stage, progress))
    return len(texts)


def unembedded_shards(corpus: Corpus, signature: str, store: ArtifactStore) -> list[Shard]:
    """The shards that have no vectors by the encoder with this signature."""
    keys = _keys(corpus, signature)
    there = [(store.path(KIND, key.digest) / MANIFEST).is_file() for key in keys]
    return [shard for shard, found in zip(corpus.shards, there, strict=True) if not found]


def find_embeddings(corpus: Corpus, encoder: Encoder, store: ArtifactStore) -> Embeddings | None:
    """The corpus's vectors by this encoder, if there are those of all its shards; encodes nothing.

    Raises:
        MismatchError: a stored shard does not fit its text.
        ArtifactError: one is damaged.
    """
    shards = []
    for shard, key in zip(corpus.shards, _keys(corpus, encoder.signature), strict=True):
        if (found := store.find(key)) is None:
            return None
        shards.append(checked(found, shard, key, encoder.dims))
    return Embeddings(shards, len(corpus), encoder.dims, corpus.shard_rows)


def count_unembedded(corpus: Corpus, signature: str, store: ArtifactStore) -> int:
    """Sentences in shards without vectors by the encoder with this signature: the most that `embed` would encode."""
    return sum(shard.stop - shard.start for shard in unembedded_shards(corpus, signature, store))


def embeddings_digest(corpus: Corpus, signature: str) -> str:
    """What `Embeddings.digest` is of the corpus's vectors by the encoder with this signature, whether they exist."""
    return _joined(key.digest for key in _keys(corpus, signature))


def _keys(corpus: Corpus, signature: str) -> list[ArtifactKey]:
    return [embeddings_key(shard.digest, signature) for shard in corpus.shards]


def embeddings_key(sentences: str, signature: str) -> ArtifactKey:
    """Of the vectors of a shard with this digest, by the encoder with this signature."""
    return ArtifactKey(KIND, {"encoder": signature}, {"sentences": sentences})


def _joined(digests: Iterable[str]) -> str:
    return sha256("".join(digests).encode()).hexdigest()[:32]


def _from(start: int, total: int, stage: str, progress: Progress) -> Callable[[int], None]:
    return lambda done: progress(stage, start + done, total)


@dataclass(frozen=True, slots=True)
class _Known:
    """Vectors of a shard's first sentences, from the embeddings of what it has grown from; or of none of them."""

    vectors: NDArray[np.float16]  # (rows, dims)
    truncated: int = 0
    providers: frozenset[str] = frozenset()

    @property
    def rows(self) -> int:
        return len(self.vectors)


def _known(corpus: Corpus, shard: Shard, encoder: Encoder, store: ArtifactStore) -> _Known:
    for digest, rows in shard.grown_from or _beginnings(corpus, shard, encoder.signature, store):
        with suppress(ArtifactError, OSError, ValueError):  # what is damaged is of no use, and can be done without
            former = store.find(embeddings_key(digest, encoder.signature))
            if former is not None and (vectors := np.load(former.path / VECTORS)).shape == (rows, encoder.dims):
                summary = former.summary
                return _Known(vectors, int(summary["truncated"]), frozenset(str(summary["provider"]).split(", ")))
    return _Known(np.empty((0, encoder.dims), np.float16))


def _beginnings(corpus: Corpus, shard: Shard, signature: str, store: ArtifactStore) -> list[tuple[str, int]]:
    """Shards that have vectors and that this one begins with, as digest and rows, the largest first.

    Other corpora may have left them, such as one of the same file before lines were added to it. They are looked for
    where a corpus begins to have no vectors: in a shard without a forerunner, or after one that has them.
    """
    there = store.digests(KIND)

    def has_vectors(digest: str) -> bool:
        return embeddings_key(digest, signature).digest in there

    if not there or (shard.number and not has_vectors(corpus.shards[shard.number - 1].digest)):
        return []
    return [each for each in corpus.beginnings(shard) if has_vectors(each[0])][::-1]


def _embed_shard(
    texts: Sequence[str],
    known: _Known,
    encoder: Encoder,
    publishing: AbstractContextManager[Staging],
    report: Callable[[int], None],
) -> None:
    started = time.monotonic()
    encoding = encoder.encode_counted(texts, progress=report)
    if not np.isfinite(encoding.vectors).all():
        raise EncoderError(f"encoder {encoder.name} gave vectors that are not finite; run encoders verify")
    vectors = unit_rows(encoding.vectors).astype(np.float16)  # no length overflows float16
    with publishing as staging:
        write_npy(staging.path / VECTORS, np.concatenate([known.vectors, vectors]))
        staging.summary |= {
            "rows": known.rows + len(vectors),
            "dims": encoder.dims,
            "truncated": known.truncated + encoding.truncated,
            "encoder": encoder.name,
            "provider": ", ".join(sorted(known.providers | {encoder.provider})),
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


def digests_of_vectors(store: ArtifactStore, shards: Sequence[str]) -> set[str]:
    """`Embeddings.digest` of the vectors, by whatever encoder or from whatever file, of just these shards in order."""
    made: dict[str, dict[str, str]] = {}  # by what made them, and then by shard
    for artifact in store.list(KIND):
        inputs = artifact.manifest["inputs"]
        if inputs["sentences"] in shards:
            origin = {**inputs, **artifact.parameters, "sentences": ""}
            made.setdefault(json.dumps(origin, sort_keys=True), {})[inputs["sentences"]] = artifact.digest
    return {_joined(found[shard] for shard in shards) for found in made.values() if found.keys() == set(shards)}


def delete_indexes(store: ArtifactStore, vectors: set[str]) -> None:
    """Delete all that searches keep of the vectors with these digests, but for the neighbours that they found."""
    for kind in INDEX_KINDS:
        for artifact in store.list(kind):
            if vectors.intersection(artifact.manifest["inputs"].values()):
                store.delete(kind, artifact.digest)


def write_npy(path: Path, array: NDArray[np.generic]) -> None:
    """Save an array so that a full disk is an OSError with its number (NumPy's own writer drops it)."""
    rows = np.ascontiguousarray(array)
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, np.lib.format.header_data_from_array_1_0(rows))
        stream.write(rows.reshape(-1).data.cast("B"))  # a view with no rows can be cast when it is flat only
