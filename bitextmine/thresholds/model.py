"""How many of the mined pairs above a margin are wrong, from decoys.

The wrong pairs above t are U * S(t) + C(t): U rows have no translation on the other side, S is the share of decoys that
reach t and become pairs, and C counts rows that have one and were given another. U is read off where only rows without
a translation are: three tenths of them have a best margin below the decoys' third decile (the empirical null of Efron
2004, "Large-scale simultaneous hypothesis testing", section 4; Storey 2002 for the share). Decoys come from rows that
have a translation, and others may live in a sparser part of the space: the second-best candidates of both tell by how
much, and decoys are moved by it. Which rows have a translation is what comes out: hence the iteration.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bitextmine.thresholds.decoys import Decoys

Reals = NDArray[np.float64]
GRID = 192  # thresholds
_ROUNDS, _ROUNDS_AGAIN = 40, 8  # from nothing, and from a former fit
_SETTLED = 1e-3
_NULL_QUANTILE = 0.3  # of the decoys: below it rows have no translation
_CERTAIN, _UNCERTAIN = 0.35, 0.65  # rows that are wrong with less than this chance give decoys; with more none
_LEAST_DECOYS = 30
_EXCESS = 0.7  # wrong pairs there are for each that decoys count, about: sentences of high margin give high decoys
_TAIL_SHARE, _TAIL_LEAST = 0.05, 25  # of the decoys, beyond which their margins are taken to fall off exponentially
_LEAST_UNBEATEN = 0.5  # what found rows are scaled up by is at most its inverse


@dataclass(frozen=True, slots=True)
class Fit:
    """Counts at each threshold of the grid (rising), and what they rest on."""

    kept: Reals  # pairs with at least this margin
    wrong: Reals  # of them, expected
    local: Reals  # chance to be wrong of pairs between this threshold and the next, falling
    translated: tuple[float, float]  # rows that have a translation, found or not: at least, at most
    shift: float  # what was added to the decoys' margins
    decoys: float  # rows that gave them, in effect
    gap: float  # from the best margin to the next of rows that gave decoys, in terms of that from the next to its next
    unsettled: bool  # the iteration did not come to rest

    @property
    def precision(self) -> Reals:
        """0..1, rising with the threshold; 1 where nothing is kept."""
        share = 1 - self.wrong / np.maximum(self.kept, 1)
        return np.asarray(np.maximum.accumulate(np.clip(share, 0, 1)))

    def recall(self, translated: float | None = None) -> Reals:
        """0..1: right pairs kept, of so many rows that have a translation; by default the bounds' geometric mean."""
        translated = math.sqrt(self.translated[0] * self.translated[1]) if translated is None else translated
        return np.asarray(np.clip((self.kept - self.wrong) / max(translated, 1), 0, 1))


@dataclass(frozen=True, slots=True)
class Observed:
    """All that was mined: sorted margins of the pairs, and sorted margins of each row's best candidate."""

    margins: NDArray[np.float32]
    best: NDArray[np.float32]

    def kept(self, thresholds: Reals) -> Reals:
        return _at_least(self.margins, thresholds)


def thresholds_for(margins: NDArray[np.float32]) -> Reals:
    """A rising grid over sorted margins: even in ranks, and as even again in the ranks of the upper tenth.

    Rounded down to four decimals, so that a threshold which was read and is given again leaves the same pairs.
    """
    ranks = np.concatenate(
        [np.linspace(0, 0.9, GRID // 2), 1 - np.geomspace(0.1, 1 / max(len(margins), 10), GRID // 2)]
    )
    chosen = margins[np.round(ranks * (len(margins) - 1)).astype(int)]
    return np.unique(np.floor(chosen.astype(np.float64) * 1e4)) / 1e4


def fit(observed: Observed, decoys: Decoys, thresholds: Reals, start: Reals | None = None) -> Fit:
    """Fit the model.

    Args:
        thresholds: rising.
        start: `local` of a former fit, to go on from; by default pairs are told apart by the competition of each
            row's best candidate with its second-best.
    """
    bins = np.clip(np.searchsorted(thresholds, decoys.best, side="right") - 1, 0, len(thresholds) - 1)
    kept = observed.kept(thresholds)
    local = _competition(kept, decoys, thresholds) if start is None else start
    wrong_chance = np.where(decoys.paired, local[bins], 1.0)
    for _ in range(_ROUNDS if start is None else _ROUNDS_AGAIN):
        right = _certain(wrong_chance, decoys)
        found = _counts(observed, decoys, thresholds, right, wrong_chance)
        local = _local(found.wrong, kept)
        before, wrong_chance = wrong_chance, np.where(decoys.paired, local[bins], 1.0)
        moved = float(np.abs(before - wrong_chance).max(initial=0))
        if moved < _SETTLED:
            break
        wrong_chance = (before + wrong_chance) / 2
    return Fit(
        kept,
        _EXCESS * _summed(local, kept),
        local,
        found.translated,
        found.shift,
        found.decoys,
        _gap(decoys, right),
        moved >= 0.1,
    )


@dataclass(frozen=True, slots=True)
class _Counts:
    wrong: Reals
    translated: tuple[float, float]
    shift: float
    decoys: float


def _counts(observed: Observed, decoys: Decoys, thresholds: Reals, right: Reals, wrong_chance: Reals) -> _Counts:
    """The model's counts when these rows, by weight, give decoys."""
    shift = _shift(decoys, right, wrong_chance)
    null = decoys.first + shift
    low = weighted_quantile(null, right, _NULL_QUANTILE)
    unpaired = min(np.searchsorted(observed.best, low) / _NULL_QUANTILE, len(observed.best))
    surviving = np.where(null > decoys.held, null, -np.inf)
    wrong = unpaired * survival(surviving, right, thresholds)
    reached = np.where(decoys.paired, decoys.weight * np.where(wrong_chance < 0.5, 1 - wrong_chance, 0), 0)
    beaten = survival(decoys.first, right, decoys.best.astype(np.float64))
    having = reached / np.maximum(1 - beaten, _LEAST_UNBEATEN)
    order = np.argsort(decoys.best)
    having_below = np.append(0, np.cumsum(having[order]))
    beaten_below = np.append(0, np.cumsum((having * beaten)[order]))
    place = np.searchsorted(decoys.best[order], thresholds)
    wrong += beaten_below[-1] - beaten_below[place] + having_below[place] * survival(decoys.first, right, thresholds)
    effective = float(right.sum() ** 2 / max((right**2).sum(), 1e-12))
    kept = observed.kept(thresholds)
    wrong = np.minimum(wrong, kept)
    start = min(int(np.searchsorted(thresholds, low)), len(thresholds) - 1)
    wrong[:start] = wrong[start] + kept[:start] - kept[start]  # also pairs of sentences that are left over
    unbeaten = reached.sum() / max(having.sum(), 1e-12)
    most = float((kept - wrong).max(initial=0) / unbeaten) if unbeaten > 0 else 0.0
    least = min(float(having.sum()), most)  # no pair of low margin, of which most are wrong, is among these
    return _Counts(wrong, (least, most), shift, effective)


def _shift(decoys: Decoys, right: Reals, wrong_chance: Reals) -> float:
    """How much lower rows without a translation lie than decoys, by the second-best of both kinds of rows; <= 0.

    Never higher: rows that have a translation and are not known to would say so too, since their second-best is what
    the others' best is.
    """
    without = weighted_quantile(decoys.first, decoys.weight * wrong_chance, 0.5)
    with_one = weighted_quantile(decoys.second, right, 0.5)
    return min(without - with_one, 0.0) if np.isfinite(without - with_one) else 0.0


def _gap(decoys: Decoys, right: Reals) -> float:
    """How far best candidates stand out: 1 to 4 where they are the best of many that are wrong, above where right."""
    rows = right * (decoys.seed == 0)
    to_first, to_second = (
        weighted_quantile(higher - lower, rows, 0.5)
        for higher, lower in ((decoys.best, decoys.first), (decoys.first, decoys.second))
    )
    return to_first / to_second if to_second > 0 else float("inf")


def _certain(wrong_chance: Reals, decoys: Decoys) -> Reals:
    """Weights of the rows that give decoys: those that are right with some certainty, or else the best there are."""
    trust = np.clip((_UNCERTAIN - wrong_chance) / (_UNCERTAIN - _CERTAIN), 0, 1)  # without a step, which would swing
    weights = np.where(decoys.paired, decoys.weight * (1 - wrong_chance) * trust, 0.0)
    count = np.count_nonzero(weights)
    if count + np.count_nonzero(decoys.seed) < _LEAST_DECOYS:
        order = np.argsort(-np.where(decoys.paired, decoys.best, -np.inf), kind="stable")[:_LEAST_DECOYS]
        weights[order] = decoys.weight[order] * decoys.paired[order]
    return weights + decoys.seed * (weights.sum() / count if count else 1.0)  # a seed counts like a row of the sample


def _competition(kept: Reals, decoys: Decoys, thresholds: Reals) -> Reals:
    """A first guess of `local`: the second-best candidates of all rows as decoys, too low for some of them."""
    rows = decoys.weight * decoys.paired
    wrong = rows.sum() * survival(decoys.first, rows, thresholds) if rows.any() else kept
    return _local(np.minimum(wrong, kept), kept)


def _local(wrong: Reals, kept: Reals) -> Reals:
    """The share of wrong pairs between each threshold and the next, made to fall (isotonic regression)."""
    pairs = np.maximum(-np.diff(np.append(kept, 0)), 1e-9)
    share = np.clip(-np.diff(np.append(wrong, 0)) / pairs, 0, 1)
    pools: list[tuple[float, float, int]] = []  # value, weight, length
    for pool in zip(share.tolist(), pairs.tolist(), [1] * len(share), strict=True):
        pools.append(pool)
        while len(pools) > 1 and pools[-2][0] < pools[-1][0]:  # pool adjacent violators
            (a, weight_a, length_a), (b, weight_b, length_b) = pools[-2:]
            weight = weight_a + weight_b
            pools[-2:] = [((a * weight_a + b * weight_b) / weight, weight, length_a + length_b)]
    return np.repeat([pool[0] for pool in pools], [pool[2] for pool in pools])


def _summed(local: Reals, kept: Reals) -> Reals:
    """Wrong pairs above each threshold, from their share between each and the next."""
    return np.asarray(np.cumsum((local * -np.diff(np.append(kept, 0)))[::-1])[::-1])


def survival(values: NDArray[np.floating], weights: Reals, at: Reals) -> Reals:
    """The weighted share of values that are at least so high; beyond the highest few an exponential tail.

    The tail begins where the highest twentieth, or the highest 25, do. Values of -inf never reach anything.
    """
    order = np.argsort(values)
    ranked, share = values[order].astype(np.float64), weights[order] / max(weights.sum(), 1e-12)
    above = np.append(np.cumsum(share[::-1])[::-1], 0)
    step = above[np.searchsorted(ranked, at)]
    count = np.count_nonzero(weights)
    wanted = max(_TAIL_SHARE, _TAIL_LEAST / max(int(count), 1))
    start = int(np.searchsorted(-above[:-1], -wanted))
    if start >= len(ranked) or not np.isfinite(ranked[start]):
        return np.asarray(step)
    excess = float((share[start:] * (ranked[start:] - ranked[start])).sum() / max(above[start], 1e-12))
    beyond = np.clip((at - ranked[start]) / max(excess, 1e-6), 0, 700)
    return np.asarray(np.where(at > ranked[start], above[start] * np.exp(-beyond), step))


def weighted_quantile(values: NDArray[np.floating], weights: Reals, quantile: float) -> float:
    """The least value at or below which this share of the weight lies; NaN without any weight."""
    use = (weights > 0) & np.isfinite(values)
    if not use.any():
        return float("nan")
    order = np.argsort(values[use])
    share = np.cumsum(weights[use][order])
    place = int(np.searchsorted(share, quantile * share[-1]))
    return float(values[use][order][min(place, len(share) - 1)])


def _at_least(ranked: NDArray[np.float32], thresholds: Reals) -> Reals:
    return (len(ranked) - np.searchsorted(ranked, thresholds.astype(np.float32))).astype(np.float64)
