"""The ways to search, by the names that people choose them by."""

from __future__ import annotations

from enum import StrEnum

LEAST_RECALL, MOST_RECALL = 0.5, 1.0
DEFAULT_RECALL = 0.99


class Method(StrEnum):
    """How neighbours are found; `auto` lets the planner choose one of the others."""

    AUTO = "auto"
    EXACT = "exact"
    IVF = "ivf"
    IVFPQ = "ivfpq"

    @property
    def approximate(self) -> bool:
        """Whether it may miss neighbours, and so measures its recall."""
        return self in {Method.IVF, Method.IVFPQ}
