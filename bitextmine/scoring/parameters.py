"""What decides a pair's score, and what is refused before any work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bitextmine.corpus import Corpus
from bitextmine.encoders import Encoder
from bitextmine.errors import ParameterError
from bitextmine.margin import Margin
from bitextmine.mining import MiningParameters
from bitextmine.mining import check_languages as check_languages_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringParameters:
    """`k` is the neighbourhood's size, as in mining.

    Raises:
        ParameterError: `invalid-k`.
    """

    k: int = 4
    margin: Margin = Margin.RATIO
    allow_uncovered_languages: bool = False

    def __post_init__(self) -> None:
        MiningParameters(k=self.k)

    @property
    def needs_backgrounds(self) -> bool:
        return self.margin is not Margin.ABSOLUTE


@dataclass(frozen=True, slots=True)
class Background:
    """A corpus of one side's language, in which the other side's sentences have their nearest; `name` is for people."""

    corpus: Corpus
    name: str


def check_languages(langs: Iterable[str], encoder: Encoder, parameters: ScoringParameters) -> None:
    """
    Raises:
        LanguageError: `language-not-covered`, unless the parameters allow it.
    """
    allowed = MiningParameters(allow_uncovered_languages=parameters.allow_uncovered_languages)
    check_languages_of(langs, encoder, allowed)


def check_background(background: Background, lang: str, parameters: ScoringParameters) -> None:
    """Refuse a background that is not in its side's language, or too small for a neighbourhood.

    Raises:
        ParameterError: `background-language`, `corpus-too-small` or `k-too-large`.
    """
    corpus = background.corpus
    if corpus.lang != lang:
        message = f"the background {background.name} is in {corpus.lang}, and the sentences of its side are in {lang}"
        raise ParameterError(message, code="background-language")
    check_size(len(corpus), f"the background {background.name}", parameters)


def check_size(rows: int, what: str, parameters: ScoringParameters) -> None:
    """
    Raises:
        ParameterError: `corpus-too-small` or `k-too-large`: a neighbourhood of k has no room in so many rows.
    """
    if rows < 2 and parameters.needs_backgrounds:
        message = f"{what} has {rows} sentence: a margin compares a pair with its neighbours, so two are the least"
        raise ParameterError(message, code="corpus-too-small")
    if parameters.k > rows:
        message = f"k={parameters.k} is more than the {rows:,} sentences of {what}; use k={rows} or less"
        raise ParameterError(message, code="k-too-large")
