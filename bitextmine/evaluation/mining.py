"""Precision, recall and F1 of mined pairs against gold pairs, as in BUCC.

Zweigenbaum, Sharoff & Rapp (2018), "Overview of the third BUCC shared task": pairs are compared by id. A threshold
that was tuned on the pairs it is judged by flatters, so it is tuned on one half of the source sentences here and
judged on the other.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bitextmine.bitext import Bitext
from bitextmine.corpus import Corpus
from bitextmine.errors import CorpusInputError, InputError

Sentence = TypeVar("Sentence", bound=Hashable)
_LAST_DIGIT = re.compile(r"(\d)\D*$")


@dataclass(frozen=True, slots=True)
class Scores:
    """Precision, recall and F1, each 0..1, of `mined` pairs against `gold`; `correct` are in both."""

    correct: int
    mined: int
    gold: int

    @property
    def precision(self) -> float:
        return self.correct / self.mined if self.mined else 0.0

    @property
    def recall(self) -> float:
        return self.correct / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        return 2 * self.correct / (self.mined + self.gold) if self.mined + self.gold else 0.0


@dataclass(frozen=True, slots=True)
class MiningEvaluation:
    """`held_out` is the honest figure: the threshold tuned on even source ids, judged on odd ones.

    `oracle` is the best that any threshold reaches on all gold pairs: an upper bound, not a result.
    """

    threshold: float
    held_out: Scores
    oracle_threshold: float
    oracle: Scores


def read_gold(path: Path) -> set[tuple[str, str]]:
    """Gold pairs: a source id, a tab, a target id on each line; blank lines may follow the last.

    Raises:
        CorpusInputError: the file cannot be read, or a line is not of that form.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except OSError as error:
        raise CorpusInputError(f"cannot read {path.name}: {error.strerror}", code="file-not-found") from error
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        raise CorpusInputError(f"{path.name}, line {number}: not UTF-8") from error
    gold = set()
    for number, line in enumerate(lines, start=1):
        fields = line.split("\t")
        if len(fields) != 2 or not all(fields):
            raise CorpusInputError(f"{path.name}, line {number}: not a source id, a tab and a target id")
        gold.add((fields[0], fields[1]))
    if not gold:
        raise CorpusInputError(f"{path.name} holds no gold pair", code="empty-corpus")
    return gold


def evaluate_bitext(bitext: Bitext, src: Corpus, tgt: Corpus, gold: Iterable[tuple[str, str]]) -> MiningEvaluation:
    """Judge a bitext that was mined without a threshold.

    Sentences are compared by text: a gold pair is found when a copy of both its sentences is, and gold pairs that
    are copies of one another count once.

    Raises:
        InputError: `gold-mismatch`, an id that the corpora do not hold, or that two sentences bear;
            `gold-too-small`, see `evaluate_pairs`.
    """
    src_rows, tgt_rows = _rows_by_id(src), _rows_by_id(tgt)
    gold_rows = set()
    for src_id, tgt_id in gold:
        if src_id not in src_rows or tgt_id not in tgt_rows:
            missing = src_id if src_id not in src_rows else tgt_id
            raise InputError(f"gold id {missing!r} is not in its corpus", code="gold-mismatch")
        gold_rows.add((src_rows[src_id], tgt_rows[tgt_id]))
    even_rows = {row for identifier, row in src_rows.items() if is_even(identifier, row)}
    table = bitext.table(["src_row", "tgt_row", "margin"])
    mined = list(zip(table["src_row"].to_pylist(), table["tgt_row"].to_pylist(), strict=True))
    return evaluate_pairs(mined, table["margin"].to_numpy(), gold_rows, even_rows)


def evaluate_pairs(
    mined: Sequence[tuple[Sentence, Sentence]],
    scores: NDArray[np.float32],
    gold: set[tuple[Sentence, Sentence]],
    even: set[Sentence],
) -> MiningEvaluation:
    """Judge pairs of anything hashable: `scores` are their margins, `even` the source sentences to tune on.

    Raises:
        InputError: `gold-too-small`, all gold pairs lie in one of the halves.
    """
    correct = np.fromiter((pair in gold for pair in mined), bool, len(mined))
    tuning = np.fromiter((src in even for src, _ in mined), bool, len(mined))
    gold_even = sum(src in even for src, _ in gold)
    if gold_even in {0, len(gold)}:
        message = "the gold pairs must have both even and odd source ids: one half is for tuning, the other for judging"
        raise InputError(message, code="gold-too-small")
    threshold, _ = best_threshold(scores[tuning], correct[tuning], gold_even)
    kept = ~tuning & (scores >= threshold)
    held_out = Scores(int(correct[kept].sum()), int(kept.sum()), len(gold) - gold_even)
    oracle_threshold, oracle = best_threshold(scores, correct, len(gold))
    return MiningEvaluation(threshold, held_out, oracle_threshold, oracle)


def best_threshold(scores: NDArray[np.float32], correct: NDArray[np.bool_], gold: int) -> tuple[float, Scores]:
    """The threshold of highest F1 (the highest such), halfway between the scores it separates.

    Args:
        scores: (m,) margins of mined pairs, in any order.
        correct: (m,) whether each is a gold pair.
        gold: how many gold pairs there are.
    """
    if not len(scores):
        return 0.0, Scores(0, 0, gold)
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], correct[order].cumsum()
    f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + gold)
    cuts = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))  # a threshold cannot part equal scores
    best = int(cuts[f1[cuts].argmax()])
    lowest, below = ranked[best], ranked[min(best + 1, len(ranked) - 1)]
    halfway = (lowest + below) / np.float32(2)
    threshold = float(halfway if halfway > below else lowest)  # neighbouring floats have nothing between them
    return threshold, Scores(int(hits[best]), best + 1, gold)


def _rows_by_id(corpus: Corpus) -> dict[str, int]:
    rows: dict[str, int] = {}
    for row, identifier in corpus.all_ids():
        if rows.setdefault(identifier, row) != row:
            message = f"id {identifier!r} stands for two different sentences of {corpus.source}"
            raise InputError(message, code="gold-mismatch")
    return rows


def is_even(identifier: str, row: int) -> bool:
    """Whether the last number in the id is even; the row's, where the id has none."""
    found = _LAST_DIGIT.search(identifier)
    return (int(found.group(1)) if found else row) % 2 == 0
