"""How often a sentence finds its translation among all sentences of the other side."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bitextmine.errors import MismatchError, ParameterError
from bitextmine.margin import Margin, margin_scores


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Percent of the sentences whose translation scores highest: 0..100, higher is better."""

    forward: float  # of source sentences
    backward: float  # of target sentences

    def __sub__(self, other: Accuracy) -> Accuracy:
        """The difference in points."""
        return Accuracy(self.forward - other.forward, self.backward - other.backward)


def accuracies(
    src: NDArray[np.float32], tgt: NDArray[np.float32], *, k: int = 4, margins: Collection[Margin] = tuple(Margin)
) -> dict[Margin, Accuracy]:
    """The accuracy by each margin of aligned vectors (Artetxe & Schwenk 2019; k = 4, over all sentences).

    Every sentence of the other side is a candidate, and the translation must have the highest score; of equal scores
    the earliest counts. Neighbourhood means are over the k largest cosines. A sentence without a score (a ratio to a
    mean that is not positive) has not found its translation.

    Args:
        src, tgt: (n, dims) rows of length 1; row i of one is the translation of row i of the other. Memory is that of
            some n x n matrices of float32.

    Raises:
        ParameterError: `invalid-k` or `k-too-large`.
        MismatchError: the sides differ in shape.
    """
    check_k(k, len(src))
    if src.shape != tgt.shape:
        raise MismatchError(f"vectors {src.shape} and {tgt.shape} are not aligned")
    sims = src @ tgt.T
    src_means = np.partition(sims, -k, axis=1)[:, -k:].mean(axis=1)
    tgt_means = np.partition(sims, -k, axis=0)[-k:].mean(axis=0)
    found = {}
    for margin in margins:
        scores = margin_scores(sims, src_means[:, None], tgt_means[None], margin)
        found[margin] = Accuracy(_percent_right(scores), _percent_right(scores.T))
    return found


def check_k(k: int, sentences: int) -> None:
    """Refuse a neighbourhood that there cannot be.

    Raises:
        ParameterError: `invalid-k` or `k-too-large`.
    """
    if k < 1:
        raise ParameterError(f"k is {k}; it must be 1 or more", code="invalid-k")
    if k > sentences:
        raise ParameterError(f"k={k} is more than the {sentences:,} sentences there are", code="k-too-large")


def _percent_right(scores: NDArray[np.float32]) -> float:
    rows = np.arange(len(scores))
    right = (scores.argmax(axis=1) == rows) & np.isfinite(scores[rows, rows])
    return 100 * float(right.mean())
