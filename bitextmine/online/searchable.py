"""A corpus that is searched while someone waits: its sentences, its vectors and, where it is large, an index."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import Corpus
from bitextmine.embeddings import Embeddings, find_embeddings
from bitextmine.encoders import Encoder
from bitextmine.errors import ArtifactError, ConflictError, MismatchError, ParameterError
from bitextmine.online.filters import Filter, rows_where
from bitextmine.online.search_index import find_search_index
from bitextmine.online.sentences import SentenceReader
from bitextmine.search.index_shards import ShardedIndex
from bitextmine.search.index_spec import CodeKind
from bitextmine.search.ivfpq import IndexSearcher
from bitextmine.search.neighbors import MISSING, Neighbors
from bitextmine.search.row_scorer import RowScorer, stored_form
from bitextmine.vectors import unit_rows

SCANNED_ROWS = 50_000  # so few are compared one by one: 2 ms with vectors of 512 dimensions
CANDIDATES = 256  # of an index, to be rescored: a few hundredths of a millisecond
_CANDIDATES_A_NEIGHBOR = 8
_MOST_CANDIDATES = 8_192  # where few of them pass a filter
_FILTERS_KEPT = 8


class SearchableCorpus:
    """A corpus with its vectors by one encoder. Shared by threads; nothing in it is changed by a search.

    Cosines are exact, with the bits that a mining job gets for the same vectors.
    """

    def __init__(self, corpus: Corpus, embeddings: Embeddings, index: ShardedIndex | None = None) -> None:
        """
        Raises:
            MismatchError: the vectors are not those of the corpus, or the index is not of the vectors.
        """
        if len(corpus) != len(embeddings):
            raise MismatchError(f"{len(embeddings):,} vectors do not belong to {len(corpus):,} sentences")
        self.corpus, self.embeddings, self.index = corpus, embeddings, index
        self.sentences = SentenceReader(corpus)
        self._scorer = RowScorer(embeddings)
        self._searcher = None if index is None else IndexSearcher(index, embeddings)
        self.loaded_bytes = _loaded_bytes(index)
        """What its index takes of the process's memory when it has been searched; what is mapped counts nothing."""
        self._lock = threading.Lock()
        self._rows: OrderedDict[Filter, NDArray[np.int64]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.corpus)

    @property
    def digest(self) -> str:
        """Of the vectors: what stored neighbours are named by."""
        return self.embeddings.digest

    @property
    def scanned(self) -> bool:
        """Whether it is so small that its index, if it has one, is not used."""
        return len(self) <= SCANNED_ROWS

    @property
    def usable(self) -> bool:
        """Whether it can be searched without comparing with a large number of rows."""
        return self.scanned or self.index is not None

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """Vectors as they are stored, (n, dims): queries that stand for the sentences themselves."""
        return self._scorer.take(rows)

    def nearest(
        self,
        queries: NDArray[np.floating],
        k: int,
        *,
        probes: int | None = None,
        exact: bool = False,
        rows: NDArray[np.int64] | None = None,
    ) -> Neighbors:
        """The k nearest rows of each query, with exact cosines; fewer where there are not so many.

        Small corpora are compared one by one. Of large ones the index gives candidates; rows among the nearest that
        are not among the candidates are missed (docs/benchmarks.md has how many).

        Args:
            queries: (q, dims) float32, rounded to float16 as stored vectors are; float16 is taken as stored.
            probes: cells of the index to search, 1 to its number of cells (more count as all); by default the index's.
            exact: compare with every row, whatever the size.
            rows: find only these, distinct and rising. No fewer than exist are found.

        Raises:
            MismatchError: queries of other dimensions, or not finite.
            ParameterError: `invalid-k`; probes below 1.
            ConflictError: `corpus-not-indexed`: it is large and has no index.
        """
        if k < 1:
            raise ParameterError(f"k is {k}; it must be at least 1", code="invalid-k")
        if probes is not None and probes < 1:
            raise ParameterError(f"probes is {probes}; it must be at least 1")
        if queries.ndim == 2 and queries.shape[1] != self.embeddings.dims:
            message = f"queries of {queries.shape[1]} dimensions; the corpus's vectors have {self.embeddings.dims}"
            raise MismatchError(message)
        stored = stored_form(queries)
        if exact or (len(self) if rows is None else len(rows)) <= SCANNED_ROWS:
            return self._scorer.scan(stored, k, rows)
        if rows is None:
            return self._scorer.best(stored, self._candidates(stored, _candidate_count(k), probes).ids, k)
        return self._among_many(stored, k, probes, rows)

    def rows_where(self, wanted: Filter) -> NDArray[np.int64] | None:
        """The rows that a filter passes, rising; None where it passes all. The last few answers are kept."""
        if wanted.passes_all:
            return None
        with self._lock:
            if wanted in self._rows:
                self._rows.move_to_end(wanted)
                return self._rows[wanted]
        rows = rows_where(self.sentences, wanted)
        with self._lock:
            self._rows[wanted] = rows
            while len(self._rows) > _FILTERS_KEPT:
                self._rows.popitem(last=False)
        return rows

    def _candidates(self, queries: NDArray[np.float16], count: int, probes: int | None) -> Neighbors:
        if self._searcher is None or self.index is None:
            message = (
                f"{self.corpus.source} has {len(self):,} sentences and no index: make one with "
                "POST /v1/corpora/NAME/indexes, or ask for an exact search"
            )
            raise ConflictError(message, code="corpus-not-indexed")
        cells = None if probes is None else min(probes, self.index.spec.nlist)
        try:
            return self._searcher.candidates(unit_rows(queries), count, cells)
        except ArtifactError:
            if all(shard.path.exists() for shard in (self.index.training, *self.index.shards)):
                raise
            message = f"the index of {self.corpus.source} was deleted while it was searched; make it again"
            raise ConflictError(message, code="corpus-not-indexed") from None

    def _among_many(
        self, queries: NDArray[np.float16], k: int, probes: int | None, rows: NDArray[np.int64]
    ) -> Neighbors:
        """The best of so many more candidates as the share of rows that pass; where few pass, of all the rows."""
        wanted = _candidate_count(k)
        asked = min(wanted * -(-len(self) // len(rows)), _MOST_CANDIDATES)
        ids = self._candidates(queries, asked, probes).ids
        places = np.minimum(np.searchsorted(rows, ids), len(rows) - 1)
        ids = np.where(rows[places] == ids, ids, MISSING)
        found = self._scorer.best(queries, ids, k)
        few = np.flatnonzero((ids != MISSING).sum(axis=1) < min(wanted // 4, len(rows)))
        if len(few):
            again = self._scorer.scan(np.ascontiguousarray(queries[few]), k, rows)
            found.ids[few], found.sims[few] = again.ids, again.sims
        return found


def open_searchable(
    name: str, corpus: Corpus, encoder: Encoder, store: ArtifactStore, *, memory_bytes: int | None = None
) -> SearchableCorpus:
    """A corpus as it can be searched now; its index, if there is one, is loaded at the first search.

    Args:
        memory_bytes: most of an index that is loaded at a time; always one shard.

    Raises:
        ConflictError: `corpus-not-embedded`.
        MismatchError, ArtifactError: what is stored is damaged.
    """
    embeddings = find_embeddings(corpus, encoder, store)
    if embeddings is None:
        message = (
            f"corpus {name!r} has no vectors by {encoder.name}: make them with POST /v1/corpora/{name}/indexes, "
            "or mine it"
        )
        raise ConflictError(message, code="corpus-not-embedded")
    index = find_search_index(embeddings, store) if len(corpus) > SCANNED_ROWS else None
    if index is not None and memory_bytes is not None:
        index = index.limited(memory_bytes)
    return SearchableCorpus(corpus, embeddings, index)


def _loaded_bytes(index: ShardedIndex | None) -> int:
    if index is None or index.spec.kind is not CodeKind.PQ_FASTSCAN:
        return 0
    return index.file_bytes * index.open_shards // max(len(index), 1)


def _candidate_count(k: int) -> int:
    return max(CANDIDATES, _CANDIDATES_A_NEIGHBOR * k)
