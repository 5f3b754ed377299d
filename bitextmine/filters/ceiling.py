"""Margins that are too good."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bitextmine.filters.pair_filter import Bounded, PairBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling(Bounded):
    """Drops pairs with a margin above the ceiling: the highest are often copies, names and numbers. None by default."""

    name: ClassVar[str] = "ceiling"

    def fitted(self, batches: Iterable[PairBatch]) -> Ceiling:
        return self

    def score(self, pairs: PairBatch) -> NDArray[np.float64]:
        return np.asarray(pairs.margin, np.float64)

    def reason(self, score: float) -> str:
        return f"the margin of {score:.4f} is above the ceiling of {self.most:g}"
