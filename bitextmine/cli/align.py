"""`bitextmine align`: two documents, or the linked documents of two corpora, sentence by sentence."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bitextmine.alignment import (
    AlignmentParameters,
    GoldBead,
    path_svg,
    read_ladder,
    score_alignment,
    without_other_lines,
)
from bitextmine.cli import console
from bitextmine.cli.align_input import read_documents
from bitextmine.cli.output import FORMAT_DEFAULT, STDOUT, planned_export, write_export, write_pieces
from bitextmine.cli.stages import progress_shown, say
from bitextmine.corpus import CorpusFormat
from bitextmine.encoders import find_encoder
from bitextmine.errors import InputError, ParameterError
from bitextmine.exports import Export, ExportFormat
from bitextmine.exports.files import write_chunks
from bitextmine.exports.streams import compressed
from bitextmine.resources import Device, Provider

if TYPE_CHECKING:
    from bitextmine.documents import AlignedDocuments

_Bead = Mapping[str, Any]
_IN_DOCUMENT_ORDER = (ExportFormat.TSV, ExportFormat.JSONL)
_OUTPUT_HELP = (
    "Where the beads go: .tsv (score, src, tgt) or .jsonl in document order, each also .gz or .zst; or best first, as "
    ".tmx, .parquet or .zip (Moses); - is stdout."
)


def align(
    src: Annotated[
        Path, typer.Argument(metavar="SRC", help="A document, a sentence a line; or JSONL of many with their doc_id.")
    ],
    tgt: Annotated[Path, typer.Argument(metavar="TGT", help="The same in the other language.")],
    src_lang: console.SrcLang,
    tgt_lang: console.TgtLang,
    output: Annotated[Path, typer.Option("--output", "-o", help=_OUTPUT_HELP)] = STDOUT,
    output_format: Annotated[
        ExportFormat | None, typer.Option(show_default=FORMAT_DEFAULT, help="How beads are written.")
    ] = None,
    links: Annotated[
        Path | None,
        typer.Option(
            show_default="documents of the same id", help="Which documents belong together: TSV, JSON, langlinks."
        ),
    ] = None,
    split: Annotated[
        bool, typer.Option("--split", help="Split lines into sentences first; line numbers then count sentences.")
    ] = False,
    threshold: Annotated[float | None, typer.Option(help="Leave out beads with a lower score.")] = None,
    keep_unaligned: Annotated[
        bool, typer.Option("--keep-unaligned", help="Write sentences without a counterpart too, with an empty side.")
    ] = False,
    gold: Annotated[
        Path | None,
        typer.Option(help="The right beads, [0, 1]:[0] a line, lines counted from 0: says precision and recall."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.svg", help="Draw the way through both documents.")] = None,
    largest: Annotated[int, typer.Option(help="The most sentences of a bead, of both sides together.")] = 6,
    skip: Annotated[float, typer.Option(help="What leaving a sentence out costs; more leaves fewer out.")] = 0.4,
    encoder: console.EncoderName = "muse",
    precision: console.PrecisionOption = console.PrecisionChoice.AUTO,
    input_format: Annotated[
        CorpusFormat | None, typer.Option("--format", show_default="by the files' names", help="How lines are written.")
    ] = None,
    allow_uncovered: console.AllowUncovered = False,
    verbose: console.Verbose = False,
    provider: console.ProviderOption = Provider.AUTO,
    allow_cpu_fallback: console.AllowCpuFallback = False,
    threads: console.Threads = None,
    data_dir: console.DataDir = None,
    encoders_dir: console.EncodersDir = None,
) -> None:
    """Align the sentences of two documents, or of all linked documents of two corpora: also merged and split ones.

    A bead is one sentence or several of one side and those of the other that say the same. Its score is 1 for the same
    vector and about 0 for sentences with nothing in common. What comes out is also kept as a bitext.

    Example: bitextmine align story.de story.en --src-lang de --tgt-lang en -o story.tsv
    """
    from bitextmine.documents import align_documents, documents_to_align, read_links
    from bitextmine.mining import MiningParameters, check_languages

    started = time.monotonic()
    parameters = AlignmentParameters(largest=largest, skip=skip)
    wanted = planned_export(output, output_format)
    if wanted.form not in _IN_DOCUMENT_ORDER and (threshold is not None or keep_unaligned):
        raise ParameterError(f"--threshold and --keep-unaligned are for tsv and jsonl, not for {wanted.form}")
    _check_plot(plot)
    right = read_ladder(gold) if gold else []
    files = [console.corpus_file(path, lang, input_format) for path, lang in ((src, src_lang), (tgt, tgt_lang))]
    linked = read_links(links, files[0].lang, files[1].lang) if links else None
    place = console.writable_workspace(data_dir, encoders_dir)
    device = Device(provider, allow_cpu_fallback)
    model = find_encoder(encoder, place.encoders, threads=threads, precision=precision.precision, device=device)
    check_languages((file.lang for file in files), model, MiningParameters(allow_uncovered_languages=allow_uncovered))
    with progress_shown(verbose) as progress:
        corpora = read_documents(files, place, progress, split=split)
        pairs = len(documents_to_align(corpora[0], corpora[1], linked).pairs)
        if pairs > 1 and (gold or plot):
            raise ParameterError(f"--gold and --plot are for one pair of documents; these are {pairs:,}")
        aligned = align_documents(
            corpora[0], corpora[1], model, place.artifacts, parameters, links=linked, progress=progress
        )
    if wanted.form in _IN_DOCUMENT_ORDER:
        write_pieces(output, _written(aligned, wanted, threshold, keep_unaligned))
    else:
        write_export(output, aligned.bitext, wanted)
    if plot:
        write_chunks(plot, iter([_drawn(aligned, (str(src), str(tgt)), right).encode()]))
    if right:
        _say_scores(aligned, right, gold)
    _say_beads(aligned, model.card.max_tokens, time.monotonic() - started)


def _check_plot(plot: Path | None) -> None:
    """
    Raises:
        ParameterError: `output-not-writable`.
    """
    if plot is not None and (plot.suffix.lower() != ".svg" or plot.is_dir() or not plot.parent.is_dir()):
        message = f"cannot draw {plot}: plots are .svg files in a directory that is there"
        raise ParameterError(message, code="output-not-writable")


def _written(aligned: AlignedDocuments, wanted: Export, threshold: float | None, unaligned: bool) -> Iterator[bytes]:
    lines = (
        _line(bead, wanted.form).encode()
        for bead in aligned.beads()
        if (unaligned if bead["score"] is None else threshold is None or bead["score"] >= threshold)
    )
    return compressed(lines, wanted.compression)


def _line(bead: _Bead, form: ExportFormat) -> str:
    if form is ExportFormat.TSV:  # no sentence holds a tab or a line break
        return f"{bead['score'] or 0:.6f}\t{bead['src']}\t{bead['tgt']}\n"
    rounded = {name: round(value, 6) if isinstance(value, float) else value for name, value in bead.items()}
    return json.dumps(rounded, ensure_ascii=False) + "\n"


def _drawn(aligned: AlignedDocuments, names: tuple[str, str], gold: list[GoldBead]) -> str:
    beads = [(_from_0(bead["src_lines"]), _from_0(bead["tgt_lines"]), bead["score"]) for bead in aligned.beads()]
    return path_svg(beads, names, gold)


def _say_scores(aligned: AlignedDocuments, gold: list[GoldBead], path: Path | None) -> None:
    """
    Raises:
        InputError: `invalid-gold`: it has no sentence of these documents.
    """
    found = [GoldBead(_from_0(bead["src_lines"]), _from_0(bead["tgt_lines"])) for bead in aligned.beads()]
    src, tgt = {line for bead in found for line in bead.src}, {line for bead in found for line in bead.tgt}
    right = without_other_lines(gold, src, tgt)
    if not any(bead.src and bead.tgt for bead in right):
        raise InputError(f"{path}: no bead of lines that are sentences of both documents", code="invalid-gold")
    scores = score_alignment(found, right)
    for name, precision, recall, f1 in (
        ("strict", scores.strict_precision, scores.strict_recall, scores.strict_f1),
        ("lax", scores.lax_precision, scores.lax_recall, scores.lax_f1),
    ):
        say(f"{name}: precision {precision:.4f}, recall {recall:.4f}, F1 {f1:.4f}")


def _from_0(lines: list[int]) -> list[int]:
    return [line - 1 for line in lines]


def _say_beads(aligned: AlignedDocuments, max_tokens: int, seconds: float) -> None:
    summary = aligned.bitext.summary
    documents = summary["documents"]
    if unknown := documents["unknown_links"]:
        say(f"warning: {unknown:,} links name a document that is not there")
    for side in ("src", "tgt"):
        if without := documents[f"{side}_without"]:
            say(f"{side}: {without:,} lines have no doc_id and are in no document")
    if cut := summary["truncated"]:
        say(f"{cut:,} blocks of sentences were cut at the encoder's {max_tokens} tokens")
    shapes = ", ".join(f"{shape} {count:,}" for shape, count in summary["beads"].items()) or "none"
    alone = f"{summary['src_alone']:,} source and {summary['tgt_alone']:,} target sentences alone"
    digest = aligned.bitext.digest[:8]
    say(f"{documents['linked']:,} pairs of documents, {summary['pairs']:,} beads ({shapes}), {alone}")
    say(f"aligned in {seconds:.1f} s: bitext {digest}")
