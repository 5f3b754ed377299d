"""Filters of mined pairs: what looks wrong although its score is good. docs/filters.md has an entry for each.

pair_filter   what a filter is
lengths, copies, numbers, marks, language, boilerplate, ceiling    the filters
settings      which of them run, within which bounds
chain         one after the other, with counts and examples
"""

from bitextmine.filters.chain import (
    KEPT,
    FilterChain,
    FilterCount,
    Filtering,
    FilterReport,
    Verdicts,
    run_filters,
)
from bitextmine.filters.pair_filter import PairBatch, PairFilter
from bitextmine.filters.settings import FilterSettings, check_filter_name, filter_names

__all__ = [
    "KEPT",
    "FilterChain",
    "FilterCount",
    "FilterReport",
    "FilterSettings",
    "Filtering",
    "PairBatch",
    "PairFilter",
    "Verdicts",
    "check_filter_name",
    "filter_names",
    "run_filters",
]
