"""From a plan to the search that it names."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bitextmine.artifacts import ArtifactStore
from bitextmine.embeddings import Embeddings
from bitextmine.planner import SMALL_PRODUCTS, Plan
from bitextmine.progress import Progress
from bitextmine.search import Neighbors, search_exact
from bitextmine.search.grown import NONE, Former, find_former
from bitextmine.search.ivf import IvfOptions, search_ivf
from bitextmine.search.method import Method


def search_as_planned(
    src: Embeddings, tgt: Embeddings, plan: Plan, store: ArtifactStore, progress: Progress, former: Former = NONE
) -> tuple[Neighbors, Neighbors, dict[str, Any]]:
    """Neighbours both ways, and what the method can say of itself, as plain values.

    Args:
        former: neighbours of the first rows, as `find_former_neighbors` gives them for this plan.
    """
    k = plan.size.k
    if plan.method is Method.IVF:
        options = IvfOptions(threads=plan.threads, target_recall=plan.target_recall)
        forward, backward, cells = search_ivf(src, tgt, k, options=options, progress=progress)
        return forward, backward, asdict(cells)
    if plan.method is Method.IVFPQ:
        return _search_indexes(src, tgt, plan, store, progress)
    if plan.exact_gpus and former is NONE:
        return _search_on_gpus(src, tgt, plan, progress)
    forward, backward, checked = search_exact(src, tgt, k, options=plan.blocks, known=former.known, progress=progress)
    return forward, backward, asdict(checked)


def find_former_neighbors(src: Embeddings, tgt: Embeddings, plan: Plan, store: ArtifactStore) -> Former:
    """What former neighbours spare a search of these sides, or NONE: always of an approximate method.

    Where GPUs would search, it is only used if the new rows are so few that the CPU takes no longer.
    """
    if plan.method is not Method.EXACT:
        return NONE
    former = find_former(src, tgt, plan.parameters, store, threads=plan.threads)
    new = plan.size.products - float(former.rows[0]) * former.rows[1] * plan.size.dims
    return NONE if plan.exact_gpus and new > SMALL_PRODUCTS else former


def discard_search(src: Embeddings, tgt: Embeddings, plan: Plan, store: ArtifactStore) -> None:
    """Delete what `ivfpq` kept to go on with after a crash; the indexes stay, for other searches."""
    from bitextmine.search.ivfpq import discard_candidates

    discard_candidates(store, src.digest, tgt.digest, plan.size.k)


def _search_on_gpus(
    src: Embeddings, tgt: Embeddings, plan: Plan, progress: Progress
) -> tuple[Neighbors, Neighbors, dict[str, Any]]:
    from bitextmine.search.gpu import search_exact_gpu  # it loads FAISS

    forward, backward = search_exact_gpu(
        src, tgt, plan.size.k, gpus=plan.exact_gpus, threads=plan.threads, progress=progress
    )
    return forward, backward, {"gpus": plan.exact_gpus}


def _search_indexes(
    src: Embeddings, tgt: Embeddings, plan: Plan, store: ArtifactStore, progress: Progress
) -> tuple[Neighbors, Neighbors, dict[str, Any]]:
    from bitextmine.search.ivfpq import search_ivfpq  # it loads FAISS

    forward, backward, report = search_ivfpq(
        src,
        tgt,
        plan.size.k,
        store=store,
        memory_bytes=plan.memory_bytes,
        src_digest=src.digest,
        tgt_digest=tgt.digest,
        spec=plan.specs,
        threads=plan.threads,
        gpus=plan.index_gpus,
        progress=progress,
    )
    return forward, backward, asdict(report)
