"""Filters of mined pairs: what looks wrong although its score is good. docs/filters.md has an entry for each.

pair_filter   what a filter is
lengths, copies, numbers, marks, language, boilerplate, ceiling    the filters
chain         one after the other, with counts and examples
"""

from bitextmine.filters.chain import KEPT, FilterCount, Filtering, FilterReport, default_filters, run_filters
from bitextmine.filters.pair_filter import PairBatch, PairFilter

__all__ = [
    "KEPT",
    "FilterCount",
    "FilterReport",
    "Filtering",
    "PairBatch",
    "PairFilter",
    "default_filters",
    "run_filters",
]
