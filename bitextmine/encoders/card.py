"""What an encoder says of itself: the content of `encoder.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bitextmine.artifacts import file_sha256, write_atomically
from bitextmine.errors import EncoderError

CARD = "encoder.json"
MODEL = "model.onnx"
SENTENCEPIECE_MODEL = "sentencepiece.model"

Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{3}_[A-Z][a-z]{3}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class EncoderCard(BaseModel):
    """An encoder's record: what it is, where it came from, and the files that its vectors depend on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Slug
    dims: Annotated[int, Field(ge=1, le=65_536)]
    languages: tuple[LanguageCode, ...]  # ISO 639-3 and ISO 15924
    prefix: str = ""  # put before every sentence
    max_tokens: Annotated[int, Field(ge=3)]  # with the two marks of a sentence; the rest is cut off
    pooling: str  # in words: the graph does it
    tokenizer: Literal["sentencepiece"] = "sentencepiece"
    licence: str
    source: str  # in words
    files: dict[FileName, Sha256]


def load_card(directory: Path) -> EncoderCard:
    """Read the card of the encoder in a directory.

    Raises:
        EncoderError: there is no card, it is not a card, or a file that it names is missing.
    """
    path = directory / CARD
    try:
        card = EncoderCard.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise EncoderError(f"{directory} holds no encoder: there is no {CARD}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise EncoderError(f"{path} is not an encoder's record: {where}: {first['msg']}") from error
    for name in {MODEL, SENTENCEPIECE_MODEL} - card.files.keys():
        raise EncoderError(f"{path} gives no sha256 for {name}")
    for name in card.files:
        if not (directory / name).is_file():
            raise EncoderError(f"{directory / name} is missing; install the encoder {card.name} again")
    return card


def write_card(card: EncoderCard, directory: Path) -> None:
    """Write `encoder.json`, whole or not at all.

    Raises:
        DiskFullError: no room.
    """
    write_atomically(directory / CARD, (card.model_dump_json(indent=1) + "\n").encode())


def hash_files(directory: Path) -> dict[str, str]:
    """The sha256 of the model and of the tokenizer in a directory, as a card records them."""
    return {name: file_sha256(directory / name) for name in (MODEL, SENTENCEPIECE_MODEL)}
