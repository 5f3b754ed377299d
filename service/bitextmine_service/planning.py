"""What a job will take, as far as the API can know: on the workers that live, or else on a machine like this."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bitextmine.calibration import load_calibration
from bitextmine.corpus import Corpus
from bitextmine.embeddings import count_unembedded
from bitextmine.encoders import Encoder
from bitextmine.errors import ParameterError, StoreUnavailableError
from bitextmine.matrix import Machine, MatrixCorpus, MatrixParameters, NamedMatrix, PairChoice, name_matrix, plan_matrix
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


def plan_of_matrix(
    context: Context,
    corpora: Sequence[MatrixCorpus],
    choice: PairChoice,
    encoder: Encoder,
    parameters: MatrixParameters,
) -> tuple[NamedMatrix, dict[str, Any] | None]:
    """The run, and the plan that its job's record keeps: None as for `plan_of_job`. Nothing is encoded for it.

    Raises:
        ParameterError, LanguageError, ArtifactError: as `plan_matrix`; `memory-too-small` for every worker that lives.
    """
    asked = corpora, choice, encoder, parameters
    matrix = name_matrix(*asked)
    resources, certain = resources_of_jobs(context)
    rates, encoding = load_calibration(context.settings.data_dir), encoding_rate(context, encoder)
    machine = Machine(task=resources, rates=rates, encoding=encoding, measure=False)
    directory = context.workspace.matrices / matrix.digest
    try:
        return matrix, plan_matrix(*asked, context.workspace.artifacts, machine, directory).as_json()
    except ParameterError as error:
        if certain or error.code != "memory-too-small":
            raise
    matrix.check(encoder, parameters)
    return matrix, None


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
    rate = encoding_rate(context, encoder)
    seconds = sentences / rate if rate else None
    return {"sentences": sentences, "sentences_per_second": rate, "seconds": seconds}


def encoding_rate(context: Context, encoder: Encoder) -> float | None:
    """Sentences a second that the encoder last had in a job; None where that is not known."""
    try:
        return context.service.store.rate(encoder.name)
    except StoreUnavailableError:
        return None
