"""How good an alignment is: strict and lax precision and recall, as the sentence alignment literature counts them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bitextmine.alignment.align import Bead


@dataclass(frozen=True, slots=True)
class AlignmentScores:
    """Shares of beads, 0 to 1; 1 where there are none to be wrong about."""

    strict_precision: float
    strict_recall: float
    lax_precision: float
    lax_recall: float

    @property
    def strict_f1(self) -> float:
        return _harmonic(self.strict_precision, self.strict_recall)

    @property
    def lax_f1(self) -> float:
        return _harmonic(self.lax_precision, self.lax_recall)


@dataclass(frozen=True, slots=True)
class GoldBead:
    """Sentences of one document and those of the other that say the same, in someone's judgement: rising numbers."""

    src: Sequence[int]
    tgt: Sequence[int]


def score_alignment(found: Sequence[Bead | GoldBead], gold: Sequence[Bead | GoldBead]) -> AlignmentScores:
    """Compare beads with gold beads; those with an empty side are left out on both.

    Strict: a bead counts if it is the same on both sides. Lax: if it shares a sentence on both sides with one of the
    others (Thompson & Koehn 2019, section 4; after Och & Ney's and Sennrich & Volk's counts).
    """
    mine, theirs = _sides(found), _sides(gold)
    my_links, their_links = _links(mine), _links(theirs)
    return AlignmentScores(
        strict_precision=_share(bead in theirs for bead in mine),
        strict_recall=_share(bead in mine for bead in theirs),
        lax_precision=_share(not their_links.isdisjoint(_links([bead])) for bead in mine),
        lax_recall=_share(not my_links.isdisjoint(_links([bead])) for bead in theirs),
    )


_Sides = tuple[tuple[int, ...], tuple[int, ...]]


def _sides(beads: Iterable[Bead | GoldBead]) -> set[_Sides]:
    return {(tuple(bead.src), tuple(bead.tgt)) for bead in beads if bead.src and bead.tgt}


def _links(beads: Iterable[_Sides]) -> set[tuple[int, int]]:
    """Each source sentence with each target sentence of its bead."""
    return {(i, j) for src, tgt in beads for i in src for j in tgt}


def _share(hits: Iterable[bool]) -> float:
    counted = list(hits)
    return sum(counted) / len(counted) if counted else 1.0


def _harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
