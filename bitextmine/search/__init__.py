"""Nearest neighbours of one side's vectors among the other's, with exact cosines.

`exact` is the search; what it is made of: `quantize` (vectors as bytes), `native` (machine code), `scan` and `portable`
(the best candidates of rows and columns), `rescore` (exact cosines), `floats` (single rows in float32).
"""

from bitextmine.search.exact import ExactOptions, ExactReport, nearest_exact, search_exact
from bitextmine.search.neighbors import MISSING, Neighbors

__all__ = ["MISSING", "ExactOptions", "ExactReport", "Neighbors", "nearest_exact", "search_exact"]
