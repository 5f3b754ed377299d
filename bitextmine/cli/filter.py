"""`bitextmine filter`: a bitext of anyone's in, the pairs that pass the filters out."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from bitextmine.artifacts import ArtifactStore
from bitextmine.cli import console
from bitextmine.cli.filter_options import FiltersOption, say_filtered, settings_of
from bitextmine.cli.output import FORMAT_DEFAULT, OUTPUT_HELP, STDOUT, planned_export, write_export, write_pieces
from bitextmine.cli.stages import progress_shown, say
from bitextmine.errors import ParameterError, disk_full_named
from bitextmine.exports import Export, ExportFormat, check_rejected_export, rejected_chunks
from bitextmine.filters import FilterSettings, filter_names
from bitextmine.languages import parse_language
from bitextmine.pair_files import Columns, PairFile, PairFormat, pair_format_of

if TYPE_CHECKING:
    from bitextmine.bitext import Bitext

_SHOWN_CHARS = 120  # of each side of an example
_NAMES = ", ".join(filter_names())


class PairsInput(StrEnum):
    """How PAIRS may be written."""

    TSV = "tsv"
    MOSES = "moses"
    TMX = "tmx"
    JSONL = "jsonl"
    PARQUET = "parquet"


def filter_pairs(
    pairs: Annotated[
        Path,
        typer.Argument(
            metavar="PAIRS", help="TSV, JSONL, TMX or a zip of a Moses pair, plain, .gz, .xz or .zst; or Parquet."
        ),
    ],
    src_lang: console.SrcLang,
    tgt_lang: console.TgtLang,
    tgt_pairs: Annotated[
        Path | None, typer.Argument(metavar="TGT", help="The target's file, where PAIRS is a Moses pair's source.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help=OUTPUT_HELP)] = STDOUT,
    output_format: Annotated[
        ExportFormat | None, typer.Option(show_default=FORMAT_DEFAULT, help="How pairs are written.")
    ] = None,
    rejected: Annotated[
        Path | None,
        typer.Option(help="Where dropped pairs go, with filter and reason: .tsv, .jsonl, .parquet; also .gz, .zst."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write no pairs: show what each filter would drop, with examples.")
    ] = False,
    filters: FiltersOption = "default",
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help=f"This filter alone; may be repeated. There are {_NAMES}.")
    ] = None,
    without: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Not this filter; may be repeated.")] = None,
    bound: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME.BOUND=NUMBER", help="A bound: length-ratio.most=4; may be repeated."),
    ] = None,
    input_format: Annotated[
        PairsInput | None, typer.Option("--format", show_default="by the file's name", help="How PAIRS is written.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            show_default="src, tgt or score, src, tgt",
            help="A TSV's columns of source and target, by number or by name: 2,3 or german,english.",
        ),
    ] = None,
    verbose: console.Verbose = False,
) -> None:
    """Drop the pairs of a bitext that look wrong, whoever made it, and write the others in their order.

    No encoder is needed. docs/filters.md says what each filter looks at. PAIRS is copied once to the directory for
    temporary files (TMPDIR), compressed.

    Example: bitextmine filter pairs.tsv.gz --src-lang de --tgt-lang en -o kept.tsv.gz --rejected dropped.tsv
    """
    from bitextmine.filtered import filter_bitext
    from bitextmine.given_pairs import bitext_of_file

    settings = settings_of(filters, only or (), without or (), bound or ())
    wanted = None if dry_run else planned_export(output, output_format)
    wanted_rejected = _planned_rejected(rejected, None if dry_run else output)
    file, parquet = _pair_file(pairs, tgt_pairs, (src_lang, tgt_lang), input_format, columns)
    with TemporaryDirectory(prefix="bitextmine-") as directory, disk_full_named(directory):
        store = ArtifactStore(Path(directory))
        with progress_shown(verbose) as progress:
            given = bitext_of_file(file, store, parquet=parquet, progress=progress)
            _check_scores(settings, given, file)
            kept = filter_bitext(given, settings, store, progress=progress)
        _report_refused(given, file)
        if wanted is None:
            typer.echo("\n".join(_report(kept)))
        else:
            write_export(output, kept, wanted)
        if rejected is not None and wanted_rejected is not None:
            write_pieces(rejected, rejected_chunks(kept, wanted_rejected))
        if settings.filters:
            say_filtered(kept.summary)
        if wanted is not None:
            say(f"{len(kept):,} pairs written")


def _planned_rejected(rejected: Path | None, output: Path | None) -> Export | None:
    """
    Raises:
        ParameterError: `output-not-writable`, `invalid-export`.
    """
    if rejected is None:
        return None
    if output is not None and (rejected == output or rejected.absolute() == output.absolute()):
        message = f"pairs and dropped pairs cannot both go to {'stdout' if output == STDOUT else output}"
        raise ParameterError(message, code="output-not-writable")
    wanted = planned_export(rejected, None)
    check_rejected_export(wanted)
    return wanted


def _pair_file(
    path: Path, tgt_path: Path | None, langs: tuple[str, str], form: PairsInput | None, columns: str | None
) -> tuple[PairFile, bool]:
    """The file, and whether it is Parquet, which no PairFormat is.

    Raises:
        LanguageError, ParameterError: before any work.
    """
    parquet = form is PairsInput.PARQUET or (form is None and tgt_path is None and path.suffix.lower() == ".parquet")
    told = PairFormat.MOSES if tgt_path is not None else pair_format_of(path)
    chosen = told if form is None or parquet else PairFormat(form.value)
    given = None if columns is None else Columns.parse(columns)
    if parquet and (given or tgt_path):
        raise ParameterError("a Parquet file is one file with the columns src and tgt")
    src_lang, tgt_lang = map(parse_language, langs)
    form_of_file = PairFormat.JSONL if parquet else chosen
    return PairFile(path, src_lang, tgt_lang, form_of_file, tgt_path=tgt_path, columns=given), parquet


def _check_scores(settings: FilterSettings, given: Bitext, file: PairFile) -> None:
    """
    Raises:
        ParameterError: `invalid-filters`: a bound is of margins, and the file has none.
    """
    if not given.scored and any(each.name == "ceiling" for each in settings.filters):
        message = f"the filter ceiling looks at margins, and {file.label} has none"
        raise ParameterError(message, code="invalid-filters")


def _report_refused(given: Bitext, file: PairFile) -> None:
    refused, lines = sum(given.summary["refused"].values()), given.summary["lines"]
    if not refused:
        return
    what = "unit" if file.format is PairFormat.TMX else "line"
    say(f"{file.label}: {refused:,} of {lines:,} {what}s cannot be used and are left out:")
    for refusal in islice(given.refusals(), console.REFUSALS_SHOWN):
        say(f"  {what} {refusal.line}: {refusal.reason}: {refusal.detail}")
    if refused > console.REFUSALS_SHOWN:
        say(f"  ... and {refused - console.REFUSALS_SHOWN:,} more")


def _report(kept: Bitext) -> Iterable[str]:
    """What each filter would drop, for people."""
    summary = kept.summary
    filters = summary.get("filters", [])
    yield f"{'filter':<14}{'drops first':>14}{'alone':>14}"
    for each in filters:
        learnt = ", ".join(f"{name} {value:.3g}" for name, value in each["learnt"].items())
        yield f"{each['name']:<14}{each['dropped']:>14,}{each['alone']:>14,}" + (f"  ({learnt})" if learnt else "")
        for example in each["examples"]:
            yield f"    {example['reason']}"
            yield f"        {_shortened(example['src'])}"
            yield f"        {_shortened(example['tgt'])}"
    total = summary.get("unfiltered_pairs", len(kept))
    yield f"{len(kept):,} of {total:,} pairs would be kept"


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
