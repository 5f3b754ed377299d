"""A matrix job: every pair of many corpora becomes a bitext."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitextmine.artifacts import ArtifactStore
from bitextmine.calibration import load_calibration
from bitextmine.executors.local import LocalExecutor
from bitextmine.jobs.specs import MatrixSpec
from bitextmine.matrix import (
    Machine,
    MatrixCorpus,
    MatrixParameters,
    MatrixPlan,
    PairChoice,
    plan_matrix,
    run_matrix,
)
from bitextmine.matrix.bench import Bench
from bitextmine.matrix.record import MatrixRecord
from bitextmine.matrix.run import TaskProgress
from bitextmine.matrix.stage_log import StageLog
from bitextmine_indexer.child import Reporter
from bitextmine_indexer.kinds.task import Task

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench(Bench):
    """A bench in this process, of which each new artifact is reported at once; one that was there is none."""

    report: Reporter

    def store(self, task: str) -> ArtifactStore:
        return StageLog(Path(self.log), task, self.report.published).store(self.workspace.artifacts.root)


def run(spec: MatrixSpec, task: Task) -> dict[str, Any]:
    directory = task.workspace.matrices / spec.matrix
    bench = _bench(spec, task)
    plan = _planned(spec, bench, task)
    log.info("%d corpora, %d pairs: %s", len(plan.corpora), len(plan.pairs), plan.as_json())
    told = TaskProgress(task.report)
    told.rows = sum(plan.rows_to_embed.values())
    with LocalExecutor(progress_of=told.of) as executor:
        record = run_matrix(plan, bench, executor, directory, progress=task.report)
    return _result(record)


def _bench(spec: MatrixSpec, task: Task) -> Bench:
    resources, place = task.resources, task.workspace
    return _Bench(
        report=task.report,
        root=str(place.root.resolve()),
        encoders=str(place.encoders.resolve()),
        encoder=spec.encoder,
        log=str(place.matrices.resolve() / spec.matrix / "log"),
        threads=resources.threads,
        memory_bytes=resources.memory_bytes,
        gpus=resources.gpus,
        provider=resources.device.provider.value,
        allow_cpu_fallback=resources.device.allow_cpu_fallback,
        data_dir=str(place.data_dir.resolve()),
    )


def _planned(spec: MatrixSpec, bench: Bench, task: Task) -> MatrixPlan:
    """The plan for what this worker has; whichever began the run has decided how its pairs are searched."""
    return plan_matrix(
        [MatrixCorpus(name, task.corpus(name, digest)) for name, digest in spec.corpora.items()],
        PairChoice(listed=_pairs(spec.pairs), first=_pairs(spec.first)),
        bench.open_encoder(),
        MatrixParameters.from_json(spec.parameters),
        task.store,
        Machine(task=task.resources, rates=load_calibration(task.workspace.data_dir)),
        task.workspace.matrices / spec.matrix,
    )


def _pairs(listed: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((src, tgt) for src, tgt in listed)


def _result(record: MatrixRecord) -> dict[str, Any]:
    """What the job's record shows: the report has the rest."""
    pairs = [
        {
            "src": pair.src,
            "tgt": pair.tgt,
            "state": pair.state.value,
            "bitext": pair.result.get("bitext"),
            "pairs": pair.result.get("pairs", 0),
        }
        for pair in record.pairs
    ]
    total = sum(int(pair.result.get("pairs", 0)) for pair in record.pairs)
    return {"matrix": record.matrix, "pairs": total, "counts": record.counts, "bitexts": pairs}
