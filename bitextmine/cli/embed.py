"""`bitextmine embed`: the vectors of a text file, for any use."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from bitextmine.cli import console
from bitextmine.cli.stages import progress_shown, say
from bitextmine.corpus import CorpusFile, CorpusFormat, check_readable, format_of
from bitextmine.encoders import Encoder, find_encoder
from bitextmine.languages import parse_language
from bitextmine.resources import Device, Provider


class VectorType(StrEnum):
    """What `--dtype` takes."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"

    @property
    def type(self) -> type[np.float16] | type[np.float32]:
        return np.float16 if self is VectorType.FLOAT16 else np.float32


def embed(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Text or JSONL; plain, .gz, .xz or .zst.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the vectors go, as .npy.")],
    encoder: console.EncoderName = "muse",
    precision: console.PrecisionOption = console.PrecisionChoice.AUTO,
    lang: Annotated[str | None, typer.Option(help="The text's language, to check that the encoder covers it.")] = None,
    dtype: Annotated[VectorType, typer.Option(help="How numbers are written; float16 is enough for mining.")] = (
        VectorType.FLOAT32
    ),
    input_format: Annotated[
        CorpusFormat | None, typer.Option("--format", show_default="by the file's name", help="How lines are written.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output if it is there.")] = False,
    allow_uncovered: console.AllowUncovered = False,
    provider: console.ProviderOption = Provider.AUTO,
    allow_cpu_fallback: console.AllowCpuFallback = False,
    verbose: console.Verbose = False,
    threads: console.Threads = None,
    encoders_dir: console.EncodersDir = None,
) -> None:
    """Write the vectors of a file's lines as a NumPy array, whole or not at all.

    The array has a row for each line of the file, in the file's order: row 0 is line 1, and a line that occurs twice
    has two rows. A line that mine would refuse (blank, not UTF-8, too long ...) has a row of zeros; all other rows
    have length 1, so products are cosines. mine takes such files as --src-vectors and --tgt-vectors.

    Example: bitextmine embed news.de.gz -o news.de.npy
    """
    from bitextmine.line_vectors import check_output, embed_lines

    started = time.monotonic()
    corpus = CorpusFile(file, parse_language(lang) if lang else "", input_format or format_of(file))
    check_readable(corpus)
    check_output(output, replace=force)
    device = Device(provider, allow_cpu_fallback)
    place = console.workspace(None, encoders_dir)
    model = find_encoder(encoder, place.encoders, threads=threads, precision=precision.precision, device=device)
    _check_language(corpus.lang, model, allow_uncovered)
    with progress_shown(verbose) as progress:
        found = embed_lines(corpus, model, output, dtype=dtype.type, replace=force, progress=progress)
    if unusable := found.unusable.total():
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in found.unusable.most_common())
        say(f"{file}: {unusable:,} of {found.lines:,} lines have a row of zeros ({reasons})")
    if found.truncated:
        say(
            f"{found.truncated:,} lines are longer than the encoder's {model.card.max_tokens} tokens: their vectors "
            "are those of their beginnings"
        )
    seconds = time.monotonic() - started
    say(f"{output}: {found.lines:,} x {model.dims} {dtype.value}, on {model.provider}, in {seconds:.1f} s")


def _check_language(lang: str, model: Encoder, allowed: bool) -> None:
    """
    Raises:
        LanguageError: `language-not-covered`.
    """
    from bitextmine.mining import MiningParameters, check_languages

    if lang:
        check_languages((lang,), model, MiningParameters(allow_uncovered_languages=allowed))
