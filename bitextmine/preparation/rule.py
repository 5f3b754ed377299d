"""What a rule is: a score for each sentence, which scores pass, and why one that does not is dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bitextmine.preparation.characters import Characters


class Rule(Protocol):
    """A rule that looks at one sentence at a time, of some language. docs/preparation.md has an entry for each name.

    Scores from `least` to `most` pass.
    """

    @property
    def name(self) -> str: ...

    @property
    def least(self) -> float: ...

    @property
    def most(self) -> float: ...

    def score(self, sentences: Characters) -> NDArray[np.float64]:
        """A score for each sentence, (n,); what it means is the rule's."""

    def accept(self, scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which scores pass, (n,)."""

    def reason(self, score: float) -> str:
        """Why a sentence with this score is dropped, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    """What rules have in common: scores between two bounds pass, both included."""

    least: float = float("-inf")
    most: float = float("inf")

    def accept(self, scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        passed: NDArray[np.bool_] = (scores >= self.least) & (scores <= self.most)
        return passed
