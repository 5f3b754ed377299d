"""Point estimates at every threshold and how sure they are: the model fitted again to resampled decoys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bitextmine.thresholds.decoys import Decoys
from bitextmine.thresholds.model import Fit, Observed, Reals, fit, thresholds_for

CONFIDENCE = 0.9
LEAST_DECOYS = 30
LEAST_GAP = 5.0  # it is 1 to 4 where no sentence has a translation, 6 to 15 where some have (docs/thresholds.md)
_REPLICATES = 100
_SEED = 20
# Standard deviation of the logarithm of how many wrong pairs there are for each that the model counts (docs).
_SYSTEMATIC = 0.5
_Band = tuple[Reals, Reals, Reals]  # value, low, high


@dataclass(frozen=True, slots=True)
class Curves:
    """Precision and recall, with their intervals, of the pairs above rising thresholds."""

    thresholds: Reals
    kept: Reals
    precision: _Band
    recall: _Band
    decoys: float
    shift: float
    unknown: str | None


def curves(
    observed: Observed, decoys: Decoys, found: NDArray[np.float32] | None = None, ceiling: float | None = None
) -> Curves:
    """Fit the model and resample.

    Args:
        found: of planted pairs, the margins with which they were found (-inf where not): recall is theirs then.
        ceiling: of margins; decoys above it are no pairs.
    """
    if ceiling is not None:
        decoys = decoys.capped(ceiling)
    thresholds = thresholds_for(observed.margins)
    best = fit(observed, decoys, thresholds)
    unknown = _why_not(best)
    replicates = [] if unknown else _resampled(observed, decoys, best, thresholds)
    precision = _band(best.precision, [each for each, _, _ in replicates])
    spread = [recall for _, lower, higher in replicates for recall in (lower, higher)]
    recall = _band(best.recall(), spread) if found is None else _planted_recall(found, thresholds)
    return Curves(thresholds, best.kept, precision, recall, best.decoys, best.shift, unknown)


def _why_not(best: Fit) -> str | None:
    if best.decoys < LEAST_DECOYS:
        return (
            f"only {best.decoys:.0f} pairs stand out from the others by their margins; {LEAST_DECOYS} are needed "
            "to see what sentences find that have no translation"
        )
    if best.gap < LEAST_GAP:
        return (
            f"the best pairs hardly stand out: their margins are {best.gap:.1f} times as far from the next-best "
            f"as that from the one after it, not {LEAST_GAP:g}; it may be that there are no translations"
        )
    if best.unsettled:
        return "right and wrong pairs do not part by their margins: the estimate does not come to rest"
    return None


def _resampled(observed: Observed, decoys: Decoys, best: Fit, thresholds: Reals) -> list[tuple[Reals, Reals, Reals]]:
    """Precision, and recall by both bounds of the rows that have a translation, for each resampling."""
    rng = np.random.default_rng(_SEED)
    made = []
    for _ in range(_REPLICATES):
        again = fit(
            observed, decoys.reweighted(rng.poisson(1.0, len(decoys)).astype(np.float64)), thresholds, best.local
        )
        wrong = np.minimum(again.wrong * np.exp(rng.normal(0, _SYSTEMATIC)), again.kept)
        wrong = _counted(wrong, rng)
        varied = Fit(
            again.kept,
            np.minimum(wrong, again.kept),
            again.local,
            again.translated,
            again.shift,
            again.decoys,
            again.gap,
            False,
        )
        least, most = again.translated
        made.append((varied.precision, again.recall(least), again.recall(most)))
    return made


def _counted(expected: Reals, rng: np.random.Generator) -> Reals:
    """A draw of counts with this expectation: how many wrong pairs there are varies by itself."""
    parts = np.maximum(-np.diff(np.append(expected, 0)), 0)
    return np.asarray(np.cumsum(rng.poisson(parts)[::-1])[::-1], np.float64)


def _band(value: Reals, replicates: list[Reals]) -> _Band:
    if not replicates:
        return value, value, value
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail], axis=0)
    return value, np.minimum(low, value), np.maximum(high, value)


def _planted_recall(found: NDArray[np.float32], thresholds: Reals) -> _Band:
    """The share of planted pairs found, with Wilson's interval (1927)."""
    n, z = len(found), 1.645
    share = (found[:, None] >= thresholds.astype(np.float32)).mean(axis=0)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return share, np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
