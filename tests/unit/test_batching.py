from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextmine.encoders.batching import equal_length_batches, padded_lengths, token_budget_batches
from bitextmine.errors import ParameterError

lengths_lists = st.lists(st.integers(0, 60), max_size=200)


def slow_batches(lengths: list[int], budget: int) -> list[list[int]]:
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        if batches and (len(batches[-1]) + 1) * lengths[row] <= budget and len(batches[-1]) < budget:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches


@given(lengths_lists, st.integers(1, 300))
def test_the_batches_are_those_of_the_plain_loop(lengths: list[int], budget: int) -> None:
    batches = token_budget_batches(np.array(lengths, np.int64), budget)
    assert [batch.tolist() for batch in batches] == slow_batches(lengths, budget)


@given(lengths_lists, st.integers(1, 300))
def test_the_batches_are_a_permutation_within_the_budget(lengths: list[int], budget: int) -> None:
    array = np.array(lengths, np.int64)
    batches = token_budget_batches(array, budget)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert batch.dtype == np.int64
        assert len(batch) == 1 or len(batch) * array[batch].max() <= budget
    again = token_budget_batches(array.copy(), budget)
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))


def test_no_sentences_make_no_batches() -> None:
    assert token_budget_batches(np.array([], np.int64), 10) == []


def test_a_budget_below_one_is_refused() -> None:
    with pytest.raises(ParameterError, match="token budget"):
        token_budget_batches(np.array([3], np.int64), 0)


@given(lengths_lists, st.integers(1, 300), st.integers(1, 60))
def test_each_batch_has_one_padded_length_which_depends_on_the_sentence_alone(
    lengths: list[int], budget: int, most: int
) -> None:
    padded = padded_lengths(np.array(lengths, np.int64), most)
    assert padded.tolist() == [padded_lengths(np.array([length]), most)[0] for length in lengths]
    for length, wide in zip(lengths, padded.tolist(), strict=True):
        assert length <= wide < length + 4
        assert wide <= max(most, length)
    batches = equal_length_batches(padded, budget)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(set(padded[batch].tolist())) == 1
        assert len(batch) == 1 or len(batch) * padded[batch[0]] <= budget
    for length in set(padded.tolist()):
        sizes = [len(batch) for batch in batches if padded[batch[0]] == length]
        fitting = budget // length if length else budget
        assert all(size == max(fitting, 1) for size in sizes[:-1]), "batches are full, but for the last of a length"
