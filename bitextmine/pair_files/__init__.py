"""Bitexts that others made: their sentence pairs, read from TSV, Moses, TMX and JSONL files in bounded memory."""

from bitextmine.pair_files.columns import Columns
from bitextmine.pair_files.ingest import IngestedPairs, delete_ingested, ingest_pairs
from bitextmine.pair_files.pairs import PairBlock, PairFile, PairFormat, pair_format_of
from bitextmine.pair_files.read import read_pairs

__all__ = [
    "Columns",
    "IngestedPairs",
    "PairBlock",
    "PairFile",
    "PairFormat",
    "delete_ingested",
    "ingest_pairs",
    "pair_format_of",
    "read_pairs",
]
