"""`bitextmine prepare`: files in, sentences worth mining out, and an account of the others."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bitextmine.cli import console
from bitextmine.cli.stages import progress_shown, say
from bitextmine.errors import ParameterError
from bitextmine.preparation.parameters import (
    NearDuplicates,
    Normalization,
    PreparationParameters,
    Split,
    Tidying,
    invalid,
    rule_names,
    with_rule,
)

if TYPE_CHECKING:
    from bitextmine.corpus import Corpus
    from bitextmine.preparation import PreparationReport

_SHOWN_CHARS = 80  # of an example
_RECORDS, _PACKED = (".jsonl", ".ndjson"), (".gz", ".zst")  # what outputs are called
_NOT_WRITTEN = (
    ".json",
    ".parquet",
    ".tsv",
    ".csv",
    ".tmx",
    ".xml",
    ".html",
    ".xz",
    ".bz2",
    ".zip",
    ".7z",
    ".tar",
    ".tgz",
)
_DEFAULTS = PreparationParameters()


def prepare(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Files, directories or globs ('wiki/**/*.gz'): text, JSONL, Parquet, TMX, or a zip of two texts.",
        ),
    ],
    lang: Annotated[str, typer.Option(help="Their language: de, deu, deu_Latn, zh-Hans ...")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write the sentences here: .txt, or .jsonl with ids and sources; also .gz or .zst."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be dropped, and make nothing.")] = False,
    split: Annotated[
        Split, typer.Option(help="Split into sentences: documents (auto), every line (always), or nothing (never).")
    ] = _DEFAULTS.split,
    normalization: Annotated[Normalization, typer.Option(help="Unicode normalisation.")] = _DEFAULTS.normalization,
    tidy: Annotated[list[Tidying] | None, typer.Option(help="What to tidy up; can be repeated.")] = None,
    near_duplicates: Annotated[
        NearDuplicates,
        typer.Option(help="Drop what is like an earlier sentence but for case, punctuation, spaces (and digits)."),
    ] = _DEFAULTS.near_duplicates,
    bounds: Annotated[
        list[str] | None, typer.Option("--rule", metavar="NAME.BOUND=X", help="As length.most=300; can be repeated.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Leave a rule out; can be repeated.")
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="FILES", help="Drop sentences that these hold: bitexts or texts; can be repeated."),
    ] = None,
    verbose: console.Verbose = False,
    data_dir: console.DataDir = None,
) -> None:
    """Prepare a corpus: split documents, normalise, drop duplicates and what is no sentence of the language.

    The files of a directory come in the order of their paths. What each rule dropped is shown with examples, and all of
    it is in rejects.jsonl beside the corpus, with the name of the rule and its reason (docs/preparation.md).

    When files are added at the end, only these are read: the sentences that were there keep their places, and their
    embeddings.

    Example: bitextmine prepare 'dump/**/wiki_*' --lang th --dry-run
    Example: bitextmine prepare news.de.gz --lang de --rule length.most=300 --without script -o news.txt
    """
    from bitextmine.preparation import expand_sources, rehearse, report_of
    from bitextmine.preparation import prepare as prepare_corpus

    started = time.monotonic()
    if output is not None:
        if dry_run:
            raise ParameterError("--dry-run makes nothing, so there is nothing for --output to take")
        _check_output(output)
    parameters = PreparationParameters(
        split=split,
        normalization=normalization,
        tidy=tuple(sorted(set(tidy or ()))),
        near_duplicates=near_duplicates,
        bounds=_bounds(bounds or (), without or ()),
        exclude=tuple(expand_sources(exclude or (), Path())),
    )
    files = expand_sources(sources, Path())
    if dry_run:
        with progress_shown(verbose) as progress:
            report = rehearse(files, lang, parameters, progress=progress)
        _print_report(report)
        say(f"dry run in {time.monotonic() - started:.1f} s (files: {report.files:,}): nothing was made")
        return
    place = console.writable_workspace(data_dir, None)
    with progress_shown(verbose) as progress:
        corpus = prepare_corpus(files, lang, place.artifacts, parameters, progress=progress)
    if (found := report_of(corpus)) is not None:
        _print_report(found)
    if output is not None:
        _write(output, corpus)
    say(f"corpus {corpus.digest[:8]} in {time.monotonic() - started:.1f} s: {corpus.artifact.path}")


def _bounds(said: Iterable[str], without: Iterable[str]) -> dict[str, Any]:
    """
    Raises:
        ParameterError: `invalid-preparation`.
    """
    bounds = dict(_DEFAULTS.bounds)
    for each in said:
        bounds = with_rule(PreparationParameters(bounds=bounds), each)
    for name in without:
        if name not in _DEFAULTS.bounds:
            raise invalid(f"--without {name!r}: the rules to leave out are {', '.join(_DEFAULTS.bounds)}")
        bounds.pop(name, None)
    return bounds


def _print_report(report: PreparationReport) -> None:
    """A table of what became of the sentences."""
    total = max(report.sentences, 1)
    for line in _lines("refused", report.refused, max(report.lines, 1)):
        typer.echo(line)
    typer.echo(f"{'sentences':<22} {report.sentences:>12,}")
    for rule in rule_names():
        if count := report.dropped.get(rule, 0):
            typer.echo(f"  {rule:<20} {count:>12,} {count / total:>8.2%}  dropped")
            for example in report.examples.get(rule, ()):
                shown = example["text"][:_SHOWN_CHARS]
                typer.echo(f"      {example['source']}:{example['line']}: {example['reason']}: {shown}")
    typer.echo(f"  {'duplicates':<20} {report.duplicates:>12,} {report.duplicates / total:>8.2%}  of others that stay")
    typer.echo(f"  {'kept':<20} {report.kept:>12,} {report.kept / total:>8.2%}")
    for note in report.notes:
        say(f"note: {note}")


def _lines(what: str, counts: Any, total: int) -> Iterator[str]:
    for reason, count in counts.items():
        yield f"{what + ', ' + reason:<22} {count:>12,} {count / total:>8.2%}  of the lines"


def _form(output: Path) -> tuple[bool, str]:
    """Whether an output of this name is JSON lines, and its suffix of compression.

    Raises:
        ParameterError: `output-not-writable`: the name says something else.
    """
    suffix = output.suffix.lower()
    packed = suffix if suffix in _PACKED else ""
    form = Path(output.stem).suffix.lower() if packed else suffix
    if form in (*_NOT_WRITTEN, *_PACKED):  # others are text: corpus.de
        message = f"cannot write {output}: the sentences are written as .txt, .jsonl or .ndjson, each also .gz or .zst"
        raise ParameterError(message, code="output-not-writable")
    return form in _RECORDS, packed


def _check_output(output: Path) -> None:
    """
    Raises:
        ParameterError: `output-not-writable`.
    """
    if output.is_dir() or not output.parent.is_dir():
        reason = "it is a directory" if output.is_dir() else f"there is no directory {output.parent}"
        raise ParameterError(f"cannot write {output}: {reason}", code="output-not-writable")
    _form(output)


def _write(output: Path, corpus: Corpus) -> None:
    from bitextmine.exports.files import write_chunks
    from bitextmine.exports.streams import compressed
    from bitextmine.exports.wanted import Compression
    from bitextmine.preparation.writing import jsonl_chunks, text_chunks

    records, packed = _form(output)
    chunks = jsonl_chunks(corpus) if records else text_chunks(corpus)
    write_chunks(output, compressed(chunks, Compression(packed.removeprefix(".")) if packed else Compression.NONE))
