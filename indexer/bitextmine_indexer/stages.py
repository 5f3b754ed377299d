"""What a job does, as a function of its spec: the library's stages on the files of a workspace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitextmine.artifacts import ArtifactStore
from bitextmine.jobs.record import JobKind
from bitextmine.jobs.specs import IndexSpec, IngestSpec, MatrixSpec, MineSpec, ScoreSpec
from bitextmine.resources import Resources
from bitextmine.workspace import Workspace
from bitextmine_indexer.child import Reporter
from bitextmine_indexer.kinds import index, ingest, matrix, mine, score
from bitextmine_indexer.kinds.task import Task


def run(
    kind: JobKind, spec: Mapping[str, Any], workspace: Workspace, resources: Resources, report: Reporter
) -> dict[str, Any]:
    """Do the job and return what its record shall hold as its result. Doing it again changes nothing."""
    task = Task(workspace, ArtifactStore(workspace.artifacts.root, lambda key: report.published()), resources, report)
    match kind:
        case JobKind.INGEST:
            return ingest.run(IngestSpec.model_validate(spec), task)
        case JobKind.INDEX:
            return index.run(IndexSpec.model_validate(spec), task)
        case JobKind.MINE:
            return mine.run(MineSpec.model_validate(spec), task)
        case JobKind.MATRIX:
            return matrix.run(MatrixSpec.model_validate(spec), task)
        case JobKind.SCORE:
            return score.run(ScoreSpec.model_validate(spec), task)
