"""What a search asks for, and what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bitextmine.errors import ParameterError
from bitextmine.margin import Margin
from bitextmine.online.filters import Filter
from bitextmine.online.sentences import StoredSentence


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """Where to search, how, and which hits to keep.

    The nearest `k` of each corpus by cosine are the candidates; those that pass the least scores come out by falling
    margin, the best k of all corpora. `neighborhood` is a margin's k.
    """

    corpora: Sequence[str] = ()
    langs: Sequence[str] = ()  # all corpora of these languages that the encoder has embedded
    lang: str | None = None  # of the queries, deu_Latn form
    k: int = 10
    margin: Margin = Margin.RATIO
    neighborhood: int = 4
    background: str | None = None  # corpus of the queries' language; chosen if absent
    probes: int | None = None
    exact: bool = False
    min_margin: float | None = None
    min_cosine: float | None = None
    filter: Filter = field(default_factory=Filter)
    allow_uncovered_languages: bool = False

    def __post_init__(self) -> None:
        if not self.corpora and not self.langs:
            raise ParameterError("name the corpora to search, or their languages")
        if min(self.k, self.neighborhood) < 1:
            raise ParameterError(f"k is {min(self.k, self.neighborhood)}; it must be at least 1", code="invalid-k")


@dataclass(frozen=True, slots=True)
class Hit:
    """A sentence near a query. Margins and means are None where there is no background (or a mean is not positive)."""

    corpus: str
    lang: str
    row: int
    sentence: StoredSentence
    cosine: float
    margin: float | None
    query_mean: float | None  # of the query to its nearest in the hit's corpus
    hit_mean: float | None  # of the hit to its nearest in the background


@dataclass(frozen=True, slots=True)
class SearchedCorpus:
    """A corpus that was searched, and how."""

    name: str
    lang: str
    sentences: int
    exact: bool  # every row was compared; else its index gave candidates
    background: str | None  # the corpus that hits' means come from
    background_mined: bool  # they are those of a mining job


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """The hits of each query, best first, and where they were searched."""

    hits: list[list[Hit]]
    searched: list[SearchedCorpus]
    skipped: list[tuple[str, str]]  # corpora of the languages asked for that could not be, each with the error's code
    by_margin: bool  # hits are in order of margin; else of cosine: a corpus has no background
