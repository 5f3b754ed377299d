"""A mining job: two corpora become a bitext."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from typing import Any

from bitextmine.bitext import Bitext
from bitextmine.calibration import load_calibration
from bitextmine.documents import DocumentRule, DocumentUse, stored_links
from bitextmine.encoders import open_encoder
from bitextmine.filtered import filter_bitext, filtered_from
from bitextmine.filters import FilterSettings
from bitextmine.jobs.specs import MineSpec
from bitextmine.margin import Margin, Retrieval
from bitextmine.mining import MiningParameters, mine, plan_mining
from bitextmine.search.method import Method
from bitextmine.thresholds import check_choice, estimate_for
from bitextmine_indexer.kinds.task import Task

log = logging.getLogger(__name__)
_LEFT_OUT = ("seconds", "src_files", "tgt_files")  # of a summary: the bitext has them


def run(spec: MineSpec, task: Task) -> dict[str, Any]:
    parameters = MiningParameters(
        k=spec.k,
        margin=Margin(spec.margin),
        retrieval=Retrieval(spec.retrieval),
        threshold=spec.threshold,
        ceiling=spec.ceiling,
        allow_uncovered_languages=spec.allow_uncovered_languages,
        drop_identical=spec.drop_identical,
        method=Method(spec.method),
        target_recall=spec.target_recall,
        documents=_rule(spec, task),
    )
    resources = task.resources
    encoder = open_encoder(spec.encoder, task.workspace.encoders, threads=resources.threads, device=resources.device)
    src, tgt = task.corpus(spec.src, spec.src_digest), task.corpus(spec.tgt, spec.tgt_digest)
    rates = load_calibration(task.workspace.data_dir)
    plan = plan_mining(src, tgt, encoder, parameters, resources=resources, calibration=rates)
    log.info("%s", plan.line())
    chosen: dict[str, Any] = {}
    if spec.precision is not None:
        check_choice(spec.precision, parameters)
        estimate = estimate_for((src, tgt), encoder, task.store, parameters, plan=plan, progress=task.report)
        choice = estimate.choose(spec.precision)
        parameters, chosen = replace(parameters, threshold=choice.threshold), {"threshold": asdict(choice)}
    bitext = mine(src, tgt, encoder, task.store, parameters, plan=plan, progress=task.report)
    if spec.filters is not None:
        bitext = filter_bitext(bitext, FilterSettings.parse(spec.filters), task.store, progress=task.report)
    return {"bitext": bitext.digest, **_result(bitext), **chosen}


def _rule(spec: MineSpec, task: Task) -> DocumentRule | None:
    """
    Raises:
        NotFoundError: `links-not-found`.
    """
    if spec.documents is None:
        return None
    links = stored_links(task.store, spec.document_links) if spec.document_links else None
    return DocumentRule(use=DocumentUse(spec.documents), bonus=spec.document_bonus, links=links)


def _result(bitext: Bitext) -> dict[str, Any]:
    """What a mining job has found out. Examples of dropped pairs are with the bitext."""
    found = {name: value for name, value in bitext.summary.items() if name not in _LEFT_OUT}
    if source := filtered_from(bitext):
        found |= {"filtered_from": source, "filters": [_without_examples(each) for each in found["filters"]]}
    return found


def _without_examples(count: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in count.items() if name != "examples"}
