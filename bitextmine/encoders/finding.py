"""Find installed encoders: by name, by the model they were made of, or by their place."""

from __future__ import annotations

from pathlib import Path

from bitextmine.encoders.card import CARD, EncoderCard, Precision, load_card
from bitextmine.encoders.encoder import Encoder
from bitextmine.encoders.presets import preset
from bitextmine.encoders.wanted import SLUG, as_repository, is_encoder, is_path
from bitextmine.errors import EncoderError, NotFoundError, ParameterError
from bitextmine.resources import Device
from bitextmine.workspace import default_encoders_dir


def installed(encoders_dir: Path) -> list[EncoderCard]:
    """The cards of the encoders in a directory, by name; what is not an encoder is passed over."""
    cards = []
    for path in sorted(encoders_dir.glob(f"*/{CARD}")):
        try:
            cards.append(load_card(path.parent))
        except EncoderError:
            continue
    return cards


def open_encoder(
    name: str,
    encoders_dir: Path,
    threads: int | None = None,
    device: Device | None = None,
    precision: Precision | None = None,
) -> Encoder:
    """Open an installed encoder by name. Never fetches anything.

    Raises:
        ParameterError: the name is not a plain lower-case name, threads is below 1, or the precision is not installed
            (code precision-not-installed).
        NotFoundError: it is not installed (code encoder-not-installed), or there is none (code encoder-unknown).
        EncoderError: its directory is damaged.
    """
    if not SLUG.fullmatch(name):
        raise ParameterError(f"an encoder's name has lower-case letters, digits, - and _ only, not {name!r}")
    directory = encoders_dir / name
    if not (directory / CARD).is_file():
        preset(name)  # an unknown name is an error of its own
        elsewhere = "" if encoders_dir == default_encoders_dir() else f" --encoders-dir {encoders_dir}"
        message = f"the encoder {name} is not installed; run: bitextmine encoders pull {name}{elsewhere}"
        raise NotFoundError(message, code="encoder-not-installed")
    return Encoder.open(directory, threads=threads, device=device, precision=precision)


def find_encoder(
    reference: str,
    encoders_dir: Path,
    threads: int | None = None,
    device: Device | None = None,
    precision: Precision | None = None,
) -> Encoder:
    """Open an encoder as the command line names it. Never fetches anything.

    A service takes names only (`open_encoder`): whoever sends it a request must not name a path on its disk.

    Args:
        reference: the name of an installed encoder, the `owner/name` of a model on the hub that was pulled, or the
            path of an encoder's directory (it begins with a dot, a slash or ~, or exists).

    Raises:
        ParameterError, NotFoundError, EncoderError: as `open_encoder`; or the path is not an encoder's.
    """
    if is_path(reference):
        directory = Path(reference).expanduser()
        if not is_encoder(directory):
            raise NotFoundError(
                f"{reference} holds no encoder; a model's directory becomes one by: bitextmine encoders pull "
                f"{reference} --as NAME",
                code="encoder-not-installed",
            )
        return Encoder.open(directory, threads=threads, device=device, precision=precision)
    if repository := as_repository(reference):
        for card in installed(encoders_dir):
            if is_of(card, repository):
                return Encoder.open(encoders_dir / card.name, threads=threads, device=device, precision=precision)
        message = f"the model {repository} is not installed; run: bitextmine encoders pull {repository}"
        raise NotFoundError(message, code="encoder-not-installed")
    return open_encoder(reference, encoders_dir, threads, device, precision)


def is_of(card: EncoderCard, repository: str) -> bool:
    """Whether an encoder was made of this model on the hub."""
    return card.source.startswith(f"{repository} on the Hugging Face hub,")
