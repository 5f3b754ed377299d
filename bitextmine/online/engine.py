"""From a request and its vectors to hits: choose corpora and backgrounds, search, score, merge."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from bitextmine.catalog import CatalogEntry
from bitextmine.encoders import Encoder
from bitextmine.errors import BitextmineError, ConflictError, MismatchError, NotFoundError, ParameterError
from bitextmine.margin import Margin
from bitextmine.mining import MiningParameters, check_languages
from bitextmine.online.backgrounds import Backgrounds, not_indexed
from bitextmine.online.budget import Budget
from bitextmine.online.hits import Target, ranked, search_target
from bitextmine.online.holdings import Holdings
from bitextmine.online.means import HitMeans
from bitextmine.online.opened import OpenCorpora
from bitextmine.online.request import SearchAnswer, SearchedCorpus, SearchRequest
from bitextmine.online.searchable import SearchableCorpus
from bitextmine.search.row_scorer import stored_form
from bitextmine.workspace import Workspace

MOST_CORPORA = 64  # searched by one request
_WORKSPACES_KEPT = 256
_DEFAULT_MOST, _DEFAULT_BYTES = 32, 4 << 30


class SearchEngine:
    """Answers searches in any workspace. Shared by threads.

    Corpora are opened when they are first searched, and a bounded number is kept. Every cache is keyed by the
    workspace: what one has searched decides nothing of what another sees, not even how fast.
    """

    def __init__(self, *, most_corpora: int = _DEFAULT_MOST, most_bytes: int = _DEFAULT_BYTES) -> None:
        """
        Args:
            most_corpora: corpora kept open.
            most_bytes: of the indexes that are loaded.
        """
        self._opened = OpenCorpora(most=most_corpora, max_bytes=most_bytes)
        self._means = HitMeans()
        self._lock = threading.Lock()
        self._holdings: OrderedDict[Workspace, Holdings] = OrderedDict()

    def search(
        self, workspace: Workspace, request: SearchRequest, vectors: NDArray[np.floating], encoder: Encoder
    ) -> SearchAnswer:
        """The hits of each query.

        Args:
            vectors: (q, dims) of the queries by the encoder; float32 is rounded to float16, as stored vectors are.

        Raises:
            NotFoundError: `corpus-not-found`: also where there is none of the languages asked for, or no longer.
            ConflictError: `corpus-not-embedded` or `corpus-not-indexed`.
            LanguageError: `language-not-covered`: the encoder does not know the queries' language.
            MismatchError: vectors of other dimensions, or not finite.
            ParameterError: `background-needed`, `background-language`, `same-corpus`, `search-too-large`,
                `too-many-corpora`.
            ArtifactError: something stored is damaged.
        """
        try:
            return self._search(workspace, request, vectors, encoder)
        except FileNotFoundError as error:
            message = "a corpus was deleted while it was searched"
            raise NotFoundError(message, code="corpus-not-found") from error

    def _search(
        self, workspace: Workspace, request: SearchRequest, vectors: NDArray[np.floating], encoder: Encoder
    ) -> SearchAnswer:
        if request.lang is not None:
            allowed = MiningParameters(allow_uncovered_languages=request.allow_uncovered_languages)
            check_languages([request.lang], encoder, allowed)
        queries = stored_form(vectors)
        if queries.shape[1] != encoder.dims:
            raise MismatchError(
                f"queries of {queries.shape[1]} dimensions; those of {encoder.name} have {encoder.dims}"
            )
        holdings = self.holdings(workspace)
        targets, skipped = self._targets(holdings, request, encoder)
        by_margin = request.margin is not Margin.ABSOLUTE and all(target.background for target in targets)
        if request.min_margin is not None and request.margin is not Margin.ABSOLUTE and not by_margin:
            message = "min_margin needs a background corpus for every corpus searched: name lang, or background"
            raise ParameterError(message, code="background-needed")
        budget = Budget()
        found = [search_target(target, queries, request, self._means, budget) for target in targets]
        hits = [ranked(found, row, request, by_margin=by_margin) for row in range(len(queries))]
        return SearchAnswer(hits, [_searched(target, request) for target in targets], skipped, by_margin)

    def holdings(self, workspace: Workspace) -> Holdings:
        """What the workspace has."""
        with self._lock:
            if workspace not in self._holdings:
                self._holdings[workspace] = Holdings(workspace)
            self._holdings.move_to_end(workspace)
            while len(self._holdings) > _WORKSPACES_KEPT:
                self._holdings.popitem(last=False)
            return self._holdings[workspace]

    def open(self, holdings: Holdings, entry: CatalogEntry, encoder: Encoder) -> SearchableCorpus:
        """
        Raises:
            ConflictError: `corpus-not-embedded`.
            ArtifactError, MismatchError: something stored is damaged.
        """
        return self._opened.get(entry.name, holdings.corpus(entry), encoder, holdings.store)

    def _targets(
        self, holdings: Holdings, request: SearchRequest, encoder: Encoder
    ) -> tuple[list[Target], list[tuple[str, str]]]:
        """The corpora to search, and those of the languages asked for that cannot be, with the reason's code."""
        named = {name: holdings.entry(name) for name in request.corpora}
        of_langs = {entry.name: entry for lang in request.langs for entry in holdings.of_language(lang)}
        if not named and not of_langs:
            raise NotFoundError(f"there is no corpus in {', '.join(request.langs)}", code="corpus-not-found")
        if len(named | of_langs) > MOST_CORPORA:
            message = f"{len(named | of_langs)} corpora were to be searched; {MOST_CORPORA} is the most: name them"
            raise ParameterError(message, code="too-many-corpora")
        backgrounds = Backgrounds(holdings, self._opened, encoder, request)
        targets, skipped = [], []
        for name, entry in (named | of_langs).items():
            try:
                targets.append(self._target(holdings, entry, request, encoder, backgrounds))
            except (ConflictError, ParameterError) as error:
                if name in named or not _skippable(error):
                    raise
                skipped.append((name, error.code))
        if not targets:
            name, code = skipped[0]
            raise ConflictError(f"none of {len(skipped)} corpora can be searched: {name!r} is one of them", code=code)
        return targets, skipped

    def _target(
        self,
        holdings: Holdings,
        entry: CatalogEntry,
        request: SearchRequest,
        encoder: Encoder,
        backgrounds: Backgrounds,
    ) -> Target:
        corpus = self.open(holdings, entry, encoder)
        if not (corpus.usable or request.exact):
            raise not_indexed(entry.name, corpus)
        wants_margin = request.margin is not Margin.ABSOLUTE
        return Target(entry, corpus, backgrounds.of(corpus) if wants_margin else None)


def _skippable(error: BitextmineError) -> bool:
    """Whether a corpus that was asked for by its language may be left out: it is not ready, or is the background."""
    return error.code in {"corpus-not-embedded", "corpus-not-indexed", "same-corpus"}


def _searched(target: Target, request: SearchRequest) -> SearchedCorpus:
    return SearchedCorpus(
        name=target.entry.name,
        lang=target.entry.lang,
        sentences=len(target.corpus),
        exact=request.exact or target.corpus.scanned,
        background=target.background.name if target.background else None,
        background_mined=bool(target.background and target.background.mined),
    )
