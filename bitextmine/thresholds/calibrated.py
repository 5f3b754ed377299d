"""From two corpora and an encoder to an estimate: the stages of mining up to the neighbours, then the estimate."""

from __future__ import annotations

from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import Corpus
from bitextmine.encoders import Encoder
from bitextmine.errors import ParameterError
from bitextmine.given import GivenVectors, sides, vectors_of
from bitextmine.mining import MiningParameters, find_neighbors
from bitextmine.pair_files import IngestedPairs
from bitextmine.planner import Plan
from bitextmine.postprocessed import postprocess
from bitextmine.progress import Progress, silent
from bitextmine.resources import Resources
from bitextmine.thresholds.estimate import Search, ThresholdEstimate, check_documents, estimate
from bitextmine.thresholds.seeds import embed_seeds


def estimate_for(
    corpora: tuple[Corpus, Corpus],
    encoder: Encoder | GivenVectors,
    store: ArtifactStore,
    parameters: MiningParameters,
    *,
    plan: Plan,
    seeds: IngestedPairs | None = None,
    progress: Progress = silent,
) -> ThresholdEstimate:
    """Embed, search and estimate; whatever exists already is not done again, nor by `mine` afterwards.

    Args:
        corpora: source and target.
        plan: what `plan_mining` gave for the same arguments.
        seeds: known pairs.

    Raises:
        ParameterError: see `estimate` and `embed_seeds`; seeds with vectors that are given or processed.
        DiskFullError: the disk is full; what was finished before stays.
    """
    check_documents(parameters)
    if seeds is not None and (isinstance(encoder, GivenVectors) or parameters.postprocess):
        raise ParameterError("seeds need the encoder's own vectors: leave out given vectors and post-processing")
    planted = None
    if seeds is not None and not isinstance(encoder, GivenVectors):
        planted = embed_seeds(seeds, encoder, store, progress)
    vectors = []
    for corpus, given, side in zip(corpora, sides(encoder), ("src", "tgt"), strict=True):
        of_side = vectors_of(corpus, given, store, stage=f"embed-{side}", progress=progress)
        if parameters.postprocess:
            of_side = postprocess(
                of_side, parameters.postprocess, store, stage=f"postprocess-{side}", progress=progress
            )
        vectors.append(of_side)
    neighbors = find_neighbors(vectors[0], vectors[1], plan, store, progress=progress)
    limits = Resources(plan.threads, plan.memory_bytes)
    search = Search(*corpora, vectors[0], vectors[1], neighbors)
    return estimate(search, parameters, store, seeds=planted, resources=limits, progress=progress)
