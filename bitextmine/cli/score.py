"""`bitextmine score`: a bitext that someone else made in, the same pairs with margin scores out, best first."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bitextmine.cli import console
from bitextmine.cli.output import FORMAT_DEFAULT, OUTPUT_HELP, STDOUT, planned_export, write_export
from bitextmine.cli.stages import progress_shown, say
from bitextmine.corpus import ingest
from bitextmine.encoders import Encoder, find_encoder
from bitextmine.errors import NotFoundError, ParameterError
from bitextmine.exports import ExportFormat
from bitextmine.languages import parse_language
from bitextmine.margin import Margin
from bitextmine.pair_files import Columns, PairFile, PairFormat, ingest_pairs, pair_format_of
from bitextmine.progress import Progress
from bitextmine.resources import Device, Provider
from bitextmine.workspace import Workspace

if TYPE_CHECKING:
    from bitextmine.bitext import Bitext
    from bitextmine.pair_files import IngestedPairs
    from bitextmine.scoring import Background

_BACKGROUND_HELP = "in which the other side's sentences have their neighbourhoods: a file, or a corpus's name."


def score(
    pairs: Annotated[
        Path, typer.Argument(metavar="PAIRS", help="TSV, JSONL, TMX or a zip of a Moses pair; plain, .gz, .xz or .zst.")
    ],
    src_lang: console.SrcLang,
    tgt_lang: console.TgtLang,
    tgt_pairs: Annotated[
        Path | None, typer.Argument(metavar="TGT", help="The target's file, where PAIRS is a Moses pair's source.")
    ] = None,
    src_background: Annotated[
        str | None,
        typer.Option(show_default="the sources in PAIRS", help=f"Text of the source's language, {_BACKGROUND_HELP}"),
    ] = None,
    tgt_background: Annotated[
        str | None, typer.Option(show_default="the targets in PAIRS", help="The same of the target's language.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help=OUTPUT_HELP)] = STDOUT,
    output_format: Annotated[
        ExportFormat | None, typer.Option(show_default=FORMAT_DEFAULT, help="How pairs are written.")
    ] = None,
    input_format: Annotated[
        PairFormat | None, typer.Option("--format", show_default="by the file's name", help="How PAIRS is written.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            show_default="src, tgt or score, src, tgt",
            help="A TSV's columns of source and target, by number or by name: 2,3 or german,english.",
        ),
    ] = None,
    encoder: console.EncoderName = "muse",
    precision: console.PrecisionOption = console.PrecisionChoice.AUTO,
    k: console.K = 4,
    margin: console.MarginOption = Margin.RATIO,
    allow_uncovered: console.AllowUncovered = False,
    verbose: console.Verbose = False,
    provider: console.ProviderOption = Provider.AUTO,
    allow_cpu_fallback: console.AllowCpuFallback = False,
    threads: console.Threads = None,
    memory: console.Memory = None,
    data_dir: console.DataDir = None,
    encoders_dir: console.EncodersDir = None,
) -> None:
    """Score the pairs of a bitext by margin, and write them best first.

    Backgrounds say how close sentences come to anything of the other language: give the corpora that the pairs were
    mined from, or text like theirs, for the scores of a mining run. Without them the file's own sentences are the
    background, which is fine for some ten thousand pairs and more.

    Example: bitextmine score old.tmx --src-lang de --tgt-lang en --src-background news.de --tgt-background news.en -o
    scored.tsv
    """
    from bitextmine.scoring import ScoringParameters, check_languages, score_file

    started = time.monotonic()
    limits = console.resources(threads, memory, 0)
    wanted = planned_export(output, output_format)
    file = _pair_file(pairs, tgt_pairs, (src_lang, tgt_lang), input_format, columns)
    place = console.writable_workspace(data_dir, encoders_dir)
    parameters = ScoringParameters(k=k, margin=margin, allow_uncovered_languages=allow_uncovered)
    model = find_encoder(
        encoder,
        place.encoders,
        threads=threads,
        precision=precision.precision,
        device=Device(provider, allow_cpu_fallback),
    )
    check_languages((file.src_lang, file.tgt_lang), model, parameters)
    with progress_shown(verbose) as progress:
        given = ingest_pairs(file, place.artifacts, progress=progress)
        _report_refused(file, given)
        backgrounds = (
            _background(src_background, file.src_lang, place, progress),
            _background(tgt_background, file.tgt_lang, place, progress),
        )
        bitext = score_file(given, backgrounds, model, place.artifacts, parameters, resources=limits, progress=progress)
    write_export(output, bitext, wanted)
    _report_scored(bitext, model)
    seconds = time.monotonic() - started
    say(f"{len(bitext):,} of {bitext.summary['lines']:,} pairs scored in {seconds:.1f} s: bitext {bitext.digest[:8]}")


def _pair_file(
    path: Path, tgt_path: Path | None, langs: tuple[str, str], form: PairFormat | None, columns: str | None
) -> PairFile:
    """
    Raises:
        LanguageError, ParameterError: before any work.
    """
    src_lang, tgt_lang = map(parse_language, langs)
    by_name = PairFormat.MOSES if tgt_path is not None else pair_format_of(path)
    return PairFile(
        path,
        src_lang,
        tgt_lang,
        form or by_name,
        tgt_path=tgt_path,
        columns=None if columns is None else Columns.parse(columns),
    )


def _background(wanted: str | None, lang: str, place: Workspace, progress: Progress) -> Background | None:
    """The corpus of a file, or one that has this name.

    Raises:
        NotFoundError: `corpus-not-found`: there is neither.
    """
    from bitextmine.catalog import Catalog
    from bitextmine.scoring import Background

    if wanted is None:
        return None
    if Path(wanted).exists():
        corpus = ingest(console.corpus_file(Path(wanted), lang, None), place.artifacts, progress=progress)
        return Background(corpus, corpus.source)
    try:
        return Background(Catalog(place.corpora, place.artifacts).open(wanted), wanted)
    except (NotFoundError, ParameterError) as error:
        message = f"the background {wanted!r} is neither a file nor the name of a corpus in {place.root}"
        raise NotFoundError(message, code="corpus-not-found") from error


def _report_refused(file: PairFile, pairs: IngestedPairs) -> None:
    summary = pairs.artifact.summary
    refused, lines = sum(summary["refused"].values()), summary["lines"]
    if not refused:
        return
    what = "unit" if file.format is PairFormat.TMX else "line"
    say(f"{file.label}: {refused:,} of {lines:,} {what}s refused, the others are used:")
    for refusal in islice(pairs.refusals(), console.REFUSALS_SHOWN):
        say(f"  {what} {refusal.line}: {refusal.reason}: {refusal.detail}")
    if refused > console.REFUSALS_SHOWN:
        say(f"  ... all of them: {pairs.refused_path}")
    if refused > console.MANY_REFUSED * lines:
        say(f"warning: {file.label}: {refused / lines:.0%} of the {what}s were refused; is that the right --format?")


def _report_scored(bitext: Bitext, model: Encoder) -> None:
    summary = bitext.summary
    cut = summary["src_truncated"], summary["tgt_truncated"]
    if any(cut):
        say(
            f"{cut[0]:,} source and {cut[1]:,} target sentences are longer than the encoder's {model.card.max_tokens} "
            "tokens: only their beginnings were compared"
        )
    if unscored := summary["refused"].get("no-margin"):
        say(f"{unscored:,} pairs have no margin: their neighbourhoods' mean cosine is not positive")
    if summary["identical_pairs"] > console.MANY_IDENTICAL * len(bitext):
        say(f"{summary['identical_pairs']:,} of {len(bitext):,} pairs are a sentence with itself")
