"""What a mining job will take, as far as the API can know: on the workers that live, or else on a machine like this."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bitextmine.calibration import load_calibration
from bitextmine.corpus import Corpus
from bitextmine.embeddings import count_unembedded
from bitextmine.encoders import Encoder
from bitextmine.errors import ParameterError, StoreUnavailableError
from bitextmine.mining import MiningParameters, check_minable, plan_mining
from bitextmine.resources import Resources, default_memory, default_threads
from bitextmine_service.context import Context


def plan_of_job(
    context: Context, src: Corpus, tgt: Corpus, encoder: Encoder, parameters: MiningParameters
) -> dict[str, Any] | None:
    """The plan that a job's record keeps: the search as in GET /v1/plan, and `embedding`.

    None where a search on what is free here would not fit, and no worker has said what it has: it decides.

    Raises:
        ParameterError, LanguageError: as `check_minable`.
        ParameterError: `memory-too-small` for every worker that lives.
    """
    check_minable(src, tgt, encoder, parameters)
    resources, certain = resources_of_jobs(context)
    rates = load_calibration(context.settings.data_dir)
    try:
        plan = plan_mining(src, tgt, encoder, parameters, resources=resources, calibration=rates)
    except ParameterError as error:
        if certain or error.code != "memory-too-small":
            raise
        return None
    return {**plan.as_json(), "embedding": embedding_cost(context, (src, tgt), encoder)}


def resources_of_jobs(context: Context) -> tuple[Resources, bool]:
    """What a job may use on the worker with most memory, and whether that is certain.

    It is not where no worker lives, or one of them takes what is free when the job starts.
    """
    try:
        workers = context.service.store.leases.limits()
    except StoreUnavailableError:
        workers = []
    fixed = [(worker.memory, worker.threads, worker.gpus) for worker in workers if worker.memory is not None]
    if fixed and len(fixed) == len(workers):
        memory, threads, gpus = max(fixed)
        return Resources(threads, memory, gpus), True
    threads = max((worker.threads for worker in workers), default=default_threads())
    return Resources(threads, default_memory(), max((worker.gpus for worker in workers), default=0)), False


def embedding_cost(context: Context, corpora: Sequence[Corpus], encoder: Encoder) -> dict[str, Any]:
    """`sentences` without vectors, and the `seconds` that they take at the rate that the encoder last had in a job."""
    store = context.workspace.artifacts
    sentences = sum(count_unembedded(corpus, encoder.signature, store) for corpus in corpora)
    try:
        rate = context.service.store.rate(encoder.name)
    except StoreUnavailableError:
        rate = None
    seconds = sentences / rate if rate else None
    return {"sentences": sentences, "sentences_per_second": rate, "seconds": seconds}
