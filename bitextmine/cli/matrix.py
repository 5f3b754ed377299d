"""`bitextmine matrix`: every pair of many corpora, as a configuration says."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated

import typer

from bitextmine.cli import console, execution
from bitextmine.cli.stages import progress_shown, say
from bitextmine.errors import NotFoundError, ParameterError, disk_full_named
from bitextmine.progress import Progress
from bitextmine.resources import Provider, Resources, format_bytes

if TYPE_CHECKING:
    from bitextmine.executors import Executor
    from bitextmine.exports import Export
    from bitextmine.matrix import MatrixPlan
    from bitextmine.matrix.bench import Bench
    from bitextmine.matrix.config import MatrixConfig
    from bitextmine.matrix.record import MatrixRecord, PairRecord
    from bitextmine.workspace import Workspace

_SHOWN = 30  # pairs of a plan


def matrix(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="A TOML file; docs/matrix.md explains each setting.")
    ],
    plan_only: Annotated[bool, typer.Option("--plan", help="Say what there is to do, and stop.")] = False,
    precision: console.PrecisionOption = console.PrecisionChoice.AUTO,
    verbose: console.Verbose = False,
    provider: console.ProviderOption = Provider.AUTO,
    allow_cpu_fallback: console.AllowCpuFallback = False,
    threads: console.Threads = None,
    memory: console.Memory = None,
    gpus: console.Gpus = None,
    executor: execution.ExecutorOption = execution.ExecutorChoice.LOCAL,
    address: execution.Address = None,
    processes: execution.Processes = None,
    data_dir: console.DataDir = None,
    encoders_dir: console.EncodersDir = None,
) -> None:
    """Mine every pair of many corpora: each is embedded once, and what is finished is never done again.

    A configuration names the corpora, the pairs and how good they have to be:

        encoder = "muse"
        precision = 0.9          # a threshold is chosen for each pair; or threshold = ... under [mining]
        output = "pairs"         # a file a pair goes here
        [corpora.de]
        files = ["news/*.de.gz"]
        [corpora.en]
        files = ["news/*.en.gz"]

    The report, as JSON and as a page with a heat map, is written anew after every pair. After a crash, or with Ctrl-C,
    the same command goes on where it was. The exit code is 1 where a pair failed.

    Example: bitextmine matrix languages.toml --plan
    """
    from bitextmine.matrix.config import read_config
    from bitextmine.matrix.gather import check_sources
    from bitextmine.matrix.run import TaskProgress

    started = time.monotonic()
    wanted = read_config(config)
    limits = console.resources(threads, memory, gpus, here=executor is execution.ExecutorChoice.LOCAL)
    where = execution.execution(executor, address, processes, limits, memory_given=memory is not None)
    place = console.writable_workspace(data_dir, encoders_dir)
    bench = _bench(wanted, place, where.resources, precision, provider, allow_cpu_fallback)
    bench = bench.with_precision()  # whatever is wrong is said before the work: with the encoder, the pairs, the output
    pairs = check_sources(wanted.sources, wanted.choice, bench.open_encoder(), wanted.parameters.mining)
    if wanted.output is not None:
        output_files(pairs, wanted.ending)
        check_output(wanted.output, make=not plan_only)
    with progress_shown(verbose) as progress, where.open(place, (told := TaskProgress(progress)).of) as tasks:
        plan = _planned(wanted, bench, place, (tasks, where), progress)
        for line in plan_lines(plan):
            say(line)
        if plan_only:
            return
        told.rows = sum(plan.rows_to_embed.values())
        record = _run(plan, wanted, bench, place, tasks, progress)
    _say_end(record, place.matrices / plan.digest, time.monotonic() - started)
    if record.counts["failed"]:
        raise typer.Exit(1)


def _bench(
    wanted: MatrixConfig,
    place: Workspace,
    limits: Resources,
    precision: console.PrecisionChoice,
    provider: Provider,
    allow_cpu_fallback: bool,
) -> Bench:
    from bitextmine.matrix.bench import Bench

    return Bench(
        root=str(place.root.resolve()),
        encoders=str(place.encoders.resolve()),
        encoder=wanted.encoder,
        log=str(place.root.resolve() / "matrices" / ".reading"),
        threads=limits.threads,
        memory_bytes=limits.memory_bytes,
        gpus=limits.gpus,
        precision=precision.precision.value if precision.precision else None,
        provider=provider.value,
        allow_cpu_fallback=allow_cpu_fallback,
        data_dir=str(place.data_dir.resolve()),
    )


def output_files(pairs: Sequence[tuple[str, str]], ending: str) -> dict[tuple[str, str], str]:
    """The name of each pair's file.

    Raises:
        ParameterError: `invalid-config`: two pairs would have the same.
    """
    files = {(src, tgt): f"{src}-{tgt}.{ending}" for src, tgt in pairs}
    of: dict[str, tuple[str, str]] = {}
    for pair, file in files.items():
        if (other := of.setdefault(file, pair)) != pair:
            raise ParameterError(
                f"{file} would be the file of {' with '.join(other)} and of {' with '.join(pair)}: give one of these "
                "corpora another name, or leave out the output and use bitextmine export",
                code="invalid-config",
            )
    return files


def check_output(directory: Path, *, make: bool) -> None:
    """See that files can be written there.

    Args:
        make: make the directory if there is none.

    Raises:
        ParameterError: `output-not-writable`.
    """
    try:
        if make:
            directory.mkdir(parents=True, exist_ok=True)
        place = next(each for each in (directory, *directory.parents) if each.exists())
        with TemporaryFile(dir=place):
            pass
    except (OSError, ValueError) as error:  # ValueError: a NUL
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, FileExistsError | NotADirectoryError):
            reason = "a file is in its place"
        raise ParameterError(f"cannot write to the output {directory}: {reason}", code="output-not-writable") from error


def _planned(
    wanted: MatrixConfig,
    bench: Bench,
    place: Workspace,
    running: tuple[Executor, execution.Execution],
    progress: Progress,
) -> MatrixPlan:
    from bitextmine.calibration import load_calibration
    from bitextmine.matrix import Machine, name_matrix, plan_matrix
    from bitextmine.matrix.gather import gather, preparing

    executor, where = running
    corpora = gather(wanted.sources, preparing(bench), executor, progress=progress)
    machine = Machine(task=where.resources, together=where.together, rates=load_calibration(place.data_dir))
    asked = corpora, wanted.choice, bench.open_encoder(), wanted.parameters
    return plan_matrix(*asked, place.artifacts, machine, place.matrices / name_matrix(*asked).digest)


def plan_lines(plan: MatrixPlan) -> list[str]:
    """The plan for people: all of it first, then the pairs in their order."""
    from bitextmine.planner import format_seconds

    figures = plan.as_json()
    rate = f" at {plan.rate:,.0f}/s, {format_seconds(plan.embed_seconds)}" if plan.rate else ""
    lines = [
        f"plan: {len(plan.corpora)} corpora, {figures['sentences']:,} sentences, {figures['sentences_to_embed']:,} to "
        f"embed{rate}; {len(plan.pairs)} pairs to search, {format_seconds(plan.search_seconds)}; at most "
        f"{format_bytes(plan.memory_bytes)} of memory, {format_bytes(plan.disk_bytes)} of disk"
    ]
    for pair in plan.pairs[:_SHOWN]:
        size = pair.search.size
        cost = format_seconds(pair.seconds) if pair.seconds else "searched before"
        lines.append(f"  {pair.src}-{pair.tgt}: {size.src_rows:,} x {size.tgt_rows:,}, {pair.search.method}, {cost}")
    if len(plan.pairs) > _SHOWN:
        lines.append(f"  ... and {len(plan.pairs) - _SHOWN} more")
    return lines


def _run(
    plan: MatrixPlan, wanted: MatrixConfig, bench: Bench, place: Workspace, executor: Executor, progress: Progress
) -> MatrixRecord:
    from dataclasses import replace

    from bitextmine.matrix import run_matrix

    directory = place.matrices / plan.digest
    files = output_files([(pair.src, pair.tgt) for pair in plan.pairs], wanted.ending) if wanted.output else {}

    def deliver(pair: PairRecord) -> None:
        if wanted.output is not None:
            _write(pair.result["bitext"], wanted.output / files[pair.src, pair.tgt], wanted.export, place)

    logged = replace(bench, log=str(directory.resolve() / "log"))
    return run_matrix(
        plan,
        logged,
        executor,
        directory,
        progress=progress,
        pair_done=lambda pair: say(pair_line(pair)),
        deliver=deliver,
    )


def _write(bitext: str, path: Path, export: Export, place: Workspace) -> None:
    """A file of the sentences of a bitext.

    Raises:
        NotFoundError, ArtifactError: the bitext was deleted or is damaged.
        ParameterError: `output-not-writable`.
        DiskFullError: no room.
    """
    from bitextmine.bitext import KIND, Bitext
    from bitextmine.exports import export_to

    found = place.artifacts.open(KIND, bitext)
    if found is None:
        raise NotFoundError(f"the bitext {bitext} was deleted before it was written", code="bitext-not-found")
    try:
        with disk_full_named(str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            export_to(path, Bitext(found), export)
    except OSError as error:
        raise ParameterError(f"cannot write {path}: {error.strerror}", code="output-not-writable") from error


def pair_line(pair: PairRecord) -> str:
    """What came of a pair, on one line."""
    title = f"{pair.src}-{pair.tgt}"
    if pair.error:
        return f"{title}: failed: {pair.error}"
    result = pair.result
    threshold = result["threshold"]
    above = f" above {threshold['value']:.4f}" if threshold.get("value") is not None else ""
    promised = f" (precision {threshold['precision']:.2f})" if "precision" in threshold else ""
    promised = " (nothing promised)" if "why" in threshold else promised
    if "why" in threshold and threshold["value"] is None:
        return f"{title}: no pairs: {threshold['why']}"
    dropped = sum(int(each["dropped"]) for each in result["filters"])
    return f"{title}: {result['pairs']:,} pairs{above}{promised}, {dropped:,} dropped by filters"


def _say_end(record: MatrixRecord, directory: Path, seconds: float) -> None:
    counts = record.counts
    failed = f", {counts['failed']} failed" if counts["failed"] else ""
    total = sum(int(pair.result.get("pairs", 0)) for pair in record.pairs)
    say(f"{counts['done']} pairs of corpora{failed}: {total:,} pairs of sentences in {seconds:.1f} s")
    say(f"report: {directory / 'report.html'} (and report.json)")
