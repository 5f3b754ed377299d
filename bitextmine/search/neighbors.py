"""What every search gives: the k nearest of each row, with exact cosines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MISSING = -1  # FAISS's mark; the similarity beside it is finite garbage


@dataclass(frozen=True, slots=True)
class Neighbors:
    """The k nearest of each row: by falling similarity, equal ones by rising id, missing ones last."""

    ids: NDArray[np.int64]  # (n, k)
    sims: NDArray[np.float32]  # (n, k) cosine, higher is better; meaningless where ids is MISSING

    @classmethod
    def none(cls, n: int, k: int) -> Neighbors:
        """Nothing found for n rows."""
        return cls(np.full((n, k), MISSING, np.int64), np.full((n, k), -np.inf, np.float32))

    @property
    def found(self) -> NDArray[np.bool_]:
        return np.not_equal(self.ids, MISSING)

    @property
    def k(self) -> int:
        return int(self.ids.shape[1])

    def __len__(self) -> int:
        return len(self.ids)
