"""The tasks of a run: shards of corpora are embedded, and each pair is mined as soon as both of its corpora are.

Few are handed out at a time, so that a pair that becomes ready is next, before the shards of all other corpora.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bitextmine.errors import BitextmineError, DiskFullError
from bitextmine.executors.task import Executor, Needs, Outcome, Task
from bitextmine.matrix.backlog import Backlog, CorpusShard
from bitextmine.matrix.bench import Bench
from bitextmine.matrix.gather import preparing
from bitextmine.matrix.plan import MatrixPlan, PlannedPair
from bitextmine.matrix.record import MatrixRecord, PairRecord, PairState, now
from bitextmine.matrix.reports import Reports
from bitextmine.matrix.searches import Search, keep_searches
from bitextmine.matrix.stage_log import StageLine, read_stage_log, seconds_by_stage
from bitextmine.matrix.tasks import embed_corpus_shard, mine_pair
from bitextmine.progress import Progress, silent

EMBED, PAIR = "embed", "pair"

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
    deliver: PairDone = lambda pair: None,
) -> MatrixRecord:
    """Do what was planned; what exists already is found. A pair that fails is recorded, and the others go on.

    Args:
        directory: where the report is kept, anew soon after every pair and at the end, as JSON and as a page.
        progress: of `embed` in sentences, of `pairs` in pairs.
        pair_done: called after each pair, done or failed.
        deliver: called with each pair that has a bitext, before it counts as done; a BitextmineError of it, also for
            want of room, fails that pair.

    Raises:
        DiskFullError: no room; what was finished stays.
        ParameterError, ArtifactError: as `keep_searches`, before any work.
    """
    keep_searches(plan.searches, directory)
    record = _new_record(plan)
    run = _Run(plan, bench, executor, record, progress, pair_done, deliver)
    with Reports(record, directory, lambda: seconds_by_stage(_made(plan, bench))) as run.reports:
        while run.hand_out():
            run.take(executor.next())
    return record


class _Run:
    """What is under way, and what came of what has ended."""

    reports: Reports

    def __init__(
        self,
        plan: MatrixPlan,
        bench: Bench,
        executor: Executor,
        record: MatrixRecord,
        progress: Progress,
        pair_done: PairDone,
        deliver: PairDone,
    ) -> None:
        self.plan, self.bench, self.executor, self.record = plan, bench, executor, record
        self.progress, self.pair_done, self.deliver = progress, pair_done, deliver
        self.backlog = Backlog(plan)
        self.under_way: dict[str, PairRecord | CorpusShard] = {}  # by the names of the tasks
        self.embedded = self.ended = 0
        self.records = {(pair.src, pair.tgt): pair for pair in record.pairs}

    def hand_out(self) -> bool:
        """Give the executor as many tasks as it can use for now, no more: what is ready later may come before others.

        Returns:
            whether anything is under way.
        """
        while (self.executor.wants_more or not self.under_way) and (item := self.backlog.pop()):
            if isinstance(item, CorpusShard):
                self._submit_shard(item)
            else:
                self._submit_pair(item)
        return bool(self.under_way)

    def take(self, outcome: Outcome) -> None:
        """Note what came of a task.

        Raises:
            DiskFullError: it is why the task failed; so would all others.
        """
        item = self.under_way.pop(outcome.task.name)
        if isinstance(outcome.error, DiskFullError):
            raise outcome.error
        if isinstance(item, PairRecord):
            self._mined(item, outcome)
        elif outcome.error is None:
            self._embedded(item)
        else:
            for pair in self.backlog.give_up(item.corpus):
                self._end(self.records[pair.src, pair.tgt], error=outcome.error)

    def _submit_shard(self, item: CorpusShard) -> None:
        corpus = self.plan.corpora[item.corpus]
        cost = min(corpus.shard_rows, len(corpus)) / (self.plan.rate or 1)
        name = f"{EMBED} {item.corpus} {item.number}"
        self.under_way[name] = item
        self._submit(EMBED, name, cost, embed_corpus_shard, corpus.digest, item.number)

    def _submit_pair(self, pair: PlannedPair) -> None:
        sides = (self.plan.corpora[name].digest for name in (pair.src, pair.tgt))
        record, name = self.records[pair.src, pair.tgt], f"{PAIR} {pair.src} {pair.tgt}"
        self.under_way[name] = record
        arguments = (*sides, self.plan.parameters.as_json(), Search.of(pair.search).as_json())
        self._submit(PAIR, name, pair.seconds, mine_pair, *arguments, memory=pair.search.memory_bytes)
        with self.reports.changing():
            record.state = PairState.RUNNING

    def _submit(
        self,
        stage: str,
        name: str,
        cost: float,
        function: Callable[..., object],
        *arguments: object,
        memory: int | None = None,
    ) -> None:
        bench = replace(self.bench, memory_bytes=memory or self.bench.memory_bytes)
        needs = Needs(cores=bench.threads, memory_bytes=bench.memory_bytes, gpus=bench.gpus)
        sent = (bench, *arguments)
        self.executor.submit(Task(name=name, stage=stage, function=function, arguments=sent, needs=needs, cost=cost))

    def _embedded(self, item: CorpusShard) -> None:
        shard = self.plan.corpora[item.corpus].shards[item.number]
        self.embedded += shard.stop - shard.start
        self.progress(EMBED, self.embedded, sum(self.plan.rows_to_embed.values()))
        self.backlog.embedded(item)

    def _mined(self, pair: PairRecord, outcome: Outcome) -> None:
        error = outcome.error
        if error is None:
            try:
                self.deliver(replace(pair, result=outcome.value))
            except BitextmineError as undelivered:
                error = undelivered
        self._end(pair, result=outcome.value, error=error)

    def _end(
        self, pair: PairRecord, *, result: dict[str, object] | None = None, error: BitextmineError | None = None
    ) -> None:
        with self.reports.changing():
            if error is None:
                pair.state, pair.result = PairState.DONE, result or {}
            else:
                pair.state, pair.error, pair.code = PairState.FAILED, str(error), error.code
        self.ended += 1
        self.progress("pairs", self.ended, len(self.record.pairs))
        self.pair_done(pair)


def _made(plan: MatrixPlan, bench: Bench) -> list[StageLine]:
    """What this run's tasks made, in all attempts, and its corpora."""
    digests = {corpus.digest for corpus in plan.corpora.values()}
    made = [line for line in read_stage_log(Path(preparing(bench).log)) if line.digest in digests]
    return made + read_stage_log(Path(bench.log))


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
