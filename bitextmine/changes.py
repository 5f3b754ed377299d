"""What changed from one bitext to the next, of corpora that grew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitextmine.artifacts import Artifact, ArtifactKey, ArtifactStore
from bitextmine.bitext import KIND, Bitext
from bitextmine.errors import ArtifactError, NotFoundError
from bitextmine.pairs_file import PairsReader, open_pairs

_COLUMNS = ("src_row", "tgt_row", "margin")
_SOURCES = ("src_source", "tgt_source")  # the names of files; a corpus that grew may have more of them


@dataclass(frozen=True, slots=True)
class Changes:
    """Numbers of pairs. A pair is the same where it is of the same rows of both corpora."""

    added: int  # that were not there before
    added_of_new: int  # of these, those with a sentence that is new
    removed: int  # that are no pairs any more: one of their sentences has found a better one, or their margin fell
    rescored: int  # that stay, with another margin, since their neighbourhoods are others
    unchanged: int


def changes(former: PairsReader, pairs: PairsReader, rows: tuple[int, int]) -> Changes:
    """Compare two bitexts. Memory: 12 bytes a pair of the former one; the other is streamed.

    Args:
        rows: of the source and of the target corpus, before they grew. Their rows keep their numbers.

    Raises:
        ArtifactError: a file is damaged.
    """
    parts = [_keyed(*columns) for columns in _columns(former)]
    keys = np.concatenate([key for key, _ in parts] or [np.empty(0, np.int64)])
    margins = np.concatenate([margin for _, margin in parts] or [np.empty(0, np.float32)])
    order = np.argsort(keys)
    keys, margins = keys[order], margins[order]
    added = added_of_new = rescored = unchanged = 0
    for src, tgt, margin in _columns(pairs):
        wanted, _ = _keyed(src, tgt, margin)
        places = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
        there = keys[places] == wanted if len(keys) else np.zeros(len(wanted), np.bool_)
        same = np.zeros(len(wanted), np.bool_)
        same[there] = margins[places[there]] == margin[there]
        added += int((~there).sum())
        added_of_new += int((~there & ((src >= rows[0]) | (tgt >= rows[1]))).sum())
        unchanged += int(same.sum())
        rescored += int((there & ~same).sum())
    return Changes(added, added_of_new, len(keys) - rescored - unchanged, rescored, unchanged)


def what_grew(store: ArtifactStore, key: ArtifactKey, neighbors: Artifact, path: Path, pairs: int) -> dict[str, Any]:
    """What a bitext's summary says of the time before its corpora grew.

    `reused` are the neighbours that were not searched again, and of how many rows of each side; `changes` what became
    of the pairs of the former bitext with the same parameters. Either is left out where there is no such thing.

    Args:
        key: of the new bitext, which these neighbours made.
        path: the file of its pairs, so many.
    """
    reused = neighbors.summary.get("reused") or {}  # those from before corpora could grow do not say
    if not reused.get("neighbors"):
        return {}
    if (former := _former(store, key, str(reused["neighbors"]))) is None:
        return {"reused": reused}
    try:
        with former.opened() as before, open_pairs(path, pairs) as after:
            found = changes(before, after, (int(reused["src_rows"]), int(reused["tgt_rows"])))
    except (ArtifactError, NotFoundError):  # the former one is damaged, or was deleted meanwhile
        return {"reused": reused}
    return {"reused": reused, "changes": {"since": former.digest, **asdict(found)}}


def _former(store: ArtifactStore, key: ArtifactKey, neighbors: str) -> Bitext | None:
    """The newest bitext of these neighbours that was made as the one with this key is."""

    def same(artifact: Artifact) -> bool:
        inputs, wanted = artifact.manifest["inputs"], dict(key.inputs)
        kept = {name for name in {*inputs, *wanted} if name not in {"src", "tgt", "neighbors"}}
        return all(inputs.get(name) == wanted.get(name) for name in kept) and _unnamed(artifact.parameters) == _unnamed(
            key.parameters
        )

    found = [each for each in store.list(KIND) if each.manifest["inputs"].get("neighbors") == neighbors and same(each)]
    return Bitext(found[-1]) if found else None


def _unnamed(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name not in _SOURCES}


def _columns(reader: PairsReader) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
    for batch in reader.batches(reader.span(), _COLUMNS):
        src, tgt, margin = (batch.column(name).to_numpy(zero_copy_only=False) for name in _COLUMNS)
        yield src, tgt, margin


def _keyed(
    src: NDArray[np.int64], tgt: NDArray[np.int64], margin: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows of both sides, below 2^31, as one number."""
    return src << 32 | tgt, margin
