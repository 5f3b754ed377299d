"""Scores of a few given pairs while someone waits, against corpora that can be searched at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bitextmine.encoders import Encoder
from bitextmine.errors import ParameterError
from bitextmine.online.backgrounds import not_indexed
from bitextmine.online.budget import Budget
from bitextmine.online.engine import SearchEngine
from bitextmine.online.searchable import SearchableCorpus
from bitextmine.scoring import (
    Background,
    PairScores,
    ScoringParameters,
    check_background,
    check_languages,
    score_pairs,
)
from bitextmine.search import Neighbors
from bitextmine.search.row_scorer import stored_form
from bitextmine.vectors import StoredVectors
from bitextmine.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRequest:
    """What to score pairs against. Backgrounds are names of corpora; `exact` compares with each of their sentences."""

    src_lang: str
    tgt_lang: str
    src_background: str | None
    tgt_background: str | None
    parameters: ScoringParameters
    exact: bool = False


@dataclass(frozen=True, slots=True)
class UsedBackground:
    """A corpus that the other side's sentences were compared with, and whether with each of its sentences."""

    name: str
    sentences: int
    exact: bool


@dataclass(frozen=True, slots=True)
class ScoreAnswer:
    scores: PairScores
    src_background: UsedBackground | None
    tgt_background: UsedBackground | None


def score_online(
    engine: SearchEngine,
    workspace: Workspace,
    request: ScoreRequest,
    vectors: tuple[NDArray[np.floating], NDArray[np.floating]],
    encoder: Encoder,
) -> ScoreAnswer:
    """The scores of pairs, which are those of a mining job where both backgrounds are compared exactly.

    Of large backgrounds an index gives the candidates, as in a search, unless `exact` is asked for.

    Args:
        vectors: (n, dims) of the sources, and of the targets, by the encoder.

    Raises:
        NotFoundError: `corpus-not-found`.
        ConflictError: `corpus-not-embedded` or `corpus-not-indexed`.
        LanguageError: `language-not-covered`.
        ParameterError: `background-needed`, `background-language`, `corpus-too-small`, `k-too-large`,
            `search-too-large`.
        ArtifactError: something stored is damaged.
    """
    check_languages((request.src_lang, request.tgt_lang), encoder, request.parameters)
    scoring = _Scoring(engine, workspace, request, encoder)
    src_background = scoring.opened(request.src_background, request.src_lang)
    tgt_background = scoring.opened(request.tgt_background, request.tgt_lang)
    src, tgt = map(stored_form, vectors)
    budget = Budget()
    forward = scoring.neighbors(src, tgt_background, budget)
    backward = scoring.neighbors(tgt, src_background, budget)
    scores = score_pairs(
        StoredVectors.of(src),
        StoredVectors.of(tgt),
        src_neighbors=forward,
        tgt_neighbors=backward,
        margin=request.parameters.margin,
    )
    return ScoreAnswer(
        scores,
        scoring.used(request.src_background, src_background),
        scoring.used(request.tgt_background, tgt_background),
    )


@dataclass(frozen=True, slots=True)
class _Scoring:
    """One request at work."""

    engine: SearchEngine
    workspace: Workspace
    request: ScoreRequest
    encoder: Encoder

    def opened(self, name: str | None, lang: str) -> SearchableCorpus | None:
        parameters = self.request.parameters
        if name is None:
            if parameters.needs_backgrounds:
                message = f"the margin {parameters.margin} needs a background corpus of each side's language"
                raise ParameterError(message, code="background-needed")
            return None
        holdings = self.engine.holdings(self.workspace)
        entry = holdings.entry(name)
        check_background(Background(holdings.corpus(entry), name), lang, parameters)
        corpus = self.engine.open(holdings, entry, self.encoder)
        if not (corpus.usable or self.request.exact):
            raise not_indexed(name, corpus)
        return corpus

    def neighbors(
        self, queries: NDArray[np.float16], background: SearchableCorpus | None, budget: Budget
    ) -> Neighbors | None:
        if background is None:
            return None
        try:
            budget.spend(background, len(queries), exact=self.request.exact)
        except ParameterError as error:
            message = f"{error}; or send the pairs as a file to POST /v1/scoring-jobs"
            raise ParameterError(message, code=error.code) from error
        return background.nearest(queries, self.request.parameters.k, exact=self.request.exact)

    def used(self, name: str | None, corpus: SearchableCorpus | None) -> UsedBackground | None:
        if name is None or corpus is None:
            return None
        return UsedBackground(name, len(corpus), self.request.exact or corpus.scanned)
