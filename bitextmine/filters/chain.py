"""Filters one after the other: which pairs stay, and what each filter drops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bitextmine.filters.boilerplate import Boilerplate
from bitextmine.filters.copies import Copy, Overlap
from bitextmine.filters.language import Language
from bitextmine.filters.lengths import LengthRatio
from bitextmine.filters.marks import Addresses, Punctuation
from bitextmine.filters.numbers import Numbers
from bitextmine.filters.pair_filter import PairBatch, PairFilter

Batches = Callable[[], Iterable[PairBatch]]  # all pairs of a bitext, from the beginning each time
EXAMPLES = 5
KEPT = -1


def default_filters() -> tuple[PairFilter, ...]:
    """Those that leave good pairs of any script alone; cheap ones first."""
    return LengthRatio(), Punctuation(), Addresses(), Numbers(), Copy(), Overlap(), Boilerplate(), Language()


@dataclass(frozen=True, slots=True)
class Example:
    """A pair that a filter drops, and why."""

    row: int  # in the bitext
    src: str
    tgt: str
    margin: float
    reason: str


@dataclass(slots=True)
class FilterCount:
    """What one filter does: pairs that it drops first of all filters, and pairs that it would drop if it were alone."""

    name: str
    dropped: int = 0
    alone: int = 0
    examples: list[Example] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FilterReport:
    """How many pairs there were, how many stay, and what each filter did, in their order."""

    pairs: int
    kept: int
    filters: list[FilterCount]


@dataclass(frozen=True, slots=True)
class Filtering:
    """`dropped_by` is, for each pair, the number of the first filter that drops it, or KEPT, (n,)."""

    dropped_by: NDArray[np.int16]
    report: FilterReport


def run_filters(
    batches: Batches, filters: Sequence[PairFilter] | None = None, *, examples: int = EXAMPLES
) -> Filtering:
    """Fit the filters to a bitext and ask each of them about each pair. Memory: one batch, and two bytes a pair.

    Args:
        examples: of dropped pairs kept for each filter: the first ones, which have the highest margins.
    """
    chosen = default_filters() if filters is None else tuple(filters)
    fitted = [each.fitted(batches()) for each in chosen]
    counts = [FilterCount(each.name) for each in fitted]
    parts: list[NDArray[np.int16]] = []
    start = 0
    for pairs in batches():
        parts.append(_first_to_drop(pairs, start, fitted, counts, examples))
        start += len(pairs)
    dropped_by = np.concatenate([np.empty(0, np.int16), *parts])
    return Filtering(dropped_by, FilterReport(start, int((dropped_by == KEPT).sum()), counts))


def _first_to_drop(
    pairs: PairBatch, start: int, filters: Sequence[PairFilter], counts: Sequence[FilterCount], examples: int
) -> NDArray[np.int16]:
    dropped_by = np.full(len(pairs), KEPT, np.int16)
    for number, (each, count) in enumerate(zip(filters, counts, strict=True)):
        scores = each.score(pairs)
        refused = ~each.accept(scores)
        first = refused & (dropped_by == KEPT)
        dropped_by[first] = number
        count.alone += int(refused.sum())
        count.dropped += int(first.sum())
        for row in np.flatnonzero(first)[: examples - len(count.examples)].tolist():
            why = each.reason(float(scores[row]))
            example = Example(start + row, pairs.src[row], pairs.tgt[row], float(pairs.margin[row]), why)
            count.examples.append(example)
    return dropped_by
