"""Figures that can be set against the literature's.

mining      precision, recall and F1 of mined pairs against gold pairs (BUCC)
sentences   files that are aligned line by line
retrieval   accuracy of finding each sentence's translation among all of the other side
tatoeba     that accuracy on the Tatoeba test set, language by language
xsim        the error of finding it by margin in files of any size
"""

from bitextmine.evaluation.mining import (
    MiningEvaluation,
    Scores,
    best_threshold,
    evaluate_bitext,
    evaluate_pairs,
    is_even,
    read_gold,
)

__all__ = [
    "MiningEvaluation",
    "Scores",
    "best_threshold",
    "evaluate_bitext",
    "evaluate_pairs",
    "is_even",
    "read_gold",
]
