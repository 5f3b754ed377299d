"""Lists of the best candidates so far, one of each row (or column), kept sorted while sums come in any order.

A candidate is one 64-bit key: its sum above, its id's complement below. So keys order candidates by falling sum, then
by rising id, no two are equal, and a list depends on what it met but not in which order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from bitextmine.search.native import KEYS_A_STEP, insert_key

LOWEST = -(1 << 30)  # no sum is so low
HIGHEST = (1 << 31) - 1
SPARE = 8  # candidates beyond k, at least
_EMPTY = LOWEST << 32  # id -1
_ID_BITS = np.int64((1 << 32) - 1)


def list_length(k: int) -> int:
    """Candidates that are kept for k neighbours: some to spare, a multiple of 8."""
    return -(-(k + SPARE) // KEYS_A_STEP) * KEYS_A_STEP


@dataclass(frozen=True, slots=True)
class Best:
    """The best c candidates of n rows (or columns) so far; c is a multiple of 8."""

    keys: NDArray[np.int64]  # (n, c), falling
    bounds: NDArray[np.int32]  # (padded n,): sums above it may enter; HIGHEST beyond n

    @classmethod
    def empty(cls, n: int, count: int, padded: int) -> Best:
        bounds = np.full(padded, HIGHEST, np.int32)
        bounds[:n] = LOWEST
        return cls(np.full((n, count), _EMPTY, np.int64), bounds)


def ids_of(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Candidates' ids, -1 where there is none."""
    return ~(keys & _ID_BITS).astype(np.uint32).view(np.int32).astype(np.int64)


def sums_of(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Candidates' sums, LOWEST where there is none."""
    return keys >> 32


@numba.njit(cache=True, nogil=True)
def offer(best, at, value, identifier):  # type: ignore[no-untyped-def]
    """Put a sum into a list, if it is among its best; `best` is (keys, bounds)."""
    keys, bounds = best
    if value > bounds[at]:
        count = keys.shape[1]
        key = np.int64(value) << 32 | np.int64(np.uint32(~np.uint32(identifier)))
        insert_key(keys.ctypes.data + at * count * 8, np.int64(count), key)
        # equal sums may enter by a lower id; a bound that was there before the list was full stays
        bounds[at] = max(bounds[at], np.int32((keys[at, count - 1] >> 32) - 1))


def merge(parts: list[Best]) -> Best:
    """The best of several threads' lists of the same rows."""
    merged = parts[0]
    for part in parts[1:]:
        _merge(merged.keys, part.keys)
    return merged


@numba.njit(cache=True, nogil=True)
def _merge(keys, more):  # type: ignore[no-untyped-def]
    n, count = keys.shape
    for row in range(n):
        for place in range(count):
            if more[row, place] <= keys[row, count - 1]:
                break
            insert_key(keys.ctypes.data + row * count * 8, np.int64(count), more[row, place])
