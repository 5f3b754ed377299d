"""Alignment of two documents, coarse to fine: each level looks around the way through documents of half the length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bitextmine.alignment.blocks import Encode, embed_blocks, halve
from bitextmine.alignment.costs import Background, Costs
from bitextmine.alignment.path import cheapest_path, steps_of
from bitextmine.errors import MismatchError, ParameterError

_WHOLE_POINTS = 1 << 16  # of a table that is small enough to be looked through as a whole
_ONE_TO_ONE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentParameters:
    """`largest` is the most sentences of a bead, of both sides together (2: one to one only); `radius` how far from the
    coarser level's way the finer one may go, in sentences.

    `skip` is what leaving a sentence out costs, as a share of the 0.2 quantile of the costs of sentences at random. The
    paper takes 1, with which a left-out sentence is often glued to a neighbour's bead; docs/documents.md has what that
    does on real documents.
    """

    largest: int = 6
    radius: int = 10
    skip: float = 0.4
    seed: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.largest <= 16:
            raise ParameterError(f"beads of {self.largest} sentences; it must be between 2 and 16")
        if not 0 < self.skip <= 10:
            raise ParameterError(f"a skip of {self.skip:g}; it must be above 0 and at most 10")
        if not 1 <= self.radius <= 1000:
            raise ParameterError(f"a radius of {self.radius} sentences; it must be between 1 and 1,000")

    @property
    def blocks(self) -> int:
        """The most sentences of one side of a bead."""
        return self.largest - 1


@dataclass(frozen=True, slots=True)
class Bead:
    """Sentences of one document and those of the other that say the same: rows `src` and `tgt`, one perhaps empty.

    `cost` is 0 for the same vector, about 1 for sentences that have nothing to do with one another; a bead with an
    empty side has what leaving a sentence out costs in these documents.
    """

    src: range
    tgt: range
    cost: float

    @property
    def score(self) -> float:
        """1 for the same vector, about 0 for sentences that have nothing to do with one another; 0 if a side is empty.

        The cosine's share of the way from the mean cosine to text at random (0) to 1.
        """
        return 1 - self.cost / (len(self.src) * len(self.tgt)) if self.src and self.tgt else 0.0


def align(
    src: Sequence[str],
    tgt: Sequence[str],
    encode: Encode,
    parameters: AlignmentParameters | None = None,
    *,
    src_joiner: str = " ",
    tgt_joiner: str = " ",
) -> list[Bead]:
    """Align the sentences of two documents, in order; each is in exactly one bead.

    Args:
        encode: sentences of either language to vectors, (n, dims).
        src_joiner, tgt_joiner: what stands between sentences of a block: nothing in scripts without spaces.

    Raises:
        MismatchError: the encoder gave no finite vector for each text.
    """
    parameters = parameters or AlignmentParameters()
    if not src or not tgt:
        return _skipped(len(src), len(tgt))
    return align_blocks(
        embed_blocks(src, encode, parameters.blocks, src_joiner),
        embed_blocks(tgt, encode, parameters.blocks, tgt_joiner),
        parameters,
    )


def align_blocks(
    src: NDArray[np.float32],
    tgt: NDArray[np.float32],
    parameters: AlignmentParameters | None = None,
    background: Background | None = None,
) -> list[Bead]:
    """As `align`, from the vectors of blocks, (blocks, n, dims) and (blocks, m, dims), as `embed_blocks` gives them.

    Time and memory grow with n + m. `background` is of use where documents have less than about 100 sentences.

    Raises:
        MismatchError: the arrays are not of the same number of blocks and dimensions.
    """
    parameters = parameters or AlignmentParameters()
    if src.ndim != 3 or tgt.ndim != 3 or (src.shape[0], src.shape[2]) != (tgt.shape[0], tgt.shape[2]):
        raise MismatchError(f"blocks of {src.shape} and {tgt.shape} are not two documents' by one encoder")
    if not src.shape[1] or not tgt.shape[1]:
        return _skipped(src.shape[1], tgt.shape[1])
    low, high = _band(src[0], tgt[0], parameters)
    costs = Costs.of(src, tgt, parameters.skip, parameters.seed, background)
    points, spent = cheapest_path(costs, steps_of(parameters.largest), low, high)
    return [
        Bead(range(int(i), int(next_i)), range(int(j), int(next_j)), float(cost))
        for (i, j), (next_i, next_j), cost in zip(points[:-1], points[1:], spent, strict=True)
    ]


def _band(
    src: NDArray[np.float32], tgt: NDArray[np.float32], parameters: AlignmentParameters
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where to look, from the way through both documents at half their length; everywhere if they are short."""
    n, m = len(src), len(tgt)
    if (n + 1) * (m + 1) <= _WHOLE_POINTS or min(n, m) < 2:
        return np.zeros(n + 1, np.int64), np.full(n + 1, m, np.int64)
    coarse_src, coarse_tgt = halve(src), halve(tgt)
    low, high = _band(coarse_src, coarse_tgt, parameters)
    costs = Costs.of(coarse_src[None], coarse_tgt[None], parameters.skip, parameters.seed)
    points, _ = cheapest_path(costs, steps_of(_ONE_TO_ONE), low, high)
    return _around(points, n, m, parameters.radius + parameters.largest)


def _around(points: NDArray[np.int64], n: int, m: int, radius: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The band of so many sentences around a way through documents of half the length."""
    first = np.full(n // 2 + 2, np.iinfo(np.int64).max)
    last = np.zeros(n // 2 + 2, np.int64)
    np.minimum.at(first, points[:, 0], points[:, 1])
    np.maximum.at(last, points[:, 0], points[:, 1])
    rows = np.arange(n + 1)
    before, after = rows // 2, np.minimum((rows + 1) // 2, -(-n // 2))
    low = np.clip(2 * first[before] - radius, 0, m)
    high = np.clip(2 * last[after] + radius, 0, m)
    low[0], high[n] = 0, m
    return np.maximum.accumulate(low), np.maximum.accumulate(high)


def _skipped(n: int, m: int) -> list[Bead]:
    """Nothing to align with: each sentence for itself."""
    beads = [Bead(range(row, row + 1), range(0), 1.0) for row in range(n)]
    return beads or [Bead(range(0), range(row, row + 1), 1.0) for row in range(m)]
