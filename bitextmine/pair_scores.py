"""How the margins of a bitext are distributed, random pairs of a range of margins, and how precise a threshold is."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bitextmine.bitext import EVERY_MARGIN, Bitext, MarginRange, PairsPage
from bitextmine.judgements import Judgement, Verdict
from bitextmine.pairs_file import PairsReader

MOST_BINS = 500
MOST_SAMPLED = 200
STRATA = 10
_DECIMALS = 6
_Z = 1.959963984540054  # of a 95% interval


@dataclass(frozen=True, slots=True)
class Histogram:
    """Margins in bins of equal width: `counts[i]` pairs lie from `edges[i]` on, below `edges[i + 1]`.

    `at_least[i]` pairs have a margin of `edges[i]` or more, by the same rounding as `min_margin` of a page of pairs.
    """

    edges: list[float]  # rising, one more than bins; none of a bitext without pairs
    at_least: list[int]  # of each edge but the last

    @property
    def counts(self) -> list[int]:
        return [here - above for here, above in zip(self.at_least, [*self.at_least[1:], 0], strict=False)]


@dataclass(frozen=True, slots=True)
class Precision:
    """The share of good pairs among those that reach a threshold, estimated from judged ones."""

    judged: int
    good: int
    precision: float
    low: float  # of a 95% interval
    high: float
    covered: float  # share of the pairs whose tenth, by margin, has a judged pair


def histogram(bitext: Bitext, bins: int) -> Histogram:
    """The margins of a bitext in at most `bins` bins; a row group's margins at most are in memory for each.

    Raises:
        ArtifactError, NotFoundError: as `Bitext.opened`.
    """
    if not len(bitext):
        return Histogram([], [])
    with bitext.opened() as reader:
        most, least = (_margin(reader, position) for position in (0, len(bitext) - 1))
        scale = 10**_DECIMALS
        low, high = math.floor(least * scale) / scale, math.ceil(most * scale) / scale
        if high <= low:
            high = low + 1 / scale
        edges = np.unique(np.round(np.linspace(low, high, bins + 1), _DECIMALS)).tolist()
        at_least = [len(reader.span(MarginRange(least=edge))) for edge in edges[:-1]]
    return Histogram(edges, at_least)


def sample(bitext: Bitext, size: int, margins: MarginRange = EVERY_MARGIN, *, seed: int | None = None) -> PairsPage:
    """At most `size` random pairs with such margins, by falling margin. A seed gives the same ones each time.

    Raises:
        ArtifactError, NotFoundError: as `Bitext.opened`.
    """
    with bitext.opened() as reader:
        span = reader.span(margins)
        chosen = np.random.default_rng(seed).choice(len(span), min(size, len(span)), replace=False)
        pairs = [next(reader.pairs(span[at : at + 1])) for at in np.sort(chosen).tolist()]
    return PairsPage(pairs, len(span))


def precisions(found: Histogram, judgements: Sequence[Judgement]) -> list[Precision | None]:
    """The precision at each edge but the last; None where no pair of those that stay is judged.

    People judge more pairs of some scores than of others. So the pairs that reach an edge are parted into STRATA of
    equal number by margin, and the precision is the mean of those of the strata with judged pairs. The interval is
    Wilson's (1927, JASA 22, p. 209) for as many judgements as a plain sample would need for the same variance (Kish,
    1965, Survey Sampling, section 11.7), which for evenly spread judgements is their number.
    """
    below = np.searchsorted(np.array(found.edges), [each.margin for each in judgements], side="right") - 1
    bins = np.clip(below, 0, max(len(found.at_least) - 1, 0)).tolist()
    above = [*found.at_least[1:], 0]
    placed = [(at, above[at], each.verdict is Verdict.GOOD) for at, each in zip(bins, judgements, strict=True)]
    return [
        _precision([(rank, good) for at, rank, good in placed if at >= edge], total)
        for edge, total in enumerate(found.at_least)
    ]


def _precision(judged: Sequence[tuple[int, bool]], total: int) -> Precision | None:
    """Of judged pairs, each with how many pairs are better than its bin, and whether it is good."""
    if not judged:
        return None
    good: dict[int, int] = defaultdict(int)
    count: Counter[int] = Counter()
    for rank, is_good in judged:
        stratum = STRATA * rank // total
        count[stratum] += 1
        good[stratum] += is_good
    share = sum(good[stratum] / number for stratum, number in count.items()) / len(count)
    size = len(count) ** 2 / sum(1 / number for number in count.values())
    low, high = wilson(share, size)
    return Precision(len(judged), sum(good.values()), share, low, high, len(count) / STRATA)


def wilson(share: float, size: float) -> tuple[float, float]:
    """Wilson's 95% interval of a share that was seen among `size` > 0 trials."""
    square = _Z * _Z
    centre = (share + square / (2 * size)) / (1 + square / size)
    half = _Z / (1 + square / size) * math.sqrt(share * (1 - share) / size + square / (4 * size * size))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _margin(reader: PairsReader, position: int) -> float:
    (batch,) = reader.batches(range(position, position + 1), ["margin"])
    return float(batch["margin"][0].as_py())
