"""How near a method's neighbours and pairs come to those of the exact search in float32 (`faiss.knn`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from engine_peers import unit
from numpy.typing import NDArray

GOOD_MARGIN = 1.04  # WikiMatrix's threshold
TIE = 1e-6  # cosines nearer than this are equal
_BLOCK = 8192


@dataclass(frozen=True)
class Judge:
    """Holds the reference: the neighbours that `faiss.knn` found and the pairs mined from exact neighbours."""

    src: NDArray[np.float16]
    tgt: NDArray[np.float16]
    reference: Any  # of faiss.knn, the npz of engine_child
    pairs: NDArray[np.int64] | None  # as numbers src * targets + tgt; None where nothing exact searched all rows
    margins: NDArray[np.float32] | None  # theirs

    @classmethod
    def of(cls, directory: Path, reference: Path, pairs: Path | None) -> Judge:
        src, tgt = (np.load(directory / f"{side}.npy", mmap_mode="r") for side in ("src", "tgt"))
        if pairs is None:
            return cls(src, tgt, np.load(reference), None, None)
        mined = np.load(pairs)
        return cls(src, tgt, np.load(reference), numbers(mined, len(tgt)), mined["pairs_margin"])

    def identical_rows(self, found: Any) -> float | None:
        """Share of rows, both ways, whose neighbours are the exact ones; any of those that tie for a place will do.

        So a row counts when its ids are distinct, as many as there can be, and each as near, but for 1e-6, as the
        exact k-th. Only rows that both searched count; None where there are none.
        """
        same = total = 0
        for way, queries, base, column in (("forward", self.src, self.tgt, 0), ("backward", self.tgt, self.src, 1)):
            rows = int(min(found["rows"][column], self.reference["rows"][column]))
            ids, exact = found[f"{way}_ids"][:rows], self.reference[f"{way}_sims"][:rows]
            for start in range(0, rows, _BLOCK):
                part = slice(start, min(start + _BLOCK, rows))
                same += int(as_near(queries[part], base, ids[part], exact[part]).sum())
            total += rows
        return same / total if total else None

    def pairs_agreement(self, found: Any, least_margin: float = -np.inf) -> float | None:
        """Share of the exact pairs of at least this margin that were mined too."""
        if self.pairs is None or self.margins is None or not (self.margins >= least_margin).any():
            return None
        wanted = self.pairs[self.margins >= least_margin]
        return float(np.isin(wanted, numbers(found, len(self.tgt))).mean())


def as_near(
    queries: NDArray[np.float16], base: NDArray[np.float16], ids: NDArray[np.int64], exact: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Which rows' ids are distinct and all as near as the exact k-th, (n,)."""
    k = min(exact.shape[1], len(base))
    ids, worst = ids[:, :k], exact[:, k - 1]
    ordered = np.sort(ids, axis=1)
    distinct = (ordered[:, 0] >= 0) & (np.diff(ordered, axis=1) > 0).all(axis=1)
    near = unit(base[np.maximum(ids, 0).ravel()]).reshape(*ids.shape, -1)
    cosines = np.einsum("nd,nkd->nk", unit(queries), near)
    return distinct & (cosines >= worst[:, None] - TIE).all(axis=1)


def numbers(found: Any, targets: int) -> NDArray[np.int64]:
    return found["pairs_src"].astype(np.int64) * targets + found["pairs_tgt"]
