"""What a filter of pairs is: a score for each pair, which scores pass, and why one that does not is dropped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PairBatch:
    """Some pairs of one bitext: texts of both sides and margins, all of length n. Languages are in deu_Latn form.

    A margin is NaN where a file of pairs gives none.
    """

    src: Sequence[str]
    tgt: Sequence[str]
    margin: NDArray[np.float32]
    src_lang: str
    tgt_lang: str

    def __len__(self) -> int:
        return len(self.src)


class PairFilter(Protocol):
    """One rule. `name` is stable: it stands in reports; docs/filters.md has an entry for each."""

    @property
    def name(self) -> str: ...

    @property
    def least(self) -> float:
        """The lowest score that passes; minus infinity where there is no such bound."""

    @property
    def most(self) -> float:
        """The highest."""

    @property
    def learnt(self) -> Mapping[str, float]:
        """What was fitted to the bitext, by name."""

    def fitted(self, batches: Iterable[PairBatch]) -> PairFilter:
        """The filter for this bitext: what it has to know of all pairs is counted here. Itself, if that is nothing."""

    def score(self, pairs: PairBatch) -> NDArray[np.float64]:
        """A score for each pair, (n,); what it means is the filter's."""

    def accept(self, scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which scores pass, (n,)."""

    def reason(self, score: float) -> str:
        """Why a pair with this score is dropped, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    """What filters have in common: scores between two bounds, both included, pass, and so does NaN, an unknown one."""

    least: float = float("-inf")
    most: float = float("inf")

    @property
    def learnt(self) -> Mapping[str, float]:
        return {}

    def accept(self, scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        passed: NDArray[np.bool_] = ~((scores < self.least) | (scores > self.most))
        return passed
