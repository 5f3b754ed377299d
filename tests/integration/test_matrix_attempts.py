"""A matrix job whose process dies: what counts as having got further."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import CorpusFile, ingest
from bitextmine.jobs.queue import enqueue
from bitextmine.jobs.record import JobKind, JobState
from bitextmine.matrix import MatrixParameters
from bitextmine.resources import Resources
from bitextmine.workspace import Workspace
from bitextmine_indexer.stages import run
from tests.integration import deadly_matrix
from tests.integration.conftest import Jobs, WorkerProcess
from tests.integration.service import numbered

WORDS = {"deu": "Haus", "eng": "house", "fra": "maison"}
PAIRS = [["deu", "eng"], ["deu", "fra"], ["eng", "fra"]]


class Heard:
    """A Reporter that counts what was published."""

    def __init__(self) -> None:
        self.artifacts = 0

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        pass

    def published(self) -> None:
        self.artifacts += 1


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "data" / "artifacts")


@pytest.fixture
def spec(tmp_path: Path, store: ArtifactStore) -> dict[str, Any]:
    """A matrix of three small corpora."""
    corpora = {}
    for lang, word in WORDS.items():
        (tmp_path / f"{lang}.txt").write_bytes(numbered(word, 40))
        corpora[lang] = ingest(CorpusFile(tmp_path / f"{lang}.txt", f"{lang}_Latn"), store).digest
    plain = {"encoder": "tiny", "parameters": MatrixParameters().as_json(), "matrix": "0" * 32}
    return {"corpora": corpora, "pairs": PAIRS, "first": [], **plain}


def test_only_what_is_new_is_reported(
    tmp_path: Path, encoders: Path, store: ArtifactStore, spec: dict[str, Any]
) -> None:
    """Three corpora's vectors, and of three pairs the neighbours and the bitext; then nothing; then what was lost."""
    reports = []
    for _ in range(2):
        heard = Heard()
        result = run(JobKind.MATRIX, spec, Workspace(tmp_path / "data", encoders), Resources(), heard)
        assert result["counts"]["done"] == len(PAIRS)
        reports.append(heard.artifacts)
    assert reports == [3 + 2 * 3, 0]
    store.delete("bitext", result["bitexts"][1]["bitext"])
    run(JobKind.MATRIX, spec, Workspace(tmp_path / "data", encoders), Resources(), heard)
    assert heard.artifacts == 1


def test_a_pair_that_kills_every_process_ends_the_job(
    tmp_path: Path,
    encoders: Path,
    jobs: Jobs,
    spec: dict[str, Any],
    redis_url: str,
    start_worker: Callable[..., WorkerProcess],
) -> None:
    start_worker(
        redis_url,
        BITEXTMINE_CHILD_COMMAND=json.dumps([sys.executable, "-m", deadly_matrix.__name__]),
        BITEXTMINE_ENCODERS_DIR=str(encoders),
    )
    job_id = jobs.store.create(JobKind.MATRIX, spec).id
    enqueue(jobs.broker, job_id)
    record = jobs.ended(job_id)
    assert record.state is JobState.FAILED
    assert record.error is not None
    assert record.error.code == "job-crashed"
    assert "died 3 times without getting further: killed by SIGKILL" in record.error.detail
    assert record.attempts == 1 + 3, "the first got further"
    found = json.loads((tmp_path / "data" / "matrices" / spec["matrix"] / "report.json").read_text())
    assert found["counts"]["done"] == len(PAIRS) - 1
