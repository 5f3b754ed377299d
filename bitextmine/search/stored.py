"""Neighbours both ways, as the files of an artifact.

Its inputs are the digests of the source's and the target's vectors, its parameters say how they were searched.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitextmine.artifacts import Artifact
from bitextmine.embeddings import write_npy
from bitextmine.search.neighbors import Neighbors

KIND = "neighbors"
FORWARD, BACKWARD = "forward", "backward"
_PARTS = ("ids", "sims")


def write_neighbors(directory: Path, forward: Neighbors, backward: Neighbors) -> None:
    for direction, neighbors in ((FORWARD, forward), (BACKWARD, backward)):
        for part in _PARTS:
            write_npy(directory / f"{direction}.{part}.npy", getattr(neighbors, part))


def load_neighbors(artifact: Artifact, direction: str, rows: NDArray[np.int64] | None = None) -> Neighbors:
    """All neighbours of a direction, or those of some rows, for which no more is read than needed."""
    files = [artifact.path / f"{direction}.{part}.npy" for part in _PARTS]
    if rows is None:
        ids, sims = (np.load(file, allow_pickle=False) for file in files)
    else:
        ids, sims = (np.load(file, mmap_mode="r", allow_pickle=False)[rows] for file in files)
    return Neighbors(ids, sims)
