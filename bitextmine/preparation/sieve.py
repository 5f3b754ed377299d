"""Every sentence is asked for by every rule until one drops it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bitextmine.corpus.dedup import SeenSentences, hash_sentences
from bitextmine.preparation.characters import Characters
from bitextmine.preparation.near import NearSentences
from bitextmine.preparation.parameters import EXCLUDED, NEAR_DUPLICATE
from bitextmine.preparation.rule import Rule


@dataclass(frozen=True, slots=True)
class Drop:
    """Why a sentence is dropped; None in place of a sentence's Drop means that it stays."""

    rule: str
    score: float
    reason: str


class Sieve:
    """Which sentences stay, of those that come in their order. Equal sentences have the same fate.

    Args:
        seen: the sentences that stayed, which whoever keeps them adds.
        excluded: sentences that are dropped wherever they are.
    """

    def __init__(
        self, rules: Sequence[Rule], near: NearSentences, seen: SeenSentences, excluded: SeenSentences | None = None
    ) -> None:
        self._rules, self._near, self._seen, self._excluded = rules, near, seen, excluded

    def sift(self, texts: list[str]) -> list[Drop | None]:
        """Why each sentence is dropped, (n,)."""
        if not texts:
            return []
        hashes = hash_sentences(texts)
        new = np.flatnonzero(self._seen.find(hashes) < 0)
        numbers: dict[str, int] = {}  # of the distinct ones among the new
        of = [numbers.setdefault(texts[row], len(numbers)) for row in new.tolist()]
        fates = self._fates(list(numbers))
        found: list[Drop | None] = [None] * len(texts)
        for row, number in zip(new.tolist(), of, strict=True):
            found[row] = fates[number]
        return found

    def _fates(self, texts: list[str]) -> list[Drop | None]:
        fates: list[Drop | None] = [None] * len(texts)
        rows = np.arange(len(texts))
        if self._excluded is not None:
            there = self._excluded.find(hash_sentences(texts)) >= 0
            for row in rows[there].tolist():
                fates[row] = Drop(EXCLUDED, 1.0, "it is among the sentences to exclude")
            rows = rows[~there]
        sentences = Characters(texts)
        for rule in self._rules:
            if len(rows) < len(sentences):
                sentences = Characters([texts[row] for row in rows.tolist()])
            rows = _passed(rule, rows, sentences, fates)
        staying = [texts[row] for row in rows.tolist()]
        for row, same in zip(rows.tolist(), self._near.add(staying).tolist(), strict=True):
            if same >= 0:
                fates[row] = Drop(NEAR_DUPLICATE, float(same), f"nearly the same as sentence {same}")
        return fates


def _passed(rule: Rule, rows: NDArray[np.int64], sentences: Characters, fates: list[Drop | None]) -> NDArray[np.int64]:
    """The rows that a rule passes; the fates of the others are written down."""
    scores = rule.score(sentences)
    passed = rule.accept(scores)
    for row, score in zip(rows[~passed].tolist(), scores[~passed].tolist(), strict=True):
        fates[row] = Drop(rule.name, score, rule.reason(score))
    return rows[passed]
