"""In which order a run's tasks are done, and what its report says meanwhile and after whatever ends the run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import CorpusFile, ingest
from bitextmine.errors import DiskFullError, ParameterError
from bitextmine.executors import LocalExecutor, Outcome
from bitextmine.executors.task import Task
from bitextmine.matrix import Machine, MatrixCorpus, MatrixParameters, MatrixPlan, PairChoice, plan_matrix, run_matrix
from bitextmine.matrix.bench import Bench
from bitextmine.matrix.record import PairRecord
from tests.integration.service import numbered
from tests.integration.waiting import wait_until

WORDS = {"deu": "Haus", "eng": "house", "fra": "maison", "rus": "дом"}
PAIRS = 6
SHARDS = 3


class Watched(LocalExecutor):
    """A LocalExecutor that notes what it is given and what it tells, and says when it is asked for what is next."""

    def __init__(self, processes: int = 1, asked: Callable[[Watched], None] = lambda executor: None) -> None:
        super().__init__(processes)
        self.asked = asked
        self.given: list[str] = []
        self.told: list[str] = []
        self.events: list[str] = []  # both, as they were
        self.most = 0

    def submit(self, task: Task) -> None:
        super().submit(task)
        self.given.append(task.name)
        self.events.append(f"give {task.name}")
        self.most = max(self.most, len(self.given) - len(self.told))

    def next(self) -> Outcome:
        self.asked(self)
        outcome = super().next()
        self.told.append(outcome.task.name)
        self.events.append(f"tell {outcome.task.name}")
        return outcome


@dataclass
class Place:
    """Four corpora of three shards each."""

    folder: Path
    bench: Bench
    corpora: list[MatrixCorpus]

    @property
    def store(self) -> ArtifactStore:
        return self.bench.workspace.artifacts

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        return found

    @property
    def page(self) -> str:
        return (self.folder / "report.html").read_text()

    def plan(self, choice: PairChoice | None = None) -> MatrixPlan:
        encoder, machine = self.bench.open_encoder(), Machine(task=self.bench.resources)
        return plan_matrix(
            self.corpora, choice or PairChoice(), encoder, MatrixParameters(), self.store, machine, self.folder
        )

    def run(self, executor: LocalExecutor, choice: PairChoice | None = None, **more: Any) -> list[PairRecord]:
        with executor:
            return run_matrix(self.plan(choice), self.bench, executor, self.folder, **more).pairs


@pytest.fixture
def place(tmp_path: Path, encoders: Path) -> Place:
    root, folder = tmp_path / "data", tmp_path / "data" / "matrices" / "run"
    log, memory = str(folder / "log"), 1 << 30
    bench = Bench(root=str(root), encoders=str(encoders), encoder="tiny", log=log, threads=1, memory_bytes=memory)
    corpora = []
    for lang, word in WORDS.items():
        (tmp_path / f"{lang}.txt").write_bytes(numbered(word, 30))
        script = "Cyrl" if lang == "rus" else "Latn"
        file = CorpusFile(tmp_path / f"{lang}.txt", f"{lang}_{script}")
        corpora.append(MatrixCorpus(lang, ingest(file, bench.workspace.artifacts, shard_rows=10)))
    return Place(folder, bench, corpora)


def shards(*names: str) -> list[str]:
    return [f"embed {name} {number}" for name in names for number in range(SHARDS)]


def test_a_pair_is_mined_as_soon_as_its_corpora_are_embedded(place: Place) -> None:
    executor = Watched()
    place.run(executor, PairChoice(first=(("fra", "rus"),)))
    assert executor.told[:7] == [*shards("fra", "rus"), "pair fra rus"]
    assert executor.told[7:13] == [*shards("deu"), "pair deu fra", "pair deu rus", "embed eng 0"]
    assert sorted(executor.told) == sorted(set(executor.told))
    assert len(executor.told) == len(WORDS) * SHARDS + PAIRS


def test_several_processes_have_few_tasks_before_them(place: Place) -> None:
    executor = Watched(2)
    pairs = place.run(executor)
    assert {pair.state.value for pair in pairs} == {"done"}
    assert 4 <= executor.most <= 6, "two that run, two to spare, and up to two that have ended"
    for pair in (("deu", "eng"), ("deu", "fra"), ("eng", "fra")):
        embedded = max(executor.events.index(f"tell {name}") for name in shards(*pair))
        given = executor.events.index(f"give pair {' '.join(pair)}")
        between = executor.events[embedded + 1 : given]
        assert not any(event.startswith("give embed") for event in between), "what became ready is next"


def test_the_report_tells_of_every_pair_while_the_next_runs(place: Place) -> None:
    seen = []

    def look(executor: Watched) -> None:
        ended = sum(name.startswith("pair") for name in executor.told)
        wait_until(lambda: place.report["counts"]["done"] == ended, f"the report has {ended} pairs")
        wait_until(lambda: f"{ended} of {PAIRS} pairs" in place.page, f"the page has {ended} pairs")
        seen.append(ended)

    place.run(Watched(asked=look))
    assert seen[-1] == PAIRS - 1
    assert (place.report["counts"]["done"], place.report["stopped"]) == (PAIRS, False)
    assert "<p>Finished: 6 of 6 pairs" in place.page


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit, DiskFullError])
def test_what_ends_a_run_is_no_longer_running_in_its_report(place: Place, end: type[BaseException]) -> None:
    def interrupt(executor: Watched) -> None:
        if executor.given[-1].startswith("pair"):
            wait_until(lambda: place.report["counts"]["running"] == 1, "the report says that a pair runs")
            assert "Under way, as of 20" in place.page
        if len(executor.told) == len(shards("deu", "eng")) + 1:
            raise end("enough")

    with pytest.raises(end):
        place.run(Watched(asked=interrupt))
    assert place.report["counts"] == {"waiting": PAIRS - 1, "running": 0, "done": 1, "failed": 0}
    assert (place.report["finished"], place.report["stopped"]) == (None, True)
    assert "<p>Stopped before all was done" in place.page
    place.run(LocalExecutor())
    assert place.report["counts"]["done"] == PAIRS
    assert (place.report["finished"] is None, place.report["stopped"]) == (False, False)


def test_a_report_that_cannot_be_written_ends_the_run(place: Place) -> None:
    def spoil(executor: Watched) -> None:
        if len(executor.told) == 1:
            (place.folder / "report.json").unlink()
            (place.folder / "report.json").mkdir()

    with pytest.raises(OSError, match="directory"):
        place.run(Watched(asked=spoil))


def test_a_corpus_that_cannot_be_embedded_fails_its_pairs_alone(place: Place) -> None:
    executor = Watched()

    def lose(executor: Watched) -> None:
        if not executor.told:
            place.store.delete("corpus", place.corpora[1].corpus.digest)

    executor.asked = lose
    pairs = place.run(executor)
    failed = {(pair.src, pair.tgt): pair.code for pair in pairs if pair.state.value == "failed"}
    assert failed == dict.fromkeys([("deu", "eng"), ("eng", "fra"), ("eng", "rus")], "corpus-not-found")
    assert {pair.state.value for pair in pairs if "eng" not in (pair.src, pair.tgt)} == {"done"}
    assert [name for name in executor.given if name.startswith("embed eng")] == ["embed eng 0"]


def test_a_pair_that_cannot_be_delivered_has_failed(place: Place) -> None:
    delivered, said = [], []

    def deliver(pair: PairRecord) -> None:
        if pair.src == "eng":
            raise DiskFullError("no room for it") if pair.tgt == "fra" else ParameterError("no", code="invalid-name")
        delivered.append(pair.result["bitext"])

    pairs = place.run(LocalExecutor(), deliver=deliver, pair_done=lambda pair: said.append(pair.state.value))
    assert sorted(said) == ["done"] * 4 + ["failed"] * 2
    assert {pair.code for pair in pairs if pair.src == "eng"} == {"disk-full", "invalid-name"}
    assert sorted(delivered) == sorted(pair.result["bitext"] for pair in pairs if pair.src != "eng")
