"""Neighbourhood means of hits: how close each is to its nearest of the query's language.

They are the stored ones where a mining job has searched that pair of corpora, so that a margin online is the job's;
else they are computed on the spot, and the last ones are kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bitextmine.margin import neighborhood_means
from bitextmine.online.budget import Budget
from bitextmine.online.holdings import MinedPair
from bitextmine.online.searchable import SearchableCorpus

_KEPT = 65_536


@dataclass(frozen=True, slots=True)
class Background:
    """A corpus of the query's language: by what a mining job stored of it, or by itself."""

    name: str
    mined: MinedPair | None
    corpus: SearchableCorpus | None  # None where the stored neighbours are all that is needed


@dataclass(frozen=True, slots=True)
class _Key:
    store: str
    searched: str
    background: str
    k: int
    exact: bool


class HitMeans:
    """Means of rows, of which a bounded number is kept. Shared by threads."""

    def __init__(self, most: int = _KEPT) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[_Key, int], float] = OrderedDict()

    def of(
        self,
        rows: NDArray[np.int64],
        searched: SearchableCorpus,
        background: Background,
        k: int,
        *,
        exact: bool,
        budget: Budget,
    ) -> NDArray[np.float32]:
        """Mean cosine of these distinct rows to their k nearest in the background, (n,).

        Raises:
            ConflictError: `corpus-not-indexed`.
            ParameterError: `search-too-large`.
        """
        if background.mined is not None:
            return background.mined.means(searched.digest, rows, k)
        other = background.corpus
        if other is None:
            return np.full(len(rows), np.nan, np.float32)
        where = str(searched.corpus.artifact.path.parent)
        key = _Key(where, searched.digest, other.digest, k, exact or other.scanned)
        means = self._look_up(key, rows)
        unknown = np.flatnonzero(np.isnan(means))
        if len(unknown):
            budget.spend(other, len(unknown), exact=exact)
            found = other.nearest(searched.vectors(rows[unknown]), k, exact=exact)
            means[unknown] = neighborhood_means(found)
            self._keep(key, rows[unknown], means[unknown])
        return means

    def _look_up(self, key: _Key, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        means = np.full(len(rows), np.nan, np.float32)
        with self._lock:
            for place, row in enumerate(rows.tolist()):
                if (mean := self._known.get((key, row))) is not None:
                    means[place] = mean
                    self._known.move_to_end((key, row))
        return means

    def _keep(self, key: _Key, rows: NDArray[np.int64], means: NDArray[np.float32]) -> None:
        with self._lock:
            for row, mean in zip(rows.tolist(), means.tolist(), strict=True):
                self._known[key, row] = mean
            while len(self._known) > self._most:
                self._known.popitem(last=False)
