"""Filters one after the other: which pairs stay, and what each filter drops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitextmine.filters.pair_filter import PairBatch, PairFilter
from bitextmine.filters.settings import FilterSettings

Batches = Callable[[], Iterable[PairBatch]]  # all pairs of a bitext, from the beginning each time
EXAMPLES = 5
KEPT = -1
_EXAMPLE_CHARS = 300  # of each side of an example, where it is kept as JSON


@dataclass(frozen=True, slots=True)
class Example:
    """A pair that a filter drops, and why."""

    row: int  # in the bitext
    src: str
    tgt: str
    margin: float  # NaN where there is none
    reason: str

    def as_json(self) -> dict[str, Any]:
        margin = self.margin if isfinite(self.margin) else None
        src, tgt = (
            text if len(text) <= _EXAMPLE_CHARS else text[:_EXAMPLE_CHARS] + "…" for text in (self.src, self.tgt)
        )
        return {"row": self.row, "src": src, "tgt": tgt, "margin": margin, "reason": self.reason}


@dataclass(slots=True)
class FilterCount:
    """What one filter does: pairs that it drops first of all filters, and pairs that it would drop if it were alone."""

    name: str
    dropped: int = 0
    alone: int = 0
    examples: list[Example] = field(default_factory=list)
    learnt: Mapping[str, float] = field(default_factory=dict)  # what was fitted to the bitext, by name

    def as_json(self) -> dict[str, Any]:
        examples = [example.as_json() for example in self.examples]
        counts = {"name": self.name, "dropped": self.dropped, "alone": self.alone}
        return counts | {"learnt": dict(self.learnt), "examples": examples}


@dataclass(frozen=True, slots=True)
class FilterReport:
    """How many pairs there were, how many stay, and what each filter did, in their order."""

    pairs: int
    kept: int
    filters: list[FilterCount]

    def as_json(self) -> dict[str, Any]:
        return {"pairs": self.pairs, "kept": self.kept, "filters": [each.as_json() for each in self.filters]}


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Of some pairs: the number of the first filter that drops each, or KEPT, (n,), and why, by the pair's number."""

    dropped_by: NDArray[np.int16]
    reasons: Mapping[int, str]


class FilterChain:
    """Filters fitted to a bitext, which are asked about its pairs batch by batch, and count."""

    def __init__(self, filters: Sequence[PairFilter], examples: int = EXAMPLES) -> None:
        self.filters = tuple(filters)
        self._counts = [FilterCount(each.name, learnt=each.learnt) for each in filters]
        self._examples = examples
        self._pairs = self._kept = 0

    @classmethod
    def fitted(cls, batches: Batches, filters: Sequence[PairFilter], examples: int = EXAMPLES) -> FilterChain:
        """
        Args:
            examples: of dropped pairs kept for each filter: the first ones, which have the highest margins.
        """
        return cls([each.fitted(batches()) for each in filters], examples)

    @property
    def report(self) -> FilterReport:
        """Of the pairs judged so far."""
        return FilterReport(self._pairs, self._kept, self._counts)

    def judge(self, pairs: PairBatch) -> Verdicts:
        """Ask every filter about every pair of the bitext's next batch."""
        dropped_by = np.full(len(pairs), KEPT, np.int16)
        reasons: dict[int, str] = {}
        for number, (each, count) in enumerate(zip(self.filters, self._counts, strict=True)):
            scores = each.score(pairs)
            refused = ~each.accept(scores)
            first = np.flatnonzero(refused & (dropped_by == KEPT))
            dropped_by[first] = number
            count.alone += int(refused.sum())
            count.dropped += len(first)
            reasons |= {row: each.reason(float(scores[row])) for row in first.tolist()}
            for row in first[: self._examples - len(count.examples)].tolist():
                margin = float(pairs.margin[row])
                count.examples.append(Example(self._pairs + row, pairs.src[row], pairs.tgt[row], margin, reasons[row]))
        self._pairs += len(pairs)
        self._kept += int((dropped_by == KEPT).sum())
        return Verdicts(dropped_by, reasons)


@dataclass(frozen=True, slots=True)
class Filtering:
    """`dropped_by` is, for each pair, the number of the first filter that drops it, or KEPT, (n,)."""

    dropped_by: NDArray[np.int16]
    report: FilterReport


def run_filters(
    batches: Batches, filters: Sequence[PairFilter] | None = None, *, examples: int = EXAMPLES
) -> Filtering:
    """Fit the filters (by default those of `FilterSettings.defaults`) to a bitext and judge all of its pairs.

    Memory: one batch, two bytes a pair, and what fitting takes.
    """
    chosen = FilterSettings.defaults().filters if filters is None else filters
    chain = FilterChain.fitted(batches, chosen, examples)
    parts = [chain.judge(pairs).dropped_by for pairs in batches()]
    return Filtering(np.concatenate([np.empty(0, np.int16), *parts]), chain.report)
