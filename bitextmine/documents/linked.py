"""The best candidate of each sentence within the documents that its own are linked to.

All pairs of sentences of linked documents are candidates, whether or not the search found them near; their margins are
set against the neighbourhoods that the search found in the whole corpora.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitextmine.documents.links import DocumentLinks, LinkedDocuments
from bitextmine.errors import ParameterError
from bitextmine.margin import Best, Margin, Pairs, Retrieval, Searched, choose_pairs, margin_scores, no_candidates
from bitextmine.progress import Progress, silent
from bitextmine.search import MISSING
from bitextmine.search.rescore import Scorer

STAGE = "linked-documents"
DEFAULT_BONUS, MAX_BONUS = 0.05, 10.0
_CANDIDATES = 1 << 20  # scored at once: some 60 MB


class DocumentUse(StrEnum):
    """What it means for a pair that its sentences are of linked documents."""

    RESTRICT = "restrict"  # only such pairs are mined
    BOOST = "boost"  # such a pair has a bonus where candidates are compared


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRule:
    """How links between documents decide which pairs are mined.

    `bonus` is added to the margin of a pair of linked documents where it is compared with other candidates and with
    the threshold, of `boost` only; the margin that the pair has, and that the ceiling is compared with, is without it.
    `links` None: documents of the same id are linked.
    """

    use: DocumentUse
    bonus: float = DEFAULT_BONUS
    links: DocumentLinks | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.bonus <= MAX_BONUS:  # NaN is not either
            raise ParameterError(f"a bonus of {self.bonus:g}; it must be between 0 and {MAX_BONUS:g}")

    def key(self) -> dict[str, Any]:
        """What of this decides which pairs come out, but for the links."""
        return {"use": self.use.value, **({"bonus": self.bonus} if self.use is DocumentUse.BOOST else {})}


@dataclass(frozen=True, slots=True)
class LinkedSearch:
    """What a choice of pairs by documents takes: the rule, the linked documents and the vectors of both sides."""

    rule: DocumentRule
    documents: LinkedDocuments
    scorer: Scorer
    progress: Progress = silent

    def choose(
        self,
        searched: Searched,
        margin: Margin,
        retrieval: Retrieval,
        bounds: tuple[float | None, float | None] = (None, None),
    ) -> tuple[Pairs, dict[str, int]]:
        """The pairs by the rule, and what there is to count: documents, links, and pairs of linked documents.

        Args:
            bounds: threshold and ceiling.
        """
        within = best_linked(self.documents, self.scorer, searched, margin, progress=self.progress)
        ahead, back = within
        if self.rule.use is DocumentUse.BOOST:
            found = searched.best(margin)
            ahead, back = (_better(best, of, self.rule.bonus) for best, of in zip(found, within, strict=True))
        pairs = choose_pairs(searched, ahead, back, retrieval, bounds)
        linked = (within[0].other[pairs.src] == pairs.tgt) | (within[1].other[pairs.tgt] == pairs.src)
        return pairs, {**self.documents.counts(), "linked_pairs": int(linked.sum())}


def best_linked(
    linked: LinkedDocuments, scorer: Scorer, searched: Searched, margin: Margin, *, progress: Progress = silent
) -> tuple[Best, Best]:
    """The best candidate by margin of each source row, and of each target row, within linked documents.

    Of equal ones the one of the lower row, so the result does not depend on the order of the links.

    Args:
        scorer: between the source's rows and the target's.
    """
    ahead, back = no_candidates(len(searched.src_means)), no_candidates(len(searched.tgt_means))
    total = len(linked.pairs)
    for src, tgt, done in _candidates(linked):
        cosine = scorer.cosines(src, tgt[:, None])[:, 0]
        score = margin_scores(cosine, searched.src_means[src], searched.tgt_means[tgt], margin)
        _improve(ahead, src, tgt, score, cosine)
        _improve(back, tgt, src, score, cosine)
        scorer.release()
        progress(STAGE, done, total)
    progress(STAGE, total, total)
    return ahead, back


_Batch = tuple[NDArray[np.int64], NDArray[np.int64], int]


def _candidates(linked: LinkedDocuments) -> Iterator[_Batch]:
    """Source and target rows of all candidates, in batches, each with the number of linked pairs done after it."""
    waiting: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    count = 0
    for done, (src_document, tgt_document) in enumerate(linked.pairs.tolist()):
        src = np.unique(linked.src.rows_of(src_document))
        tgt = np.unique(linked.tgt.rows_of(tgt_document))
        for part in _tiles(src, tgt):
            if count + len(part[0]) > _CANDIDATES and waiting:
                yield _joined(waiting, done)
                waiting, count = [], 0
            waiting.append(part)
            count += len(part[0])
    yield _joined(waiting, len(linked.pairs))


def _tiles(src: NDArray[np.int64], tgt: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """All pairs of these rows, at most _CANDIDATES of them at once."""
    for left in range(0, len(tgt), _CANDIDATES):
        few = tgt[left : left + _CANDIDATES]
        step = max(_CANDIDATES // len(few), 1)
        for start in range(0, len(src), step):
            part = src[start : start + step]
            yield np.repeat(part, len(few)), np.tile(few, len(part))


def _joined(parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]], done: int) -> _Batch:
    return np.concatenate([src for src, _ in parts]), np.concatenate([tgt for _, tgt in parts]), done


def _improve(
    best: Best,
    rows: NDArray[np.int64],
    others: NDArray[np.int64],
    score: NDArray[np.float32],
    cosine: NDArray[np.float32],
) -> None:
    """Take the best of these candidates for each row where it is better than what was known."""
    order = np.lexsort((others, -score, rows))
    first = order[np.concatenate([[True], rows[order][1:] != rows[order][:-1]])]
    row, known = rows[first], best.score[rows[first]]
    better = (score[first] > known) | ((score[first] == known) & (others[first] < best.other[row]))
    taken = first[better & np.isfinite(score[first])]
    best.other[rows[taken]], best.score[rows[taken]] = others[taken], score[taken]
    best.cosine[rows[taken]] = cosine[taken]


def _better(found: Best, linked: Best, bonus: float) -> Best:
    """Of each row, what the search found or what the linked documents hold, whichever is more with the bonus."""
    added = np.float32(bonus)
    chosen = (linked.other != MISSING) & (linked.score + added >= found.score)
    return Best(
        np.where(chosen, linked.other, found.other),
        np.where(chosen, linked.score, found.score),
        np.where(chosen, linked.cosine, found.cosine),
        np.where(chosen, added, np.float32(0)),
    )
