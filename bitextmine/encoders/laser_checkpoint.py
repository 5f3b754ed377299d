"""LASER's checkpoints as fairseq and LASER published them: read without running anything that they carry."""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bitextmine.encoders.laser_tokenizer import PADDING, SPECIAL_SYMBOLS
from bitextmine.errors import EncoderError

if TYPE_CHECKING:
    import torch

UNSUPPORTED = "export-unsupported"
_MASK = "<mask>"  # fairseq's last symbol where masked words were guessed too; no file of a vocabulary has it
_STATE_OF_TRAINING = ("fairseq.", "omegaconf.", "numpy.")
_ROUNDED_TO = 8  # sizes of vocabularies, so that fewer rows may be unused


class BilstmShape(BaseModel):
    """`params` of LASER and LASER2. Padding is never read and never pooled, so its side and value do not matter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_embeddings: int = Field(ge=len(SPECIAL_SYMBOLS))
    padding_idx: int = Field(ge=PADDING, le=PADDING)
    embed_dim: int = Field(320, ge=1)
    hidden_size: int = Field(512, ge=1)
    num_layers: int = Field(1, ge=1, le=64)
    bidirectional: bool = False
    left_pad: bool = True
    padding_value: float = 0.0

    @property
    def dims(self) -> int:
        return self.hidden_size * (2 if self.bidirectional else 1)


class TransformerShape(BaseModel):
    """What matters of fairseq's configuration of a LASER3 student; fairseq's defaults."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    encoder_embed_dim: int = Field(512, ge=4)
    encoder_ffn_embed_dim: int = Field(2048, ge=1)
    encoder_layers: int = Field(6, ge=1, le=128)
    encoder_attention_heads: int = Field(8, ge=1)
    encoder_normalize_before: bool = False
    encoder_learned_pos: bool = False
    no_token_positional_embeddings: bool = False
    no_scale_embedding: bool = False
    activation_fn: str = Field("relu", pattern="^(relu|gelu)$")
    sentemb_criterion: str = Field(pattern="^(cls|max|maxpool)$")
    prepend_bos: bool = False

    @property
    def dims(self) -> int:
        return self.encoder_embed_dim

    @property
    def of_first_token(self) -> bool:
        return self.sentemb_criterion == "cls"


@dataclass(frozen=True, slots=True)
class LaserCheckpoint:
    """A checkpoint that was read: its configuration, its tensors in float32, and the symbols of its embeddings."""

    shape: BilstmShape | TransformerShape
    state: dict[str, torch.Tensor]  # names without `encoder.`; decoders and constants left out
    symbols: tuple[str, ...]  # of the rows of embed_tokens.weight


def read_checkpoint(path: Path, vocabulary: Path | None) -> LaserCheckpoint:
    """Read `laser2.pt` or a student's checkpoint.

    Args:
        path: the checkpoint.
        vocabulary: a fairseq dictionary (`.cvocab`), for a checkpoint that has none of its own; another is ignored.

    Raises:
        EncoderError: not a checkpoint (code encoder-unusable); one that would run code, or a kind of network that is
            not LASER's (code export-unsupported); its vocabulary is not of the size of its embeddings.
    """
    content = _load(path)
    tensors = content.get("model")
    if not isinstance(tensors, Mapping):
        raise EncoderError(f"{path.name} is no LASER checkpoint: it has no model")
    state = _encoder_state(tensors)
    embeddings = state.get("embed_tokens.weight")
    if embeddings is None or embeddings.ndim != 2:
        raise EncoderError(f"{path.name} is no LASER checkpoint: its model has no embed_tokens.weight of two axes")
    shape = _shape(path.name, content)
    rows = len(embeddings)
    own = content.get("dictionary")
    if isinstance(own, Mapping):
        symbols = _symbols_of_dictionary(path.name, own, rows)
    elif vocabulary is not None:
        symbols = _symbols_of_file(vocabulary, rows)
    else:
        raise EncoderError(f"{path.name} has no vocabulary, and no .cvocab file was given")
    return LaserCheckpoint(shape, state, symbols)


def _load(path: Path) -> Mapping[str, Any]:
    """
    Raises:
        EncoderError: torch cannot read it, or it names a class that is not plain data.
    """
    import pickle

    import torch

    try:
        # Plain data and tensors only; fairseq keeps a model's configuration in a Namespace.
        with torch.serialization.safe_globals([argparse.Namespace, *_left_out(path)]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        message = (
            f"{path.name} holds more than tensors and plain values, or is damaged; it was not read: {_line(error)}"
        )
        raise EncoderError(message, code=UNSUPPORTED) from error
    except Exception as error:  # whatever the bytes lead torch to
        raise EncoderError(f"{path.name} is no checkpoint that torch can read: {_line(error)}") from error
    if not isinstance(content, Mapping):
        raise EncoderError(f"{path.name} is no LASER checkpoint: it holds a {type(content).__name__}")
    return content


class _LeftOut:
    """Stands for what is not needed of a training run's state; takes anything and does nothing."""

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def _left_out(path: Path) -> list[Any]:
    """Classes and functions of fairseq's own state, with `_LeftOut` in place of each: none of them is ever imported."""
    import torch

    if not zipfile.is_zipfile(path):  # the format of torch before 1.6, of which nobody can say what it names
        return []
    named = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    return [(_LeftOut, name) for name in named if name.startswith(_STATE_OF_TRAINING)]


def _line(error: Exception) -> str:
    """The line that says what is wrong: torch puts advice around it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "GLOBAL" in line or line.startswith("WeightsUnpickler error:")]
    return (named or lines or [type(error).__name__])[0].partition(" Please use")[0][:300]


def _encoder_state(tensors: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    import torch

    prefixed = any(str(name).startswith("encoder.") for name in tensors)
    state = {}
    for name, tensor in tensors.items():
        inner = str(name).removeprefix("encoder.")
        if (prefixed and inner == name) or not isinstance(tensor, torch.Tensor):
            continue  # a decoder
        # A version number and a marker of the data type, not weights; sinusoids are computed.
        if inner == "version" or inner in {"embed_positions._float_tensor", "embed_positions.weights"}:
            continue
        state[inner] = tensor.float()
    return state


def _shape(file: str, content: Mapping[str, Any]) -> BilstmShape | TransformerShape:
    """
    Raises:
        EncoderError: `export-unsupported`: no configuration, or one that is not LASER's.
    """
    try:
        if "params" in content:
            return BilstmShape.model_validate(content["params"])
        cfg = content.get("cfg") or content.get("args")
        model = cfg.get("model") if isinstance(cfg, Mapping) else cfg
        settings = vars(model) if isinstance(model, argparse.Namespace) else model
        shape = TransformerShape.model_validate(settings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "all of it"
        message = f"the configuration in {file} is not one of LASER's: {where}: {first['msg']}"
        raise EncoderError(message, code=UNSUPPORTED) from error
    if shape.encoder_embed_dim % shape.encoder_attention_heads or (shape.of_first_token and not shape.prepend_bos):
        message = f"{file} is unusual: its heads do not divide its width, or it pools a begin mark that it does not add"
        raise EncoderError(message, code=UNSUPPORTED)
    return shape


def _symbols_of_dictionary(file: str, dictionary: Mapping[str, Any], rows: int) -> tuple[str, ...]:
    """The symbols by id. The first four ids are fairseq's special symbols whatever is there, as LASER has it.

    Raises:
        EncoderError: two symbols of one id, ids that have no row, or more than a few rows that have no symbol.
    """
    if not all(isinstance(id_, int) for id_ in dictionary.values()):
        raise EncoderError(f"the vocabulary in {file} gives a symbol something else than an id")
    by_id = {id_: symbol for symbol, id_ in dictionary.items() if id_ not in range(len(SPECIAL_SYMBOLS))}
    by_id.update(enumerate(SPECIAL_SYMBOLS))
    words = sum(id_ not in range(len(SPECIAL_SYMBOLS)) for id_ in dictionary.values())
    unused = set(range(rows)) - by_id.keys()
    if set(by_id) - set(range(rows)) or len(unused) >= _ROUNDED_TO or len(by_id) != words + len(SPECIAL_SYMBOLS):
        raise EncoderError(f"the vocabulary in {file} has {len(dictionary)} symbols, its embeddings have {rows} rows")
    return tuple(str(by_id.get(id_, f"<unused {id_}>")) for id_ in range(rows))


def _symbols_of_file(path: Path, rows: int) -> tuple[str, ...]:
    """The symbols of a fairseq dictionary file, `symbol count` a line, after the four that it leaves out.

    Raises:
        EncoderError: not such a file, or not as many symbols as rows.
    """
    try:
        lines = path.read_bytes().decode().split("\n")
    except UnicodeDecodeError as error:
        raise EncoderError(f"{path.name} is no vocabulary: it is not UTF-8") from error
    symbols = list(SPECIAL_SYMBOLS)
    for number, line in enumerate(lines, 1):
        symbol, space, count = line.removesuffix(" #fairseq:overwrite").rpartition(" ")
        if line and not (symbol and space and count.isdigit()):
            raise EncoderError(f"{path.name}, line {number}: not a symbol and its count")
        symbols += [symbol] if line else []
    if rows == len(symbols) + 1:
        symbols.append(_MASK)
    if len(symbols) != rows or len(set(symbols[len(SPECIAL_SYMBOLS) :])) != rows - len(SPECIAL_SYMBOLS):
        message = f"{path.name} has {len(symbols)} symbols with fairseq's own four, or one twice; the embeddings have"
        raise EncoderError(f"{message} {rows} rows")
    return tuple(symbols)
