"""How sentences are put together into batches: by length, within a budget of tokens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bitextmine.errors import ParameterError

LENGTH_STEP = 4  # tokens: sentences are padded to a multiple of it, which costs 1 to 2 % of the time


def token_budget_batches(lengths: NDArray[np.int64], budget: int) -> list[NDArray[np.int64]]:
    """Cut the sentences into batches of similar length whose padded size stays within a budget.

    Sorting by length is what saves padding; the budget keeps a batch's activations in the processor's caches.

    Args:
        lengths: (n,) int64, tokens in each sentence, 0 or more.
        budget: the largest rows x longest of a batch; a single sentence that is longer makes a batch of its own.

    Returns:
        Batches of row numbers, int64, shortest sentences first; rows of equal length keep their order. Together they
        are a permutation of 0 .. n-1, and depend on nothing but the arguments.

    Raises:
        ParameterError: the budget is below 1.
    """
    if budget < 1:
        raise ParameterError(f"the token budget must be 1 or more, not {budget}")
    order = np.argsort(lengths, kind="stable").astype(np.int64)
    ordered = lengths[order]
    batches = []
    start = 0
    while start < len(order):
        stop = _end_of_batch(ordered, start, budget)
        batches.append(order[start:stop])
        start = stop
    return batches


def equal_length_batches(padded: NDArray[np.int64], budget: int) -> list[NDArray[np.int64]]:
    """As `token_budget_batches`, but all sentences of a batch are padded to the same length.

    Args:
        padded: (n,) int64, the length that each sentence is padded to.
    """
    order = np.argsort(padded, kind="stable").astype(np.int64)
    groups = np.split(order, np.flatnonzero(np.diff(padded[order])) + 1)
    return [group[batch] for group in groups for batch in token_budget_batches(padded[group], budget)]


def padded_lengths(lengths: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """What sentences of so many tokens are padded to, (n,): the next multiple of LENGTH_STEP, or `most` before it."""
    stepped = -(-lengths // LENGTH_STEP) * LENGTH_STEP
    return np.maximum(np.minimum(stepped, most), lengths)


def _end_of_batch(ordered: NDArray[np.int64], start: int, budget: int) -> int:
    """One past the last row that still fits; `ordered` ascends, so the row being added is always the longest."""
    candidates = ordered[start : start + budget]
    padded = np.arange(1, len(candidates) + 1) * candidates
    fitting = int(np.searchsorted(padded, budget, side="right"))
    return start + max(1, fitting)
