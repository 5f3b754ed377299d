"""Export a sentence-transformers model to an encoder's graph and tokenizer, and compare it with the original."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bitextmine.encoders.card import REFERENCES, TOKENIZER_JSON, Parity
from bitextmine.encoders.model_directory import ModelDirectory, Pooling, read_json, read_model_directory
from bitextmine.encoders.parity import measure_parity, original_vectors, references
from bitextmine.encoders.sentence_graph import write_sentence_graph
from bitextmine.encoders.tokenizer import JsonTokenizer
from bitextmine.errors import EncoderError
from bitextmine.files import write_atomically

_MOST_TOKENS = 8192  # of models that set no limit
_NEEDED = ("torch", "transformers", "sentence_transformers")


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to make of a model, where it does not say so itself."""

    name: str  # the encoder's, for messages
    prefix: str | None = None  # put before every sentence; None takes the model's default prompt
    pooling: Pooling | None = None  # of a model without modules.json
    dims: int | None = None  # that the model must have


@dataclass(frozen=True, slots=True)
class Exported:
    """What an exported graph is."""

    dims: int
    max_tokens: int
    prefix: str
    pooling: str  # in words
    parity: Parity


def check_export_installed() -> None:
    """
    Raises:
        EncoderError: torch, transformers or sentence-transformers is missing (code export-not-installed).
    """
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise EncoderError(
            f"exporting a model needs {', '.join(missing)}; run: pip install 'bitextmine[export]'",
            code="export-not-installed",
        )


def export_model(
    source: Path, target: Path, request: ExportRequest, *, report: Callable[[str], None] = lambda line: None
) -> Exported:
    """Write `model.onnx`, `tokenizer.json` and `references.json` of the model in `source` into the directory `target`.

    The graph goes from token ids to the unit vector, whatever modules the model has. It is compared with
    sentence-transformers' own vectors before this returns.

    Raises:
        EncoderError: the export extra is missing (code export-not-installed); a file is missing or damaged (code
            model-incomplete); the model cannot be exported (code export-unsupported); it is not what was asked for,
            or the graph is not the model (code export-mismatch).
    """
    check_export_installed()
    directory = read_model_directory(source, pooling=request.pooling)
    report(f"loading the model in {source}")
    with _quiet():
        model = _load(directory)
        dims = int(model.get_embedding_dimension())
        if request.dims not in (None, dims):
            message = f"the model in {source} has {dims} dims, {request.name} has {request.dims}: it is another model"
            raise EncoderError(message, code="export-mismatch")
        prefix = _default_prompt(model, report) if request.prefix is None else request.prefix
        model.max_seq_length = max_tokens = _max_tokens(model)
        tokenizer = _write_tokenizer(model, target, prefix, max_tokens)
        report("encoding reference sentences with the original")
        original = original_vectors(model, prefix)
        report("exporting")
        _write_graph(model, target, _skipped(model, tokenizer, prefix))
        pooling = _described(model)
        del model
    parity = measure_parity(target, original, prefix=prefix, max_tokens=max_tokens)
    write_atomically(target / REFERENCES, references(original, request.name).model_dump_json(indent=1).encode())
    report(
        f"compared with {parity.reference} on {parity.sentences} sentences: differs by at most "
        f"{parity.max_difference:.1e}, {parity.mean_difference:.1e} on average; alone and in a batch by at most "
        f"{parity.batch_difference:.1e}"
    )
    return Exported(dims, max_tokens, prefix, pooling, parity)


def _load(directory: ModelDirectory) -> Any:
    """The SentenceTransformer, in float32 on the CPU; nothing is fetched, and no code of the model's is run."""
    import torch
    from sentence_transformers import SentenceTransformer

    _check_architecture(directory.transformer)
    options: dict[str, Any] = {
        "device": "cpu",
        "local_files_only": True,
        "trust_remote_code": False,
        "model_kwargs": {"dtype": torch.float32, "use_safetensors": True},
    }
    try:
        model = SentenceTransformer(str(directory.path), **options)
        if directory.pooling is not None:
            model = _with_pooling(model, directory.pooling)
        missing = _missing_weights(model, directory)
    except EncoderError:
        raise
    except Exception as error:  # the libraries below raise whatever they like on damaged files
        reason = " ".join(str(error).split())[:300]
        raise EncoderError(f"{directory.path} cannot be loaded: {reason}", code="model-incomplete") from error
    if missing:
        message = f"the weights in {directory.transformer} lack {', '.join(missing[:3])} ({len(missing)} in all)"
        raise EncoderError(message, code="model-incomplete")
    if not getattr(model[0].tokenizer, "is_fast", False):
        message = f"the tokenizer in {directory.transformer} cannot be written as {TOKENIZER_JSON}"
        raise EncoderError(message, code="export-unsupported")
    return model.eval()


def _check_architecture(transformer: Path) -> None:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    config = read_json(transformer / "config.json")
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind not in CONFIG_MAPPING:
        own = " it needs code of its own, which is never run (trust_remote_code);" if "auto_map" in config else ""
        message = f"the architecture {kind!r} of {transformer} is not one of transformers':{own} it cannot be exported"
        raise EncoderError(message, code="export-unsupported")


def _with_pooling(model: Any, pooling: Pooling) -> Any:
    """A plain model, which sentence-transformers gave a mean pooling, with the pooling that was asked for."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense
    from sentence_transformers.sentence_transformer.modules import Pooling as PoolingModule

    transformer = model[0]
    width = int(transformer.get_embedding_dimension())
    if pooling is not Pooling.POOLER:
        modules = [transformer, PoolingModule(width, pooling.value)]
        return SentenceTransformer(modules=modules, device="cpu")
    head = getattr(getattr(transformer.auto_model, "pooler", None), "dense", None)
    if head is None:
        raise EncoderError("the model has no pooler, a dense layer and tanh on its first token", code="export-mismatch")
    dense = Dense(width, head.out_features, activation_function=torch.nn.Tanh())
    dense.linear.load_state_dict(head.state_dict())
    return SentenceTransformer(modules=[transformer, PoolingModule(width, "cls"), dense], device="cpu")


def _missing_weights(model: Any, directory: ModelDirectory) -> list[str]:
    """Weights that the files do not have: transformers puts random numbers there, with no more than a warning."""
    loaded, info = type(model[0].auto_model).from_pretrained(
        str(directory.transformer), output_loading_info=True, local_files_only=True, use_safetensors=True
    )
    del loaded
    unused = () if directory.pooling is Pooling.POOLER else ("pooler.",)
    return sorted(str(key) for key in info["missing_keys"] if not str(key).startswith(unused))


def _default_prompt(model: Any, report: Callable[[str], None]) -> str:
    prompts = {str(name): str(text) for name, text in (model.prompts or {}).items() if text}
    if (name := model.default_prompt_name) in prompts:
        return prompts[name]
    if prompts:
        known = ", ".join(f"{name} {text!r}" for name, text in prompts.items())
        report(f"the model has prompts ({known}); none is its default, so none is used unless --prefix gives one")
    return ""


def _max_tokens(model: Any) -> int:
    """The most tokens that the model takes: RoBERTa and its like have fewer positions than their table has rows."""
    limits = [_MOST_TOKENS]
    if model.max_seq_length is not None:
        limits.append(int(model.max_seq_length))
    table: Any = getattr(getattr(model[0].auto_model, "embeddings", None), "position_embeddings", None)
    if getattr(table, "padding_idx", None) is not None:
        limits.append(table.num_embeddings - table.padding_idx - 1)
    return min(limits)


def _write_tokenizer(model: Any, target: Path, prefix: str, max_tokens: int) -> JsonTokenizer:
    """`tokenizer.json` without the state of padding and truncation that the last call left in it."""
    import tokenizers

    backend = tokenizers.Tokenizer.from_str(model[0].tokenizer.backend_tokenizer.to_str())
    backend.no_padding()
    backend.no_truncation()
    backend.save(str(target / TOKENIZER_JSON))
    return JsonTokenizer((target / TOKENIZER_JSON).read_bytes(), prefix=prefix, max_tokens=max_tokens)


def _skipped(model: Any, tokenizer: JsonTokenizer, prefix: str) -> int:
    """Tokens of the prompt, where the model does not pool them; the mark at its end is the sentence's."""
    if model[1].include_prompt or not prefix:
        return 0
    ids = tokenizer([""]).ids
    return len(ids) - (int(ids[-1]) in model[0].tokenizer.all_special_ids)


def _write_graph(model: Any, target: Path, skipped: int) -> None:
    try:
        write_sentence_graph(model, target, skipped=skipped)
    except OSError:
        raise
    except Exception as error:  # the tracer raises whatever it meets
        reason = " ".join(str(error).split())[:300]
        kind = type(model[0].auto_model).__name__
        raise EncoderError(f"torch cannot export a {kind}: {reason}", code="export-unsupported") from error


def _described(model: Any) -> str:
    """The modules after the transformer, in words."""
    modes = model[1].pooling_mode
    words = [modes if isinstance(modes, str) else " and ".join(modes)]
    for module in list(model)[2:]:
        kind = type(module).__name__
        if kind == "Dense":
            activation = type(module.activation_function).__name__.lower()
            words.append(f"dense layer to {module.out_features} ({activation})")
        elif kind == "LayerNorm":
            words.append("layer normalisation")
    return ", ".join([*words, "length 1"])


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the progress bars and remarks of the libraries on standard error."""
    import transformers

    remarks = logging.getLogger("sentence_transformers")
    transformers_logging: Any = transformers.logging
    before = transformers_logging.get_verbosity(), remarks.level, transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    remarks.setLevel(logging.ERROR)
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before[0])
        remarks.setLevel(before[1])
        if before[2]:
            transformers_logging.enable_progress_bar()
