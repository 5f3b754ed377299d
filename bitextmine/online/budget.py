"""How much one request may compare: a bound, so that one does not hold up the others for long."""

from __future__ import annotations

from bitextmine.errors import ParameterError
from bitextmine.online.searchable import SearchableCorpus

MOST_COMPARED = 400_000_000  # pairs of vectors: 6 s on a core with 512 dimensions


class Budget:
    """Pairs of vectors that a request may still have compared one by one."""

    def __init__(self, most: int = MOST_COMPARED) -> None:
        self._left = self._most = most

    def spend(self, corpus: SearchableCorpus, queries: int, *, exact: bool, rows: int | None = None) -> None:
        """Count a search of so many queries in a corpus, or in so many of its rows; one by its index counts nothing.

        Raises:
            ParameterError: `search-too-large`.
        """
        count = len(corpus) if rows is None else rows
        if exact or corpus.scanned or rows is not None:
            self._left -= queries * count
        if self._left < 0:
            message = (
                f"the request would compare more than {self._most:,} pairs of vectors one by one: "
                "ask with fewer texts, fewer hits or a smaller background, or without exact"
            )
            raise ParameterError(message, code="search-too-large")
