"""The documents of a corpus: which sentences each has, in the order of the lines, repeated ones included.

A corpus keeps distinct sentences in order of first appearance, and where else each was met. A document's text is made
of both.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bitextmine.corpus import Corpus
from bitextmine.search import MISSING

_DOC_ID = pa.large_string()
_NUMBER = "#(?P<number>[0-9]{1,9})$"  # at the end of an id


@dataclass(frozen=True, slots=True)
class Documents:
    """Documents by number, in the order of their first lines. Document d has the entries starts[d] to starts[d + 1]."""

    names: list[str | None]  # the doc_id of each; of a corpus taken as one document None
    starts: NDArray[np.int64]  # (documents + 1,)
    rows: NDArray[np.int64]  # (entries,) of the corpus
    lines: NDArray[np.int64]  # (entries,) counted from 1 in the file that each entry came from
    copies: NDArray[np.int64]  # (entries,) which of the corpus's copies it is, MISSING where it is none
    without: int  # lines with a sentence, but without a doc_id

    def __len__(self) -> int:
        return len(self.names)

    def rows_of(self, document: int) -> NDArray[np.int64]:
        """The document's sentences, as rows of the corpus."""
        return self.rows[self.starts[document] : self.starts[document + 1]]

    def lines_of(self, document: int) -> NDArray[np.int64]:
        """The lines of the document's sentences."""
        return self.lines[self.starts[document] : self.starts[document + 1]]


def has_documents(corpus: Corpus) -> bool:
    """Whether any line of the corpus has a doc_id; reads none of them."""
    shards = (corpus.shard_column("doc_id", shard) for shard in corpus.shards)
    copies = (corpus.copies_in(part)["doc_id"] for part in corpus.parts)
    return any(column.null_count < len(column) for column in chain(shards, copies))


def documents_of(corpus: Corpus) -> Documents:
    """The documents that a corpus's doc_ids name; none where it has no doc_ids.

    A document goes from file to file, and within one from line to line, whatever other documents' lines are between.
    Takes about 50 bytes of memory a line, and the names.
    """
    entries = _Entries.of(corpus)
    known = np.flatnonzero(entries.document >= 0)
    order = entries.in_order(corpus, known)
    codes, first = np.unique(entries.document[order], return_index=True)
    by_first = np.argsort(first)
    number = np.empty(len(entries.names), np.int64)
    number[codes[by_first]] = np.arange(len(codes))
    numbers = number[entries.document[order]]
    grouped = np.argsort(numbers, kind="stable")
    return Documents(
        entries.names.take(pa.array(codes[by_first])).to_pylist(),
        np.searchsorted(numbers[grouped], np.arange(len(codes) + 1)),
        entries.row[order][grouped],
        entries.line[order][grouped],
        entries.copies[order][grouped],
        len(entries.row) - len(known),
    )


def whole_corpus(corpus: Corpus) -> Documents:
    """A corpus as one document, whatever doc_ids it has."""
    entries = _Entries.of(corpus)
    order = entries.in_order(corpus, np.arange(len(entries.row)))
    starts = np.array([0, len(order)])
    return Documents([None], starts, entries.row[order], entries.line[order], entries.copies[order], 0)


@dataclass(frozen=True, slots=True)
class _Entries:
    """Every line of a corpus that holds a sentence: (entries,) each, first appearances and then copies."""

    names: pa.Array  # distinct doc_ids
    document: NDArray[np.int64]  # its number among the names, below 0 where it has none
    part: NDArray[np.int64]
    line: NDArray[np.int64]
    row: NDArray[np.int64]

    @property
    def copies(self) -> NDArray[np.int64]:
        numbers = np.arange(len(self.row)) - (self.row.max(initial=MISSING) + 1)  # every row appears first as itself
        copies: NDArray[np.int64] = np.maximum(numbers, MISSING)
        return copies

    def in_order(self, corpus: Corpus, which: NDArray[np.int64]) -> NDArray[np.int64]:
        """These entries in the order of their files, their lines, and the sentences of a line."""
        part, line, row = self.part[which], self.line[which], self.row[which]
        order = np.lexsort((row, line, part))
        if not ((np.diff(line[order]) == 0) & (np.diff(part[order]) == 0)).any():
            return which[order]
        return which[np.lexsort((row, _numbers_in_lines(corpus)[which], line, part))]

    @classmethod
    def of(cls, corpus: Corpus) -> _Entries:
        rows = np.arange(len(corpus))
        firsts = np.array([part.first_row for part in corpus.parts])
        ids = [corpus.shard_column("doc_id", shard) for shard in corpus.shards]
        lines = [corpus.shard_column("line", shard).to_numpy(zero_copy_only=False) for shard in corpus.shards]
        parts = [np.searchsorted(firsts, rows, side="right") - 1]  # of parts without a new sentence, the last
        sentences = [rows]
        for part in corpus.parts:
            copies = corpus.copies_in(part)
            ids += copies["doc_id"].chunks
            lines.append(copies["line"].to_numpy())
            parts.append(np.full(len(copies), part.number))
            sentences.append(copies["sentence"].to_numpy())
        named = pa.chunked_array([column.dictionary_encode() for column in ids], pa.dictionary(pa.int32(), _DOC_ID))
        joined = named.unify_dictionaries().combine_chunks()
        joined = pa.concat_arrays(joined.chunks) if isinstance(joined, pa.ChunkedArray) else joined
        codes = joined.indices.fill_null(-1).to_numpy().astype(np.int64)
        return cls(joined.dictionary, codes, *map(np.concatenate, (parts, lines, sentences)))


def _numbers_in_lines(corpus: Corpus) -> NDArray[np.int64]:
    """Which sentence of its line each entry is, (entries,). Only preparation makes several of one line, and gives them
    ids such as wiki-7#3. The row does not tell: a repeated sentence has that of its first appearance.
    """
    ids = [corpus.shard_column("id", shard) for shard in corpus.shards]
    ids += chain.from_iterable(corpus.copies_in(part)["id"].chunks for part in corpus.parts)
    found = [pc.extract_regex(column, _NUMBER).field("number").cast(pa.int64()) for column in ids]
    numbers: NDArray[np.int64] = pa.chunked_array(found, pa.int64()).fill_null(0).to_numpy()
    return numbers
