"""`bitextmine encoders quantize`: an installed encoder in 8 or 16 bits, and what that costs."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Annotated

import typer

from bitextmine.cli import console
from bitextmine.cli.stages import say
from bitextmine.encoders import Encoder, find_encoder
from bitextmine.encoders.card import Precision
from bitextmine.errors import ParameterError


def quantize(
    name: Annotated[str, typer.Argument(help="The encoder's name; see: bitextmine encoders list.")],
    precision: Annotated[
        Precision, typer.Option(help="int8 for CPUs, about three times as fast as fp32; fp16 for GPUs.")
    ] = Precision.INT8,
    tatoeba: Annotated[
        Path | None, typer.Option(help="Compare Tatoeba accuracy too: where tatoeba.<language>-eng.<language> lie.")
    ] = None,
    encoders_dir: console.EncodersDir = None,
) -> None:
    """Put an installed encoder into another precision, beside fp32, and measure how far its vectors move.

    A vector does not depend on the batch that it is computed in. An encoder whose mean cosine to fp32 is below 0.99
    is not published.

    Example: bitextmine encoders quantize e5-small --tatoeba tatoeba-v1
    """
    from bitextmine.encoders.precision import add_precision

    if precision is Precision.FP32:
        raise ParameterError("fp32 is what other precisions are made from; choose int8 or fp16")
    encoder = find_encoder(name, console.workspace(None, encoders_dir).encoders, precision=Precision.FP32)
    judge = None if tatoeba is None else _Tatoeba(tatoeba, encoder)
    quality = add_precision(encoder.directory, precision, report=say, judge=judge)
    typer.echo(
        f"cosine to fp32: mean {quality['mean_cosine']:.4f}, lowest {quality['min_cosine']:.4f}; "
        f"alone against in a batch: {quality['batch_difference']:.1e}"
    )
    for heading, figure, unit in (
        ("size", "bytes", "MB"),
        ("one thread, here", "sentences_per_second", "sentences a second"),
        ("Tatoeba, mean accuracy", "tatoeba", "%"),
    ):
        if figure in quality:
            divisor = 1e6 if figure == "bytes" else 1
            here, before = (quality[key] / divisor for key in (figure, f"fp32_{figure}"))
            typer.echo(f"{heading}: {here:,.1f} {unit} (fp32 {before:,.1f})")


class _Tatoeba:
    """The mean accuracy of the languages that an encoder covers (or of all, where it claims none), both ways."""

    def __init__(self, directory: Path, encoder: Encoder) -> None:
        from bitextmine.evaluation.tatoeba import ALL, COVERED, chosen_languages, read_test

        codes = chosen_languages(COVERED if encoder.languages else ALL, directory, encoder)
        self._tests = [read_test(directory, code) for code in codes]

    def __call__(self, encoder: Encoder) -> float:
        from bitextmine.evaluation.tatoeba import evaluate_languages
        from bitextmine.margin import Margin

        results = evaluate_languages(self._tests, encoder, margins=[Margin.RATIO])
        found = [result.plain[Margin.RATIO] for result in results]
        return fmean((accuracy.forward + accuracy.backward) / 2 for accuracy in found)
