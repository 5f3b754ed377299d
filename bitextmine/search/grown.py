"""Neighbours that were found before a side grew: looked for, and made sure of, so that only new rows are searched.

Neighbours are an artifact named by the digests of both sides' vectors. Beside them lies a record of the shards that
these vectors were in. Neighbours of other vectors with the same k are of use where all of these vectors are the first
rows of today's, bit by bit, in the same order; how the corpus came to be, by appending or as another, longer file, does
not matter. Post-processed vectors are others when the corpus has grown, since what is fitted to it is, so nothing is
known of those; and neither of approximate searches, whose cells and indexes would not be those of a new search.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sized
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bitextmine.artifacts import Artifact, ArtifactStore
from bitextmine.corpus import Corpus
from bitextmine.embeddings import VECTORS, Embeddings, embeddings_key
from bitextmine.errors import ArtifactError, MismatchError
from bitextmine.search.known import NOTHING, Known
from bitextmine.search.rescore import Scorer
from bitextmine.search.stored import BACKWARD, FORWARD, KIND, load_neighbors

RECORD = "vectors.json"
_BLOCK_ROWS = 16_384
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Former:
    """What is known of a search, and the neighbours that it is known from."""

    digest: str
    known: Known

    @property
    def rows(self) -> tuple[int, int]:
        """Of the source and of the target, that are not compared with each other again."""
        return len(self.known.forward), len(self.known.backward)

    def record(self) -> dict[str, Any]:
        """What a summary says of it."""
        return {"neighbors": self.digest, "src_rows": self.rows[0], "tgt_rows": self.rows[1]}


NONE = Former("", NOTHING)


def write_record(directory: Path, src: Embeddings, tgt: Embeddings) -> None:
    """Note, beside neighbours, which shards the vectors of both sides were in."""
    sides = {"src": src, "tgt": tgt}
    record = {
        name: [[made.path.parent.name, made.digest, int(made.summary["rows"])] for made in side.artifacts]
        for name, side in sides.items()
    }
    (directory / RECORD).write_text(json.dumps(record), encoding="utf-8")


def find_former(
    src: Embeddings, tgt: Embeddings, parameters: Mapping[str, Any], store: ArtifactStore, *, threads: int = 1
) -> Former:
    """The neighbours, searched with these parameters, that spare the most of a search of these vectors; or NONE.

    What is damaged, or was deleted meanwhile, is of no use and can be done without.
    """
    for artifact in _candidates(src, tgt, parameters, store):
        with suppress(ArtifactError, MismatchError, OSError, ValueError, TypeError, KeyError):
            record = json.loads((artifact.path / RECORD).read_bytes())
            if not (_begins_with(src, record["src"], store) and _begins_with(tgt, record["tgt"], store)):
                continue
            artifact.verify()
            known = Known(load_neighbors(artifact, FORWARD), load_neighbors(artifact, BACKWARD))
            known.check(len(src), len(tgt), int(parameters["k"]))
            if known.holds(Scorer(src, tgt, threads)):
                return Former(artifact.digest, known)
            _log.info("neighbors %s have other cosines than are computed here, and are not used", artifact.digest)
    return NONE


def foresee(
    src: Corpus, tgt: Corpus, signature: str, parameters: Mapping[str, Any], store: ArtifactStore
) -> tuple[int, int]:
    """How many first rows of each side `find_former` will know of each other, as far as can be told without vectors.

    Args:
        signature: of the encoder.
    """
    for artifact in _candidates(src, tgt, parameters, store):
        with suppress(OSError, ValueError, TypeError, KeyError):
            record = json.loads((artifact.path / RECORD).read_bytes())
            if _may_begin_with(src, record["src"], signature) and _may_begin_with(tgt, record["tgt"], signature):
                return int(artifact.summary["src_rows"]), int(artifact.summary["tgt_rows"])
    return 0, 0


def _may_begin_with(corpus: Corpus, shards: list[list[Any]], signature: str) -> bool:
    """Whether a corpus begins with the sentences that these shards of embeddings are of."""
    if len(shards) > len(corpus.shards):
        return False
    pairs = list(zip(shards, corpus.shards, strict=False))
    if any(digest != embeddings_key(shard.digest, signature).digest for (_, digest, _), shard in pairs[:-1]):
        return False
    (_, last, rows), shard = pairs[-1]
    same = [(shard.digest, shard.stop - shard.start), *corpus.beginnings(shard)[int(rows) - 1 : int(rows)]]
    return any(last == embeddings_key(digest, signature).digest for digest, count in same if count == rows)


def _candidates(src: Sized, tgt: Sized, parameters: Mapping[str, Any], store: ArtifactStore) -> Iterator[Artifact]:
    """Neighbours of sides that may be the beginnings of these, the largest first."""
    found = []
    for artifact in store.list(KIND):
        rows = int(artifact.summary.get("src_rows", 0)), int(artifact.summary.get("tgt_rows", 0))
        small = min(rows) < int(parameters["k"]) or rows[0] > len(src) or rows[1] > len(tgt)
        if not small and artifact.parameters == parameters and (artifact.path / RECORD).is_file():
            found.append((rows[0] * rows[1], artifact.digest, artifact))
    yield from (artifact for *_, artifact in sorted(found, key=lambda each: each[:2], reverse=True))


def _begins_with(side: Embeddings, shards: list[list[Any]], store: ArtifactStore) -> bool:
    """Whether the rows of these shards, as kind, digest and rows, are the first of a side, to the last bit."""
    start = 0
    for number, (kind, digest, rows) in enumerate(shards):
        same = number < len(side.artifacts) and side.artifacts[number].digest == digest
        if not (same and start == number * side.shard_rows) and not _same_rows(side, start, rows, kind, digest, store):
            return False
        start += int(rows)
    return start <= len(side)


def _same_rows(side: Embeddings, start: int, rows: int, kind: str, digest: str, store: ArtifactStore) -> bool:
    former = np.load(store.path(kind, digest) / VECTORS, mmap_mode="r", allow_pickle=False)
    if former.shape != (rows, side.dims) or former.dtype != np.float16 or start + rows > len(side):
        return False
    for at in (0, *range(1, rows, _BLOCK_ROWS)):  # one row tells most that are others
        stop = min(at + _BLOCK_ROWS, rows) if at else 1
        if former[at:stop].tobytes() != side.halves(start + at, start + stop).tobytes():
            return False
    return True
