"""The tasks of a run in their order: each corpus's shards are embedded, and each pair is mined as soon as both are."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from bitextmine.errors import BitextmineError, DiskFullError
from bitextmine.executors.task import Executor, Needs, Outcome, Task
from bitextmine.matrix.bench import Bench
from bitextmine.matrix.gather import preparing
from bitextmine.matrix.page import write_page
from bitextmine.matrix.plan import MatrixPlan, PlannedPair
from bitextmine.matrix.record import MatrixRecord, PairRecord, PairState, now
from bitextmine.matrix.stage_log import StageLine, read_stage_log, seconds_by_stage
from bitextmine.matrix.tasks import embed_corpus_shard, mine_pair
from bitextmine.progress import Progress, silent

EMBED, PAIR = "embed", "pair"
_REPORT_SECONDS = 2.0  # between two reports at least: of many corpora they are long

PairDone = Callable[[PairRecord], None]


class TaskProgress:
    """For an executor: all that is being embedded is one stage of `rows` sentences, a pair's stages are as they are."""

    def __init__(self, progress: Progress) -> None:
        self.rows = 0
        self._progress = progress
        self._embedded: dict[str, int] = {}

    def of(self, task: Task) -> Progress:
        """Who is told where this task is."""
        if task.stage != EMBED:
            return self._progress

        def report(stage: str, done: int, total: int | None) -> None:
            self._embedded[task.name] = done
            self._progress(EMBED, sum(self._embedded.values()), self.rows)

        return report


def run_matrix(
    plan: MatrixPlan,
    bench: Bench,
    executor: Executor,
    directory: Path,
    *,
    progress: Progress = silent,
    pair_done: PairDone = lambda pair: None,
    task_done: Callable[[], None] = lambda: None,
) -> MatrixRecord:
    """Do what was planned; what exists already is found. A pair that fails is recorded, and the others go on.

    Args:
        directory: where the report is kept, anew after every pair, as JSON and as a page.
        progress: of `embed` in sentences, of `pairs` in pairs.
        pair_done: called after each pair, done or failed.
        task_done: called after each task, of which another attempt would find what it made.

    Raises:
        DiskFullError: no room; what was finished stays.
    """
    run = _Run(plan, bench, executor, directory, progress, pair_done)
    run.start()
    while run.under_way:
        run.take(executor.next())
        task_done()
    return run.finish()


class _Run:
    """What is under way, and what came of what has ended."""

    def __init__(
        self,
        plan: MatrixPlan,
        bench: Bench,
        executor: Executor,
        directory: Path,
        progress: Progress,
        pair_done: PairDone,
    ) -> None:
        self.plan, self.bench, self.executor, self.directory = plan, bench, executor, directory
        self.progress, self.pair_done = progress, pair_done
        self.under_way = 0
        self.missing = {name: set(shards) for name, shards in plan.unembedded.items()}
        self.waiting = deque(plan.pairs)
        self.embedded = 0
        self.record = _new_record(plan)
        self.records = {f"{pair.src} {pair.tgt}": pair for pair in self.record.pairs}
        self.costs = {_title(pair): pair.seconds for pair in plan.pairs}
        self.reported = 0.0

    def start(self) -> None:
        """Submit every shard in the order in which pairs want them, and the pairs that wait for none."""
        order = dict.fromkeys(name for pair in self.plan.pairs for name in (pair.src, pair.tgt))
        for name in order:
            for number in self.plan.unembedded[name]:
                self._submit(EMBED, f"{name} {number}", embed_corpus_shard, self.plan.corpora[name].digest, number)
        self._submit_ready()
        self._report()

    def take(self, outcome: Outcome) -> None:
        """Note what came of a task, and submit what can now be done.

        Raises:
            DiskFullError: it is why the task failed; so would all others.
        """
        self.under_way -= 1
        if isinstance(outcome.error, DiskFullError):
            raise outcome.error
        if outcome.task.stage == EMBED:
            self._embedded(outcome)
        else:
            self._mined(outcome)
        if time.monotonic() - self.reported > _REPORT_SECONDS:
            self._report()

    def finish(self) -> MatrixRecord:
        self.record.finished = now()
        self._report()
        return self.record

    def _submit(self, stage: str, name: str, function: Callable[..., object], *arguments: object) -> None:
        bench = self.bench
        needs = Needs(cores=bench.threads, memory_bytes=bench.memory_bytes, gpus=bench.gpus)
        cost = self._cost(stage, name)
        task = Task(
            name=f"{stage} {name}",
            stage=stage,
            function=function,
            arguments=(bench, *arguments),
            needs=needs,
            cost=cost,
        )
        self.executor.submit(task)
        self.under_way += 1

    def _cost(self, stage: str, name: str) -> float:
        if stage == EMBED:
            corpus = self.plan.corpora[name.rpartition(" ")[0]]
            return min(corpus.shard_rows, len(corpus)) / (self.plan.rate or 1)
        return self.costs[name]

    def _submit_ready(self) -> None:
        parameters = self.plan.parameters.as_json()
        for _ in range(len(self.waiting)):
            pair = self.waiting.popleft()
            if self.missing[pair.src] or self.missing[pair.tgt]:
                self.waiting.append(pair)
                continue
            sides = (self.plan.corpora[name].digest for name in (pair.src, pair.tgt))
            self._submit(PAIR, _title(pair), mine_pair, *sides, parameters)
            self.records[_title(pair)].state = PairState.RUNNING

    def _embedded(self, outcome: Outcome) -> None:
        name, _, number = outcome.task.name.removeprefix(f"{EMBED} ").rpartition(" ")
        if outcome.error is not None:
            self._fail_all_with(name, outcome.error)
            return
        corpus = self.plan.corpora[name]
        shard = corpus.shards[int(number)]
        self.missing[name].discard(int(number))
        self.embedded += shard.stop - shard.start
        self.progress(EMBED, self.embedded, sum(self.plan.rows_to_embed.values()))
        if not self.missing[name]:
            self._submit_ready()

    def _fail_all_with(self, name: str, error: BitextmineError) -> None:
        """A corpus without vectors: its pairs fail, those of others go on."""
        failed = [pair for pair in self.waiting if name in (pair.src, pair.tgt)]
        self.waiting = deque(pair for pair in self.waiting if pair not in failed)
        for pair in failed:
            self._end(self.records[_title(pair)], error=error)

    def _mined(self, outcome: Outcome) -> None:
        pair = self.records[outcome.task.name.removeprefix(f"{PAIR} ")]
        self._end(pair, result=outcome.value, error=outcome.error)

    def _end(
        self, pair: PairRecord, *, result: dict[str, object] | None = None, error: BitextmineError | None = None
    ) -> None:
        pair.state = PairState.FAILED if error else PairState.DONE
        pair.result = result or {}
        pair.error, pair.code = (str(error), error.code) if error else ("", "")
        ended = sum(each.state in (PairState.DONE, PairState.FAILED) for each in self.record.pairs)
        self.progress("pairs", ended, len(self.record.pairs))
        self.pair_done(pair)

    def _report(self) -> None:
        self.record.seconds = seconds_by_stage(self._log())
        self.record.write(self.directory)
        write_page(self.record.as_json(), self.directory)
        self.reported = time.monotonic()

    def _log(self) -> list[StageLine]:
        """What this run's tasks made, in all attempts, and its corpora."""
        digests = {corpus.digest for corpus in self.plan.corpora.values()}
        made = [line for line in read_stage_log(Path(preparing(self.bench).log)) if line.digest in digests]
        return made + read_stage_log(Path(self.bench.log))


def _title(pair: PlannedPair) -> str:
    return f"{pair.src} {pair.tgt}"


def _new_record(plan: MatrixPlan) -> MatrixRecord:
    corpora = {
        name: {
            "lang": corpus.lang,
            "digest": corpus.digest,
            "source": corpus.source,
            "sentences": len(corpus),
            "to_embed": plan.rows_to_embed[name],
            "counts": {
                what: corpus.summary[what] for what in ("lines", "duplicates", "refused") if what in corpus.summary
            },
        }
        for name, corpus in plan.corpora.items()
    }
    pairs = [
        PairRecord(pair.src, pair.tgt, plan.corpora[pair.src].lang, plan.corpora[pair.tgt].lang, pair.seconds)
        for pair in plan.pairs
    ]
    return MatrixRecord(
        matrix=plan.digest,
        encoder=plan.encoder,
        parameters=plan.parameters.as_json(),
        plan=plan.as_json(),
        corpora=corpora,
        pairs=pairs,
        started=now(),
    )
