"""What is known of a search before it starts: the neighbours of rows that were there before both sides grew.

The pairs of the first n0 rows of one side and the first m0 of the other need no second look. Of such a row's k nearest
in all, those among the old rows of the other side are among its k nearest there, which are known; so the k best of
these and of the new candidates, by falling cosine and then by rising id, are the k nearest of all. Of the new ones only
those matter whose cosine is above the k-th known one: all new ids are higher than all known ones, so that a tie is
lost. That is a floor for the approximate sums too, less the error they can have, and few sums reach it.

It takes cosines that are the same to the last bit whenever a pair is scored, in whichever block or direction, which
`rescore.Scorer` promises; `holds` looks whether stored ones are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bitextmine.errors import MismatchError
from bitextmine.search.lists import LOWEST, Best
from bitextmine.search.neighbors import Neighbors
from bitextmine.search.quantize import Quantizer
from bitextmine.search.rescore import Scorer, best_of

_CHECKED_ROWS = 8_192


@dataclass(frozen=True, slots=True)
class Known:
    """The k nearest, none MISSING, of the first rows of each side among the first rows of the other side."""

    forward: Neighbors  # (n0, k), ids below m0
    backward: Neighbors  # (m0, k), ids below n0

    def check(self, n: int, m: int, k: int) -> None:
        """
        Raises:
            MismatchError: it cannot be known of sides of n and m rows, or is of another k.
        """
        rows = len(self.forward), len(self.backward)
        if not any(rows):
            return
        fits = min(rows) >= k and rows[0] <= n and rows[1] <= m
        if not fits or {self.forward.k, self.backward.k} != {k}:
            message = f"{rows[0]:,} x {rows[1]:,} rows with {self.forward.k} neighbours are not a part of {n:,} x {m:,}"
            raise MismatchError(f"{message} with {k}")

    def holds(self, scorer: Scorer) -> bool:
        """Whether all cosines have the bits that this scorer gives them: it may be of another kind of machine."""
        sides = ((self.forward, scorer, len(self.backward)), (self.backward, scorer.reversed(), len(self.forward)))
        for neighbors, one_way, others in sides:
            for start in range(0, len(neighbors), _CHECKED_ROWS):
                rows = np.arange(start, min(start + _CHECKED_ROWS, len(neighbors)))
                ids, sims = np.asarray(neighbors.ids[rows]), np.asarray(neighbors.sims[rows])
                if ids.min() < 0 or ids.max() >= others or one_way.cosines(rows, ids).tobytes() != sims.tobytes():
                    return False
                one_way.release()
        return True


NOTHING = Known(Neighbors.none(0, 0), Neighbors.none(0, 0))


@dataclass(frozen=True, slots=True)
class Floors:
    """Sums that a new candidate must be above to matter, for the rows and columns of which neighbours are known."""

    rows: NDArray[np.int32]  # (n0,)
    columns: NDArray[np.int32]  # (m0,)

    @classmethod
    def of(cls, known: Known, quantizer: Quantizer, error: float) -> Floors:
        """Args:
        error: the most that the cosine of a sum differs from the exact one.
        """

        def floor(neighbors: Neighbors) -> NDArray[np.int32]:
            if not len(neighbors):
                return np.empty(0, np.int32)
            last = np.asarray(neighbors.sims[:, -1], np.float64)
            sums = np.floor((last - quantizer.base - error) / quantizer.unit)
            return np.clip(sums, LOWEST, -LOWEST).astype(np.int32)

        return cls(floor(known.forward), floor(known.backward))

    @property
    def pairs(self) -> int:
        """Pairs of rows that are not searched."""
        return len(self.rows) * len(self.columns)

    def row_blocks(self, n: int, size: int) -> Iterator[tuple[int, int, int]]:
        """Blocks of at most so many of n rows, as start, stop, and the first column that they are compared with."""
        for begin, end, first in ((0, len(self.rows), len(self.columns)), (len(self.rows), n, 0)):
            for start in range(begin, end, size):
                yield start, min(start + size, end), first

    def rows_into(self, best: Best, start: int) -> None:
        """Have the lists of rows from `start` on take nothing below the floor."""
        floors = self.rows[start : start + len(best.keys)]
        best.bounds[: len(floors)] = floors

    def columns_into(self, best: Best, start: int) -> None:
        """The same for the lists of columns."""
        floors = self.columns[start : start + len(best.keys)]
        best.bounds[: len(floors)] = floors


NO_FLOORS = Floors(np.empty(0, np.int32), np.empty(0, np.int32))


def merged(found: Neighbors, known: Neighbors, start: int) -> Neighbors:
    """The best of what was found for rows from `start` on, and of what is known of the first of all rows."""
    part = slice(start, min(start + len(found), len(known)))
    count = part.stop - part.start
    if count <= 0:
        return found
    ids = np.hstack([known.ids[part], found.ids[:count]])
    best = best_of(ids, np.hstack([known.sims[part], found.sims[:count]]), found.k)
    return Neighbors(np.vstack([best.ids, found.ids[count:]]), np.vstack([best.sims, found.sims[count:]]))
