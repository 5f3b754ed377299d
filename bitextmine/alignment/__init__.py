"""Sentence alignment inside a pair of documents: merged, split, added and left-out sentences are found.

Thompson & Koehn (2019), "Vecalign: Improved Sentence Alignment in Linear Time and Space" (EMNLP-IJCNLP).

blocks    texts and vectors of one sentence or several in a row
costs     what it costs to align two blocks, or to leave a sentence out
path      the cheapest way through both documents, within a band
align     coarse to fine: the band around the way through documents of half the length
score     strict and lax precision and recall
ladder    gold alignments as files
plot      a picture of the way through two documents
"""

from bitextmine.alignment.align import AlignmentParameters, Bead, align, align_blocks
from bitextmine.alignment.costs import Background
from bitextmine.alignment.ladder import read_ladder, without_other_lines
from bitextmine.alignment.plot import path_svg
from bitextmine.alignment.score import AlignmentScores, GoldBead, score_alignment

__all__ = [
    "AlignmentParameters",
    "AlignmentScores",
    "Background",
    "Bead",
    "GoldBead",
    "align",
    "align_blocks",
    "path_svg",
    "read_ladder",
    "score_alignment",
    "without_other_lines",
]
