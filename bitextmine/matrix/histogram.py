"""Margins, counted in bins."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bitextmine.bitext import Bitext

BINS = 40


@dataclass(frozen=True, slots=True)
class Histogram:
    """`counts` of pairs in bins of the same width between `edges`, of which there is one more."""

    edges: list[float]
    counts: list[int]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def margin_histogram(bitext: Bitext, bins: int = BINS) -> Histogram:
    """The margins of all pairs, from the lowest to the highest; no bins where there is no pair."""
    margins = bitext.table(["margin"]).column("margin").to_numpy()
    if not len(margins):
        return Histogram([], [])
    low, high = float(margins.min()), float(margins.max())
    counts, edges = np.histogram(margins, bins, (low, high if high > low else low + 1e-6))
    return Histogram([round(float(edge), 6) for edge in edges], counts.tolist())
