"""Which corpus of the query's language says how close hits are to everything."""

from __future__ import annotations

from bitextmine.catalog import CatalogEntry
from bitextmine.embeddings import embeddings_digest
from bitextmine.encoders import Encoder
from bitextmine.errors import ArtifactError, ConflictError, MismatchError, ParameterError
from bitextmine.online.holdings import Holdings
from bitextmine.online.means import Background
from bitextmine.online.opened import OpenCorpora
from bitextmine.online.request import SearchRequest
from bitextmine.online.searchable import SearchableCorpus


class Backgrounds:
    """Chooses backgrounds for one request."""

    def __init__(self, holdings: Holdings, opened: OpenCorpora, encoder: Encoder, request: SearchRequest) -> None:
        self._holdings, self._opened, self._encoder, self._request = holdings, opened, encoder, request

    def of(self, searched: SearchableCorpus) -> Background | None:
        """The corpus that was asked for; else the one of the query's language that was mined with the corpus searched;
        else the largest of that language that can be searched; None where there is none, or no language was given.

        Raises:
            NotFoundError: `corpus-not-found`.
            ConflictError: `corpus-not-embedded` or `corpus-not-indexed`: the one that was asked for.
            ParameterError: `same-corpus`; `background-language`: it is not in the query's language.
        """
        if self._request.background is not None:
            return self._asked_for(self._request.background, searched)
        if self._request.lang is None:
            return None
        entries = [entry for entry in self._holdings.of_language(self._request.lang) if self._digest(entry)]
        others = [entry for entry in entries if self._digest(entry) != searched.digest]
        mined = [found for entry in others if (found := self._mined(entry, searched)) is not None]
        return max(mined, key=_fidelity, default=None) or self._largest(others)

    def _asked_for(self, name: str, searched: SearchableCorpus) -> Background:
        entry = self._holdings.entry(name)
        if self._request.lang is not None and entry.lang != self._request.lang:
            message = f"the background {name!r} is in {entry.lang}, and the queries are in {self._request.lang}"
            raise ParameterError(message, code="background-language")
        corpus = self._holdings.corpus(entry)
        if embeddings_digest(corpus, self._encoder.signature) == searched.digest:
            message = f"the background {name!r} has the sentences that are searched: each would only find itself"
            raise ParameterError(message, code="same-corpus")
        if (mined := self._mined(entry, searched)) is not None:
            return mined
        opened = self._opened.get(name, corpus, self._encoder, self._holdings.store)
        if not (opened.usable or self._request.exact):
            raise not_indexed(name, opened)
        return Background(name, None, opened)

    def _mined(self, entry: CatalogEntry, searched: SearchableCorpus) -> Background | None:
        digest, k = self._digest(entry), self._request.neighborhood
        pair = self._holdings.mined(searched.digest, digest, k, exact=self._request.exact)
        return None if pair is None else Background(entry.name, pair, None)

    def _largest(self, entries: list[CatalogEntry]) -> Background | None:
        by_size = sorted(entries, key=lambda entry: -len(self._holdings.corpus(entry)))
        for entry in by_size:
            corpus = self._holdings.corpus(entry)
            try:
                opened = self._opened.get(entry.name, corpus, self._encoder, self._holdings.store)
            except (ConflictError, ArtifactError, MismatchError):
                continue
            if opened.usable or self._request.exact:
                return Background(entry.name, None, opened)
        return None

    def _digest(self, entry: CatalogEntry) -> str:
        """Of the corpus's vectors by the encoder, there or not; empty where the corpus is damaged."""
        try:
            return self._holdings.vectors_digest(entry, self._encoder.signature)
        except ArtifactError:
            return ""


def _fidelity(background: Background) -> tuple[bool, float, str]:
    return background.mined.fidelity if background.mined else (False, 0.0, "")


def not_indexed(name: str, corpus: SearchableCorpus) -> ConflictError:
    message = (
        f"corpus {name!r} has {len(corpus):,} sentences and no index: make one with POST /v1/corpora/{name}/indexes, "
        "or ask for an exact search"
    )
    return ConflictError(message, code="corpus-not-indexed")
