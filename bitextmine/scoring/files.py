"""A file of pairs, end to end: embedded, searched in the backgrounds, scored, a bitext by falling margin."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from bitextmine.artifacts import ArtifactKey, ArtifactStore
from bitextmine.bitext import KIND, PAIRS, Bitext
from bitextmine.corpus import Corpus, Reason, Refusal
from bitextmine.corpus.refused import REFUSED, RefusalLog
from bitextmine.embeddings import Embeddings, embed
from bitextmine.encoders import Encoder
from bitextmine.errors import ArtifactError, CorpusInputError
from bitextmine.pair_files import IngestedPairs
from bitextmine.progress import Progress, silent
from bitextmine.resources import Resources
from bitextmine.scoring.neighborhoods import Neighborhoods, discard_neighborhoods, find_neighborhoods
from bitextmine.scoring.parameters import Background, ScoringParameters, check_background, check_languages, check_size
from bitextmine.scoring.scores import PairScores, score_rows
from bitextmine.scoring.writing import falling_order, write_scored
from bitextmine.search.rescore import Scorer
from bitextmine.stage_clock import StageClock

_OWN = "the file itself"
_NO_MARGIN = "its neighbourhoods' mean cosine is not positive: it has nothing to do with anything"
_REFUSED_AT_ONCE = 1 << 16
_Hoods = tuple[Neighborhoods | None, Neighborhoods | None]  # the source's and the target's


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of the pairs: its sentences, and where the other side's have their nearest (None: nowhere)."""

    name: str
    sentences: Corpus
    background: Background | None


def score_file(
    pairs: IngestedPairs,
    backgrounds: tuple[Background | None, Background | None],
    encoder: Encoder,
    store: ArtifactStore,
    parameters: ScoringParameters,
    *,
    resources: Resources | None = None,
    progress: Progress = silent,
) -> Bitext:
    """Score all pairs of a file; whatever exists already is not done again. About 60 bytes of memory a pair, and what
    the search takes of `resources`.

    A pair's neighbourhoods are of its source in the target's background, and of its target in the source's. Where a
    side has no background, the file's own distinct sentences of that side are it, unless the margin needs none.

    Args:
        backgrounds: the source's and the target's.

    Raises:
        LanguageError: `language-not-covered`.
        ParameterError: `background-language`, `corpus-too-small`, `k-too-large`, `memory-too-small`.
        DiskFullError: what was finished before stays.
    """
    check_languages((pairs.src.lang, pairs.tgt.lang), encoder, parameters)
    src, tgt = (
        _Side(name, sentences, _background(sentences, given, parameters))
        for name, sentences, given in zip(("src", "tgt"), (pairs.src, pairs.tgt), backgrounds, strict=True)
    )
    key = _bitext_key(pairs, (src, tgt), backgrounds, encoder, parameters)
    if (found := store.find(key)) is not None:
        return Bitext(found)
    run = _Run(encoder, store, parameters, resources or Resources(), progress)
    vectors = run.embedded(src.sentences, "embed-src"), run.embedded(tgt.sentences, "embed-tgt")
    hoods = run.neighborhoods(vectors[0], src, tgt), run.neighborhoods(vectors[1], tgt, src)
    with run.clock.stage("score"), store.publish(key) as staging:
        scores = run.scores(pairs, vectors, hoods)
        staging.summary |= _write(staging.path, pairs, scores, hoods, progress)
        staging.summary |= vectors[0].origin("src") | vectors[1].origin("tgt")
        run.clock.record_into(staging.summary)
    for hood in filter(None, hoods):
        discard_neighborhoods(store, hood)
    if (artifact := store.find(key)) is None:
        raise ArtifactError(f"{key.kind} {key.digest} vanished after it was published")
    return Bitext(artifact)


@dataclass(frozen=True, slots=True)
class _Run:
    """The stages, with what they have in common."""

    encoder: Encoder
    store: ArtifactStore
    parameters: ScoringParameters
    resources: Resources
    progress: Progress
    clock: StageClock = field(default_factory=StageClock)

    def embedded(self, corpus: Corpus, stage: str) -> Embeddings:
        with self.clock.stage(stage):
            return embed(corpus, self.encoder, self.store, stage=stage, progress=self.progress)

    def neighborhoods(self, vectors: Embeddings, side: _Side, other: _Side) -> Neighborhoods | None:
        """Of each of the side's sentences in the other side's background; None where there is none."""
        if other.background is None:
            return None
        background, stage = other.background.corpus, f"search-{side.name}"
        base = self.embedded(background, f"embed-{other.name}-background")
        k, report = self.parameters.k, partial(_report, self.progress, stage, len(vectors))
        with self.clock.stage(stage):
            return find_neighborhoods(vectors, base, background, k, self.store, resources=self.resources, report=report)

    def scores(self, pairs: IngestedPairs, vectors: tuple[Embeddings, Embeddings], hoods: _Hoods) -> PairScores:
        src_means, tgt_means = (
            np.full(len(of), np.nan, np.float32) if hood is None else hood.means
            for hood, of in zip(hoods, vectors, strict=True)
        )
        scorer = Scorer(*vectors, self.resources.threads)
        rows = pairs.column("src_row"), pairs.column("tgt_row")
        return score_rows(scorer, *rows, (src_means, tgt_means), self.parameters.margin)


def _background(sentences: Corpus, given: Background | None, parameters: ScoringParameters) -> Background | None:
    if given is not None:
        check_background(given, sentences.lang, parameters)
        return given
    if not parameters.needs_backgrounds:
        return None
    check_size(len(sentences), f"{sentences.source} ({sentences.lang}), its own background,", parameters)
    return Background(sentences, _OWN)


def _report(progress: Progress, stage: str, total: int, rows: int) -> None:
    progress(stage, rows, total)


def _write(
    directory: Path, pairs: IngestedPairs, scores: PairScores, hoods: _Hoods, progress: Progress
) -> dict[str, object]:
    """Write the pairs and what was refused; returns what there is to count."""
    order = falling_order(pairs, scores)
    shutil.copyfile(pairs.refused_path, directory / REFUSED)
    refused = dict(pairs.artifact.summary["refused"]) | _refuse_unscored(directory / REFUSED, pairs, scores)
    if not len(order):
        message = f"{pairs.names[0]}: no pair can be scored; what was refused: {json.dumps(refused)}"
        raise CorpusInputError(message, code="empty-corpus")
    identical = write_scored(directory / PAIRS, pairs, scores, order, hoods, progress)
    return {
        "pairs": len(order),
        "lines": pairs.artifact.summary["lines"],
        "refused": refused,
        "src_sentences": len(pairs.src),
        "tgt_sentences": len(pairs.tgt),
        "identical_pairs": identical,
    }


def _refuse_unscored(path: Path, pairs: IngestedPairs, scores: PairScores) -> dict[str, int]:
    """Add the pairs whose margin says nothing to the refused ones."""
    unscored = np.flatnonzero(~np.isfinite(scores.margin))
    with path.open("a", encoding="utf-8") as stream:
        log = RefusalLog(stream)
        for start in range(0, len(unscored), _REFUSED_AT_ONCE):
            lines = pairs.take("line", unscored[start : start + _REFUSED_AT_ONCE]).to_pylist()
            log.add(Refusal(line, Reason.NO_MARGIN, _NO_MARGIN) for line in lines)
    return dict(log.counts)


def _bitext_key(
    pairs: IngestedPairs,
    sides: tuple[_Side, _Side],
    given: tuple[Background | None, Background | None],
    encoder: Encoder,
    parameters: ScoringParameters,
) -> ArtifactKey:
    src_source, tgt_source = pairs.names
    described = {
        "made_by": "scoring",
        "src_lang": pairs.src.lang,
        "tgt_lang": pairs.tgt.lang,
        "src_source": src_source,
        "tgt_source": tgt_source,
        "encoder": encoder.name,
        "k": parameters.k,
        "margin": parameters.margin.value,
        "retrieval": None,  # the pairs were given
        "threshold": None,
        "ceiling": None,
        "drop_identical": False,
    }
    inputs = {"pairs": pairs.digest, "encoder": encoder.signature}
    for side, background in zip(sides, given, strict=True):
        described[f"{side.name}_background"] = background.name if background else None
        if side.background is not None:
            inputs[f"{side.name}_background"] = side.background.corpus.digest
    return ArtifactKey(KIND, described, inputs)
