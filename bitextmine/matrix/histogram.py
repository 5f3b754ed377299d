"""Margins, counted in bins."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bitextmine.bitext import Bitext

BINS = 40
_DECIMALS = 6  # of an edge


@dataclass(frozen=True, slots=True)
class Histogram:
    """`counts` of pairs in bins of the same width between `edges`, which rise and of which there is one more."""

    edges: list[float]
    counts: list[int]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def margin_histogram(bitext: Bitext, bins: int = BINS) -> Histogram:
    """The margins of all pairs, from the lowest to the highest or a little further; no bins where there is no pair."""
    margins = bitext.table(["margin"]).column("margin").to_numpy().astype(np.float64)
    if not len(margins):
        return Histogram([], [])
    low, high = float(margins.min()), float(margins.max())
    narrowest = max(10**-_DECIMALS, 1e-9 * abs(low))  # a bin whose edges still differ when they are rounded
    high = max(high, low + bins * 2 * narrowest)
    counts, edges = np.histogram(margins, bins, (low, high))
    return Histogram([round(float(edge), _DECIMALS) for edge in edges], counts.tolist())
