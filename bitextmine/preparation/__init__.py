"""Preparation of corpora: documents split, sentences normalised, de-duplicated and asked for by rules, all accounted.

sources      files, directories and globs; what a file holds
reading      files of every kind as blocks of sentences (with parquet, sentences, tidying)
sieve        the rules one after the other (rule, shape, language, repetition, near, excluded)
making       the corpus, and what becomes of a former version of it (wanted); the account (report, rejected)
"""

from bitextmine.preparation.making import prepare, rehearse
from bitextmine.preparation.parameters import (
    NearDuplicates,
    Normalization,
    PreparationParameters,
    Split,
    Tidying,
    rule_names,
    with_rule,
)
from bitextmine.preparation.rejected import Reject, rejects
from bitextmine.preparation.report import PreparationReport, report_of
from bitextmine.preparation.sources import SourceKind, expand_sources, kind_of

__all__ = [
    "NearDuplicates",
    "Normalization",
    "PreparationParameters",
    "PreparationReport",
    "Reject",
    "SourceKind",
    "Split",
    "Tidying",
    "expand_sources",
    "kind_of",
    "prepare",
    "rehearse",
    "rejects",
    "report_of",
    "rule_names",
    "with_rule",
]
