"""`bitextmine threshold`: which margin gives which precision and recall, and how sure that is."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bitextmine.cli import console
from bitextmine.cli.plan import planned
from bitextmine.cli.stages import progress_shown, say
from bitextmine.corpus import CorpusFormat
from bitextmine.encoders import find_encoder
from bitextmine.errors import ParameterError, disk_full_named
from bitextmine.languages import parse_language
from bitextmine.margin import Margin, Retrieval
from bitextmine.pair_files import PairFile, PairFormat, ingest_pairs, pair_format_of
from bitextmine.resources import Device, Provider

if TYPE_CHECKING:
    from bitextmine.corpus import Corpus
    from bitextmine.encoders import Encoder
    from bitextmine.encoders.card import Precision
    from bitextmine.given import GivenVectors
    from bitextmine.mining import MiningParameters
    from bitextmine.planner import Plan
    from bitextmine.progress import Progress
    from bitextmine.thresholds import Choice, ThresholdEstimate
    from bitextmine.workspace import Workspace

_PRECISIONS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
_BAR_WIDTH = 44
_ROWS = 24
SeedsOption = Annotated[
    Path | None,
    typer.Option(
        show_default="none",
        help="Known pairs, which need not be of the corpora: TSV, JSONL, TMX or a zip of a Moses pair. Recall is "
        "measured on them, and precision rests on them too.",
    ),
]


def threshold(
    src: Annotated[Path, typer.Argument(metavar="SRC", help="Source corpus, as for mine.")],
    tgt: Annotated[Path, typer.Argument(metavar="TGT", help="Target corpus.")],
    src_lang: console.SrcLang,
    tgt_lang: console.TgtLang,
    precision: console.MinedPrecision = None,
    seeds: SeedsOption = None,
    plot: Annotated[
        Path | None, typer.Option(show_default="none", metavar="FILE.svg", help="Draw the histogram and both curves.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    encoder: console.EncoderName = "muse",
    k: console.K = 4,
    margin: console.MarginOption = Margin.RATIO,
    retrieval: console.RetrievalOption = Retrieval.MAX_SCORE,
    input_format: Annotated[
        CorpusFormat | None, typer.Option("--format", show_default="by the files' names", help="How lines are written.")
    ] = None,
    allow_uncovered: console.AllowUncovered = False,
    verbose: console.Verbose = False,
    provider: console.ProviderOption = Provider.AUTO,
    allow_cpu_fallback: console.AllowCpuFallback = False,
    threads: console.Threads = None,
    memory: console.Memory = None,
    data_dir: console.DataDir = None,
    encoders_dir: console.EncodersDir = None,
) -> None:
    """Show the histogram of margins, and the precision and recall that each threshold is expected to give.

    Nothing needs to be known of the corpora: sentences that have a translation are made to do without it, and what
    they find then tells what wrong pairs look like. With --precision 0.95 the threshold for that is printed alone.

    Example: bitextmine threshold news.de news.en.gz --src-lang de --tgt-lang en --plot margins.svg
    """
    from bitextmine.mining import MiningParameters, check_languages
    from bitextmine.thresholds import check_target, estimate_for

    of_encoder, target = console.split_precision(precision)
    if target is not None:
        check_target(target)
    if plot is not None:
        _check_writable(plot)
    parameters = MiningParameters(k=k, margin=margin, retrieval=retrieval, allow_uncovered_languages=allow_uncovered)
    limits = console.resources(threads, memory)
    files = [console.corpus_file(path, lang, input_format) for path, lang in ((src, src_lang), (tgt, tgt_lang))]
    known = seeds_file(seeds, src_lang, tgt_lang)
    place = console.writable_workspace(data_dir, encoders_dir)
    model = find_encoder(
        encoder, place.encoders, threads=threads, precision=of_encoder, device=Device(provider, allow_cpu_fallback)
    )
    check_languages((file.lang for file in files), model, parameters)
    with progress_shown(verbose) as progress:
        corpora = console.read_corpora(files, place, progress)
        plan = planned(corpora, model, parameters, limits, place)
        planted = None if known is None else ingest_pairs(known, place.artifacts, progress=progress)
        found = estimate_for(
            (corpora[0], corpora[1]), model, place.artifacts, parameters, plan=plan, seeds=planted, progress=progress
        )
    chosen = None
    try:
        chosen = None if target is None else found.choose(target)
    finally:
        _write(found, chosen, plot, f"{src.name} and {tgt.name}, {margin} margin", as_json=as_json)


def seeds_file(path: Path | None, src_lang: str, tgt_lang: str) -> PairFile | None:
    """
    Raises:
        LanguageError, ParameterError: before any work.
    """
    if path is None:
        return None
    form = pair_format_of(path)
    if form is PairFormat.MOSES:
        raise ParameterError(f"{path.name}: give seeds as one file: TSV, JSONL, TMX or a zip of a Moses pair")
    return PairFile(path, parse_language(src_lang), parse_language(tgt_lang), form)


def split_target(
    precision: Sequence[str] | None, threshold: float | None, seeds: Path | None
) -> tuple[Precision | None, float | None]:
    """The encoder's precision, and the share of right pairs that a threshold shall be chosen for, of `mine`'s options.

    Raises:
        ParameterError: `invalid-target-precision`; options that do not go together.
    """
    from bitextmine.thresholds import check_target

    of_encoder, target = console.split_precision(precision)
    if target is None:
        if seeds is not None:
            raise ParameterError("--seeds goes with --precision and a number")
        return of_encoder, None
    check_target(target)
    if threshold is not None:
        raise ParameterError("give --threshold, or a --precision for which one is chosen, not both")
    return of_encoder, target


def with_threshold(
    target: float,
    corpora: Sequence[Corpus],
    encoder: Encoder | GivenVectors,
    place: Workspace,
    parameters: MiningParameters,
    planned_and_seeds: tuple[Plan, PairFile | None],
    progress: Progress,
) -> MiningParameters:
    """The parameters with the threshold for this precision, of which is said what it is and how sure.

    Raises:
        ParameterError: see `estimate_for` and `ThresholdEstimate.choose`.
    """
    from bitextmine.thresholds import estimate_for

    plan, known = planned_and_seeds
    seeds = None if known is None else ingest_pairs(known, place.artifacts, progress=progress)
    found = estimate_for(
        (corpora[0], corpora[1]), encoder, place.artifacts, parameters, plan=plan, seeds=seeds, progress=progress
    )
    choice = found.choose(target)
    say(choice.line())
    return replace(parameters, threshold=choice.threshold)


def _write(found: ThresholdEstimate, chosen: Choice | None, plot: Path | None, title: str, *, as_json: bool) -> None:
    if plot is not None:
        _draw(found, chosen, plot, title)
    if as_json:
        sys.stdout.write(json.dumps(found.as_json()) + "\n")
    elif chosen is not None:
        typer.echo(chosen.line())
    else:
        typer.echo("\n".join([*histogram_lines(found), "", *table_lines(found)]))
        say_basis(found)


def _check_writable(path: Path) -> None:
    """
    Raises:
        ParameterError: `output-not-writable`.
    """
    if path.is_dir() or not path.parent.is_dir():
        reason = "it is a directory" if path.is_dir() else f"there is no directory {path.parent}"
        raise ParameterError(f"cannot write {path}: {reason}", code="output-not-writable")


def _draw(found: ThresholdEstimate, chosen: Choice | None, path: Path, title: str) -> None:
    """
    Raises:
        DiskFullError: the disk is full.
    """
    from bitextmine.files import write_atomically
    from bitextmine.thresholds import plot_svg

    with disk_full_named(str(path)):
        write_atomically(path, plot_svg(found, title, chosen).encode())


def histogram_lines(found: ThresholdEstimate) -> list[str]:
    """A bar for every few bins."""
    step = max(-(-len(found.counts) // _ROWS), 1)
    sums = [sum(found.counts[start : start + step]) for start in range(0, len(found.counts), step)]
    most = max(sums, default=0)
    lines = [f"{'margin from':>12}{'pairs':>10}"]
    for number, count in enumerate(sums):
        bar = "█" * round(_BAR_WIDTH * count / max(most, 1))
        lines.append(f"{found.edges[number * step]:>12.3f}{count:>10,}  {bar}".rstrip())
    return lines


def table_lines(found: ThresholdEstimate) -> list[str]:
    """The threshold for each of some precisions."""
    if found.unknown is not None:
        return [f"precision cannot be told: {found.unknown}"]
    lines = [f"{'threshold':>10}{'pairs':>10}{'precision':>11}{'90 % interval':>17}{'recall':>9}{'90 % interval':>17}"]
    shown: list[Choice] = []
    for wanted in _PRECISIONS:
        try:
            point = found.choose(wanted)
        except ParameterError:
            break
        shown += [] if point in shown else [point]
    for each in shown:
        lines.append(
            f"{each.threshold:>10.4f}{each.pairs:>10,}{each.precision:>11.3f}"
            f"{f'{each.low:.3f} to {each.high:.3f}':>17}{each.recall:>9.3f}"
            f"{f'{each.recall_low:.3f} to {each.recall_high:.3f}':>17}"
        )
    return lines if shown else [f"no threshold is expected to give a precision of {_PRECISIONS[0]:g} or more"]


def say_basis(found: ThresholdEstimate) -> None:
    """What the estimate rests on."""
    if found.unknown is None:
        of_seeds = f" and {found.seeds:,} known pairs" if found.seeds else ""
        moved = f", moved by {found.shift:+.3f}" if found.shift else ""
        say(f"estimated from {found.decoys:,} decoys{moved}, {found.pairs:,} pairs{of_seeds}")
