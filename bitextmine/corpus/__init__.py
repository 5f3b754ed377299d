"""Corpora: files of monolingual text become memory-mapped shards of distinct sentences."""

from bitextmine.corpus.build import CorpusFile, check_readable, format_of, ingest
from bitextmine.corpus.cleaning import CorpusFormat, Reason, Refusal
from bitextmine.corpus.corpus import Corpus, Shard
from bitextmine.corpus.identical import count_identical, identical_pairs
from bitextmine.corpus.parts import CorpusPart
from bitextmine.corpus.readers import Limits
from bitextmine.corpus.refused import encoding_hint

__all__ = [
    "Corpus",
    "CorpusFile",
    "CorpusFormat",
    "CorpusPart",
    "Limits",
    "Reason",
    "Refusal",
    "Shard",
    "check_readable",
    "count_identical",
    "encoding_hint",
    "format_of",
    "identical_pairs",
    "ingest",
]
