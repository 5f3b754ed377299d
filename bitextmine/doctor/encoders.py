"""The encoders: which are installed, whether their files are what their records say, and whether they compute right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bitextmine.doctor.finding import Finding, ok, problem, warning
from bitextmine.encoders.card import CARD, load_card
from bitextmine.encoders.encoder import Encoder
from bitextmine.encoders.verify import verify
from bitextmine.errors import EncoderError, NotFoundError
from bitextmine.resources import Device, Provider

_CHECK = "encoders"


def encoders(directory: Path, *, quick: bool = False) -> Iterator[Finding]:
    """
    Args:
        directory: where encoders are installed.
        quick: look at records only, not at the files themselves and what they compute.
    """
    try:
        cards = sorted(directory.glob(f"*/{CARD}"))
    except OSError as error:
        yield problem(_CHECK, f"{directory} cannot be read: {error.strerror}", "make it readable")
        return
    if not cards:
        yield problem(_CHECK, f"no encoder is installed in {directory}", "bitextmine encoders pull muse")
    for path in cards:
        yield _encoder(path.parent, quick=quick)


def _encoder(directory: Path, *, quick: bool) -> Finding:
    name = directory.name
    again = f"delete {directory} and run: bitextmine encoders pull {name}"
    try:
        card = load_card(directory)
        if card.name != name:
            return warning(_CHECK, f"{directory} holds the encoder {card.name}", f"rename it to {card.name}")
        if quick:
            return ok(_CHECK, f"{name}: {card.dims} dims, {', '.join(card.precisions)}; not verified")
        return _verified(Encoder.open(directory, device=Device(Provider.CPU)), again)
    except (EncoderError, OSError) as error:
        return problem(_CHECK, f"{name}: {error}", again)


def _verified(encoder: Encoder, again: str) -> Finding:
    """
    Raises:
        EncoderError: its files are not what its record says, or do not work.
    """
    encoder.check()
    try:
        result = verify(encoder)
    except NotFoundError:
        encoder.encode_batch(["one sentence"])
        return ok(_CHECK, f"{encoder.name}: intact and works; there is nothing to compare its vectors with")
    if not result.passed:
        what = f"{encoder.name}: its vectors differ from the original's: mean cosine {result.mean_cosine:.4f}"
        return problem(_CHECK, what, again)
    return ok(_CHECK, f"{encoder.name}: verified, mean cosine {result.mean_cosine:.4f} to the original")
