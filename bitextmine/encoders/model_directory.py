"""A model's directory as sentence-transformers writes it, checked before anything in it is loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from bitextmine.errors import EncoderError

MODULES = "modules.json"
_TOKENIZERS = (
    *("tokenizer.json", "vocab.txt", "sentencepiece.bpe.model", "spiece.model", "tokenizer.model"),
    "vocab.json",
)
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_WITHOUT_WEIGHTS = {"Pooling", "Normalize", "Dropout"}
_AFTER_POOLING = {"Dense", "Normalize", "LayerNorm", "Dropout"}


class Pooling(StrEnum):
    """How one vector is made of a sentence's tokens, in sentence-transformers' words; `pooler` is BERT's own head."""

    CLS = "cls"
    MEAN = "mean"
    MAX = "max"
    MEAN_SQRT_LEN = "mean_sqrt_len_tokens"
    WEIGHTED_MEAN = "weightedmean"
    LAST = "lasttoken"
    POOLER = "pooler"  # the first token's, through a dense layer and tanh


@dataclass(frozen=True, slots=True)
class ModelDirectory:
    """A model that may be loaded: its files are there, and loading it runs no code of its own."""

    path: Path
    transformer: Path  # the directory of the transformer's configuration, weights and tokenizer
    pooling: Pooling | None  # of a plain transformers model; None where modules.json says it


def read_model_directory(path: Path, *, pooling: Pooling | None = None) -> ModelDirectory:
    """Check a directory that holds a sentence-transformers model, or a plain transformers model and its pooling.

    Args:
        path: the directory.
        pooling: of a model without modules.json; it is never guessed.

    Raises:
        EncoderError: a file is missing or cannot be read (code model-incomplete); its weights are pickled, it has
            parts that cannot be exported, or it needs code of its own (code export-unsupported).
    """
    if not path.is_dir():
        raise EncoderError(f"there is no directory {path}", code="model-incomplete")
    if not (path / MODULES).is_file():
        return _plain(path, pooling)
    if pooling is not None:
        message = f"{path / MODULES} says how {path.name} pools; a pooling is given for models without one only"
        raise EncoderError(message, code="export-unsupported")
    parts = _parts(path)
    kinds = [kind for kind, _ in parts]
    if kinds[:2] != ["Transformer", "Pooling"] or not set(kinds[2:]) <= _AFTER_POOLING:
        expected = f"a Transformer, a Pooling, then any of {', '.join(sorted(_AFTER_POOLING))}"
        raise EncoderError(f"{path} is made of {', '.join(kinds)}; exported is {expected}", code="export-unsupported")
    for kind, directory in parts:
        if kind not in _WITHOUT_WEIGHTS:
            _check_weights(directory)
    _check_transformer(parts[0][1])
    return ModelDirectory(path, parts[0][1], None)


def _plain(path: Path, pooling: Pooling | None) -> ModelDirectory:
    if (path / "config.json").is_file() and pooling is None:
        message = (
            f"{path} is a plain transformers model: without {MODULES} nothing says how its tokens become a sentence's "
            f"vector; find out and give it (--pooling {'|'.join(Pooling)})"
        )
        raise EncoderError(message, code="export-unsupported")
    _check_transformer(path)
    _check_weights(path)
    return ModelDirectory(path, path, pooling)


def _parts(path: Path) -> list[tuple[str, Path]]:
    """The kind and the directory of each module, in order."""
    entries = read_json(path / MODULES)
    try:
        listed = [(str(entry["type"]), str(entry["path"])) for entry in entries]
    except (TypeError, KeyError) as error:
        raise EncoderError(f"{path / MODULES} is not a list of modules", code="model-incomplete") from error
    parts = []
    for name, place in listed:
        package, _, kind = name.rpartition(".")
        if package.partition(".")[0] != "sentence_transformers":
            raise EncoderError(
                f"{path} needs code of its own ({name}), which is never run (trust_remote_code)",
                code="export-unsupported",
            )
        if PurePosixPath(place).is_absolute() or ".." in PurePosixPath(place).parts:
            raise EncoderError(f"{path / MODULES} names a directory elsewhere: {place}", code="export-unsupported")
        parts.append((kind, path / place))
    return parts


def _check_transformer(directory: Path) -> None:
    if not (directory / "config.json").is_file():
        raise EncoderError(f"{directory} has no config.json: it holds no model", code="model-incomplete")
    read_json(directory / "config.json")
    if (directory / "adapter_config.json").is_file():
        message = f"{directory} is an adapter to another model; merge them (peft: merge_and_unload), save the result"
        raise EncoderError(message, code="export-unsupported")
    if not any((directory / name).is_file() for name in _TOKENIZERS):
        raise EncoderError(f"{directory} has no tokenizer: none of {', '.join(_TOKENIZERS)}", code="model-incomplete")


def _check_weights(directory: Path) -> None:
    """Safetensors only: a pickle can run anything when it is opened."""
    if not any((directory / name).is_file() for name in _WEIGHTS):
        if any(True for pattern in _PICKLES for _ in directory.glob(pattern)):
            message = (
                f"{directory} has its weights as a pickle only, which can run any code when it is opened; where you "
                "trust it, load it with sentence-transformers, save it anew (save_pretrained writes safetensors), and "
                "pull that directory"
            )
            raise EncoderError(message, code="export-unsupported")
        raise EncoderError(f"{directory} has no weights: no {_WEIGHTS[0]}", code="model-incomplete")
    index = directory / _WEIGHTS[1]
    if not (directory / _WEIGHTS[0]).is_file():
        try:
            shards = {str(name) for name in read_json(index)["weight_map"].values()}
        except (TypeError, KeyError, AttributeError) as error:
            raise EncoderError(f"{index} is not a list of weights", code="model-incomplete") from error
        for name in sorted(shards):
            if not (directory / name).is_file():
                raise EncoderError(f"{directory / name} is missing", code="model-incomplete")


def read_json(path: Path) -> Any:
    """
    Raises:
        EncoderError: the file is no JSON (code model-incomplete).
    """
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} cannot be read as JSON", code="model-incomplete") from error
