"""Margin scores of pairs that someone else made, against the neighbourhoods that background corpora give."""

from bitextmine.scoring.files import score_file
from bitextmine.scoring.parameters import Background, ScoringParameters, check_background, check_languages
from bitextmine.scoring.scores import PairScores, score_pairs
from bitextmine.scoring.tidying import at_work, tidy

__all__ = [
    "Background",
    "PairScores",
    "ScoringParameters",
    "at_work",
    "check_background",
    "check_languages",
    "score_file",
    "score_pairs",
    "tidy",
]
