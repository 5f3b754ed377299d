"""Mining, end to end: two corpora and an encoder in, a bitext out. Each stage is an artifact, so a rerun resumes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bitextmine.artifacts import Artifact, ArtifactKey, ArtifactStore
from bitextmine.bitext import KIND, PAIRS, Bitext, write_pairs
from bitextmine.calibration import Calibration
from bitextmine.changes import what_grew
from bitextmine.corpus import Corpus, count_identical, identical_pairs
from bitextmine.costs import SearchSize
from bitextmine.documents import DocumentRule, LinkedSearch, check_documents, link_documents
from bitextmine.embeddings import Embeddings
from bitextmine.encoders import Encoder
from bitextmine.encoders.postprocess import PostProcessing
from bitextmine.errors import ArtifactError, LanguageError, MismatchError, ParameterError
from bitextmine.given import GivenVectors, sides, vectors_of
from bitextmine.margin import Margin, Retrieval, Searched, choose_pairs
from bitextmine.planner import Plan, check_recall, make_plan
from bitextmine.postprocessed import postprocess
from bitextmine.progress import Progress, silent
from bitextmine.resources import Resources
from bitextmine.search.grown import write_record
from bitextmine.search.method import DEFAULT_RECALL, Method
from bitextmine.search.rescore import Scorer
from bitextmine.search.stored import BACKWARD, FORWARD, load_neighbors, write_neighbors
from bitextmine.search.stored import KIND as NEIGHBORS
from bitextmine.search_as_planned import discard_search, find_former_neighbors, search_as_planned
from bitextmine.stage_clock import StageClock

MAX_K = 1024
_LARGEST_BOUND = float(np.finfo(np.float32).max)  # margins are float32


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningParameters:
    """What decides which pairs come out. `k` is the neighbourhood's size (WikiMatrix: 4, CCMatrix: 16).

    Thresholds and ceilings are margins; what a good value is depends on the encoder, the languages and the corpus.
    `target_recall` (0.5 to 1) is what an approximate `method` aims at; what it reached is measured and recorded.
    `drop_identical` leaves out pairs of a sentence with itself: names, codes and text of the other language.
    `postprocess` is fitted on each corpus's vectors before the search; none by default.
    `documents` says what links between documents of both sides are good for; nothing by default.
    """

    k: int = 4
    margin: Margin = Margin.RATIO
    retrieval: Retrieval = Retrieval.MAX_SCORE
    threshold: float | None = None
    ceiling: float | None = None
    allow_uncovered_languages: bool = False
    drop_identical: bool = False
    method: Method = Method.AUTO
    target_recall: float = DEFAULT_RECALL
    postprocess: PostProcessing | None = None
    documents: DocumentRule | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.k <= MAX_K:
            raise ParameterError(f"k is {self.k}; it must be between 1 and {MAX_K}", code="invalid-k")
        check_recall(self.target_recall)
        bounds = [bound for bound in (self.threshold, self.ceiling) if bound is not None]
        if not all(abs(bound) <= _LARGEST_BOUND for bound in bounds):  # NaN is not either
            raise ParameterError("threshold and ceiling must be finite numbers", code="invalid-threshold")
        if len(bounds) == 2 and bounds[0] > bounds[1]:
            message = f"the threshold {bounds[0]:g} is above the ceiling {bounds[1]:g}: no pair could pass"
            raise ParameterError(message, code="invalid-threshold")


def check_minable(src: Corpus, tgt: Corpus, encoder: Encoder | GivenVectors, parameters: MiningParameters) -> None:
    """Refuse, before any work, what cannot give sensible pairs.

    Raises:
        ParameterError: `same-corpus`, `corpus-too-small`, `k-too-large`, `too-few-vectors` or `no-documents`.
        LanguageError: `language-not-covered` by the encoder.
        InputError: `vectors-count`: the vectors that were given are not those of these files.
    """
    if isinstance(encoder, GivenVectors):
        encoder.check(src, tgt)
    if src.same_sentences(tgt):
        message = f"{src.source} and {tgt.source} hold the same sentences: each would only find itself"
        raise ParameterError(message, code="same-corpus")
    for corpus in (src, tgt):
        what = f"{corpus.source} ({corpus.lang})"
        if len(corpus) < 2 and parameters.margin is not Margin.ABSOLUTE:
            message = f"{what} has 1 sentence: a margin compares a pair with its neighbours, so two are the least"
            raise ParameterError(message, code="corpus-too-small")
        if parameters.k > len(corpus):
            message = (
                f"k={parameters.k} is more than the {len(corpus)} sentences of {what}; use k={len(corpus)} or less"
            )
            raise ParameterError(message, code="k-too-large")
        if parameters.postprocess:
            parameters.postprocess.check_rows(len(corpus), encoder.dims, of=what)
    if parameters.documents is not None:
        check_documents(src, tgt)
    check_languages((src.lang, tgt.lang), encoder, parameters)


def check_languages(langs: Iterable[str], encoder: Encoder | GivenVectors, parameters: MiningParameters) -> None:
    """Refuse languages that the encoder does not cover, unless the parameters allow them. Given vectors may be of any.

    Raises:
        LanguageError: `language-not-covered`.
    """
    if isinstance(encoder, GivenVectors) or parameters.allow_uncovered_languages:
        return
    for lang in langs:
        if lang not in encoder.languages:
            message = (
                f"encoder {encoder.name} does not cover {lang}, so pairs would look good by score and be wrong; "
                f"it covers {', '.join(sorted(encoder.languages))} (to try anyway, allow uncovered languages)"
            )
            raise LanguageError(message, code="language-not-covered")


def plan_mining(
    src: Corpus,
    tgt: Corpus,
    encoder: Encoder | GivenVectors,
    parameters: MiningParameters,
    *,
    resources: Resources | None = None,
    calibration: Calibration | None = None,
) -> Plan:
    """What `mine` will do, and what it will cost.

    Raises:
        ParameterError, LanguageError: see `check_minable`.
        ParameterError: `memory-too-small`.
    """
    check_minable(src, tgt, encoder, parameters)
    return make_plan(
        SearchSize(len(src), len(tgt), encoder.dims, parameters.k),
        resources or Resources(),
        calibration,
        method=parameters.method,
        target_recall=parameters.target_recall,
    )


def mine(
    src: Corpus,
    tgt: Corpus,
    encoder: Encoder | GivenVectors,
    store: ArtifactStore,
    parameters: MiningParameters,
    *,
    plan: Plan | None = None,
    progress: Progress = silent,
) -> Bitext:
    """Embed both corpora, search both ways, score and choose pairs; whatever exists already is not done again.

    Args:
        encoder: or vectors that were made elsewhere.
        plan: what `plan_mining` gave for the same arguments; by default it is asked.

    Raises:
        ParameterError, LanguageError: see `check_minable`.
        ParameterError: `memory-too-small`, `no-linked-documents`, before anything starts.
        DiskFullError: the disk is full; what was finished before stays.
    """
    plan = plan or plan_mining(src, tgt, encoder, parameters)
    documents = link_documents(src, tgt, rule.links) if (rule := parameters.documents) else None
    clock = StageClock()
    of_src, of_tgt = sides(encoder)
    with clock.stage("embed-src"):
        src_vectors = vectors_of(src, of_src, store, stage="embed-src", progress=progress)
    with clock.stage("embed-tgt"):
        tgt_vectors = vectors_of(tgt, of_tgt, store, stage="embed-tgt", progress=progress)
    origin = src_vectors.origin("src") | tgt_vectors.origin("tgt")
    if processing := parameters.postprocess:
        with clock.stage("postprocess-src"):
            src_vectors = postprocess(src_vectors, processing, store, stage="postprocess-src", progress=progress)
        with clock.stage("postprocess-tgt"):
            tgt_vectors = postprocess(tgt_vectors, processing, store, stage="postprocess-tgt", progress=progress)
    with clock.stage("search"):
        neighbors = find_neighbors(src_vectors, tgt_vectors, plan, store, progress=progress)
    key = _bitext_key(src, tgt, encoder, neighbors, parameters)
    if store.find(key) is None:
        with clock.stage("score"), store.publish(key) as staging:
            progress("score", 0, 1)
            linked = None
            if rule and documents:
                linked = LinkedSearch(rule, documents, Scorer(src_vectors, tgt_vectors, plan.threads), progress)
            staging.summary |= _choose(src, tgt, neighbors, parameters, linked, staging.path / PAIRS)
            staging.summary |= origin
            staging.summary |= {"src_files": _files(src), "tgt_files": _files(tgt)}
            staging.summary |= {"plan": plan.as_json(), "search": neighbors.summary["search"]}
            staging.summary |= what_grew(store, key, neighbors, staging.path / PAIRS, staging.summary["pairs"])
            clock.record_into(staging.summary)
        progress("score", 1, 1)
    return Bitext(_found(store, key))


def _files(corpus: Corpus) -> list[dict[str, str | int]]:
    """The files that a corpus was made of, each with its first row: whose a sentence's line is, its row tells."""
    return [{"source": part.source, "first_row": part.first_row} for part in corpus.parts]


def _choose(
    src: Corpus,
    tgt: Corpus,
    neighbors: Artifact,
    parameters: MiningParameters,
    linked: LinkedSearch | None,
    path: Path,
) -> dict[str, Any]:
    """Write the pairs that the neighbours make; returns what there is to count."""
    searched = Searched.of(load_neighbors(neighbors, FORWARD), load_neighbors(neighbors, BACKWARD))
    bounds, counts = (parameters.threshold, parameters.ceiling), {}
    if linked is None:
        pairs = choose_pairs(searched, *searched.best(parameters.margin), parameters.retrieval, bounds)
    else:
        pairs, counted = linked.choose(searched, parameters.margin, parameters.retrieval, bounds)
        counts["documents"] = counted
    identical = identical_pairs(src, tgt, pairs.src, pairs.tgt)
    if parameters.drop_identical:
        pairs = pairs[~identical]
    write_pairs(path, pairs, src, tgt)
    return {
        "pairs": len(pairs),
        "src_sentences": len(src),
        "tgt_sentences": len(tgt),
        "identical_sentences": count_identical(src, tgt),
        "identical_pairs": int(identical.sum()),  # those dropped are among them
        **counts,
    }


def find_neighbors(
    src: Embeddings, tgt: Embeddings, plan: Plan, store: ArtifactStore, *, progress: Progress = silent
) -> Artifact:
    """The k nearest neighbours both ways, as an artifact named by all that decides which are found.

    Where those of former, smaller versions of the sides are there, an exact search compares only what is new.

    Raises:
        MismatchError: the plan is one for other vectors.
    """
    if (len(src), len(tgt), src.dims) != (plan.size.src_rows, plan.size.tgt_rows, plan.size.dims):
        raise MismatchError(f"a plan for {plan.size} is not one for {len(src):,} x {len(tgt):,} rows of {src.dims}")
    key = ArtifactKey(NEIGHBORS, plan.parameters, {"src": src.digest, "tgt": tgt.digest})
    if (found := store.find(key)) is not None:
        return found
    former = find_former_neighbors(src, tgt, plan, store)
    forward, backward, report = search_as_planned(src, tgt, plan, store, progress, former)
    with store.publish(key) as staging:
        write_neighbors(staging.path, forward, backward)
        write_record(staging.path, src, tgt)
        staging.summary |= {"src_rows": len(src), "tgt_rows": len(tgt), "search": report, "plan": plan.as_json()}
        staging.summary |= {"reused": former.record()}
    if plan.method is Method.IVFPQ:
        discard_search(src, tgt, plan, store)
    return _found(store, key)


def _bitext_key(
    src: Corpus, tgt: Corpus, encoder: Encoder | GivenVectors, neighbors: Artifact, parameters: MiningParameters
) -> ArtifactKey:
    return ArtifactKey(
        KIND,
        {
            "src_lang": src.lang,
            "tgt_lang": tgt.lang,
            "src_source": src.source,
            "tgt_source": tgt.source,
            "encoder": encoder.name,
            "k": parameters.k,
            "margin": parameters.margin.value,
            "retrieval": parameters.retrieval.value,
            "threshold": parameters.threshold,
            "ceiling": parameters.ceiling,
            "drop_identical": parameters.drop_identical,
            **({"postprocess": str(parameters.postprocess)} if parameters.postprocess else {}),
            **({"documents": rule.key()} if (rule := parameters.documents) else {}),
        },
        {
            "src": src.digest,
            "tgt": tgt.digest,
            "neighbors": neighbors.digest,
            "encoder": encoder.signature,
            **({"links": rule.links.digest} if rule and rule.links else {}),
        },
    )


def _found(store: ArtifactStore, key: ArtifactKey) -> Artifact:
    artifact = store.find(key)
    if artifact is None:
        raise ArtifactError(f"{key.kind} {key.digest} vanished after it was published")
    return artifact
