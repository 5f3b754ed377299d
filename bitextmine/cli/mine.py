"""`bitextmine mine`: two files in, scored pairs out."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from bitextmine.bitext import ExportFormat, export_lines, export_to
from bitextmine.cli import console
from bitextmine.corpus import CorpusFormat, format_of
from bitextmine.encoders import open_encoder
from bitextmine.errors import ParameterError
from bitextmine.margin import Margin, Retrieval

STDOUT = Path("-")
_COMPRESSED = (".gz", ".xz", ".zst", ".bz2", ".zip")


def mine(
    src: Annotated[Path, typer.Argument(metavar="SRC", help="Source corpus: text or JSONL; plain, .gz, .xz or .zst.")],
    tgt: Annotated[Path, typer.Argument(metavar="TGT", help="Target corpus.")],
    src_lang: console.SrcLang,
    tgt_lang: console.TgtLang,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where the pairs go: .tsv (margin, src, tgt) or .jsonl; - is stdout.")
    ] = STDOUT,
    encoder: console.EncoderName = "muse",
    k: console.K = 4,
    margin: console.MarginOption = Margin.RATIO,
    retrieval: console.RetrievalOption = Retrieval.MAX_SCORE,
    threshold: Annotated[float | None, typer.Option(help="Drop pairs with a lower margin.")] = None,
    ceiling: Annotated[
        float | None, typer.Option(help="Drop pairs with a higher margin (copies, boilerplate).")
    ] = None,
    input_format: Annotated[
        CorpusFormat | None, typer.Option("--format", show_default="by the files' names", help="How lines are written.")
    ] = None,
    allow_uncovered: console.AllowUncovered = False,
    threads: console.Threads = None,
    memory: console.Memory = None,
    data_dir: console.DataDir = None,
    encoders_dir: console.EncodersDir = None,
) -> None:
    """Mine sentence pairs from two monolingual files, one sentence a line.

    Pairs come best first. Without --threshold every candidate pair is written: look at the file, find the margin
    below which pairs are wrong, and filter by it (scores differ between encoders and corpora, so no default fits).
    Embeddings are kept, so mining the same files again with other options takes seconds.

    Example: bitextmine mine news.de news.en.gz --src-lang de --tgt-lang en -o pairs.tsv --threshold 1.1
    """
    from bitextmine.mining import MiningParameters, plan_mining
    from bitextmine.mining import mine as mine_corpora

    started = time.monotonic()
    limits = console.resources(threads, memory)
    form = _form_of(output)
    place = console.writable_workspace(data_dir, encoders_dir)
    parameters = MiningParameters(
        k=k,
        margin=margin,
        retrieval=retrieval,
        threshold=threshold,
        ceiling=ceiling,
        allow_uncovered_languages=allow_uncovered,
    )
    model = open_encoder(encoder, place.encoders, threads=threads)
    with console.progress_shown() as progress:
        corpora = [
            console.read_corpus(path, lang, place, input_format, progress)
            for path, lang in ((src, src_lang), (tgt, tgt_lang))
        ]
        plan = plan_mining(corpora[0], corpora[1], model, parameters, resources=limits)
        console.say(plan.line())
        bitext = mine_corpora(corpora[0], corpora[1], model, place.artifacts, parameters, plan=plan, progress=progress)
    if output == STDOUT:
        sys.stdout.writelines(export_lines(bitext, form))
        sys.stdout.flush()  # a reader that has gone must not be found out at exit
    else:
        export_to(output, bitext, form)
    sizes = " x ".join(f"{len(corpus):,}" for corpus in corpora)
    console.say(f"{len(bitext):,} pairs from {sizes} sentences in {time.monotonic() - started:.1f} s")


def _form_of(output: Path) -> ExportFormat:
    """The format that the output's name asks for; what could not be written in the end is refused before the work."""
    if output == STDOUT:
        return ExportFormat.TSV
    if output.suffix in _COMPRESSED:
        message = f"cannot write {output}: pairs are written uncompressed; leave {output.suffix} out, or use: | gzip"
        raise ParameterError(message, code="output-not-writable")
    if output.is_dir() or not output.parent.is_dir():
        reason = "it is a directory" if output.is_dir() else f"there is no directory {output.parent}"
        raise ParameterError(f"cannot write {output}: {reason}", code="output-not-writable")
    return ExportFormat.JSONL if format_of(output) is CorpusFormat.JSONL else ExportFormat.TSV
