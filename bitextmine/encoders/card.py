"""What an encoder says of itself: the content of `encoder.json`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bitextmine.artifacts import file_sha256, write_atomically
from bitextmine.errors import EncoderError

CARD = "encoder.json"
MODEL = "model.onnx"
SENTENCEPIECE_MODEL = "sentencepiece.model"
TOKENIZER_JSON = "tokenizer.json"
VOCABULARY = "vocabulary.txt"
REFERENCES = "references.json"  # vectors of the original, for `verify`; where an encoder was exported

Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{3}_[A-Z][a-z]{3}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Precision(StrEnum):
    """In which numbers a graph multiplies. Each has a file of its own; the vectors are float32 whatever it is."""

    FP32 = "fp32"
    FP16 = "fp16"  # for GPUs
    INT8 = "int8"  # for CPUs; a scale for every token, so a vector does not depend on its batch

    @property
    def file(self) -> str:
        return MODEL if self is Precision.FP32 else f"model.{self.value}.onnx"


class TokenizerKind(StrEnum):
    """What turns sentences into token ids, and the files that it needs."""

    SENTENCEPIECE = "sentencepiece"
    HUGGINGFACE = "huggingface"
    LASER = "laser"

    @property
    def files(self) -> tuple[str, ...]:
        if self is TokenizerKind.LASER:
            return SENTENCEPIECE_MODEL, VOCABULARY
        return (SENTENCEPIECE_MODEL,) if self is TokenizerKind.SENTENCEPIECE else (TOKENIZER_JSON,)


class Parity(BaseModel):
    """How close an exported graph is to the model it was made from; all differences are of single components."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sentences: Annotated[int, Field(ge=1)]  # compared, alone and in batches
    max_difference: Annotated[float, Field(ge=0)]
    mean_difference: Annotated[float, Field(ge=0)]
    batch_difference: Annotated[float, Field(ge=0)]  # the largest between a vector alone and in a batch
    reference: str  # what the original ran in, with its version


class EncoderCard(BaseModel):
    """An encoder's record: what it is, where it came from, and the files that its vectors depend on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Slug
    dims: Annotated[int, Field(ge=1, le=65_536)]
    languages: tuple[LanguageCode, ...]  # ISO 639-3 and ISO 15924; empty where nobody says
    prefix: str = ""  # put before every sentence
    max_tokens: Annotated[int, Field(ge=3)]  # with the marks of a sentence; the rest is cut off
    pooling: str  # in words: the graph does it
    tokenizer: TokenizerKind = TokenizerKind.SENTENCEPIECE
    licence: str
    citation: str = ""
    source: str  # in words
    files: dict[FileName, Sha256]
    matryoshka: tuple[int, ...] = ()  # fewer dims to which its vectors may be cut
    parity: Parity | None = None  # of an exported graph, measured when it was made
    quality: dict[Precision, dict[str, float]] = {}  # of each other precision against fp32, measured when it was made

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """Those whose graph is here."""
        return tuple(precision for precision in Precision if precision.file in self.files)

    def files_of(self, precision: Precision) -> tuple[str, ...]:
        """The files that determine the vectors at a precision: its graph (with weights beside it) and the tokenizer."""
        graph = [name for name in self.files if name in {precision.file, f"{precision.file}.data"}]
        return (*sorted(graph), *self.tokenizer.files)


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
    if not card.precisions:
        raise EncoderError(f"{path} gives no sha256 for {MODEL}")
    for name in set(card.tokenizer.files) - card.files.keys():
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
    """The sha256 of each graph, of weights beside it, of the tokenizer and of reference vectors in a directory."""
    graphs = [precision.file for precision in Precision]
    names = [
        REFERENCES,
        *graphs,
        *(f"{name}.data" for name in graphs),
        *(name for kind in TokenizerKind for name in kind.files),
    ]
    return {name: file_sha256(directory / name) for name in names if (directory / name).is_file()}
