"""LASER's networks in torch's own modules: what the exported graphs are measured against."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bitextmine.encoders.laser_checkpoint import UNSUPPORTED, BilstmShape, LaserCheckpoint, TransformerShape
from bitextmine.encoders.laser_tokenizer import BEGIN, PADDING
from bitextmine.errors import EncoderError

if TYPE_CHECKING:
    import torch

# `input_ids` and `attention_mask`, (n, length) int64 with padding at the right -> (n, dims) float32 of length 1.
Encode = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]

_IN_LAYER = re.compile(r"(layers\.\d+)\.(.+)\.(weight|bias)")
_LAYER_NAMES = {
    **{"self_attn.out_proj": "self_attn.out_proj", "self_attn_layer_norm": "norm1", "final_layer_norm": "norm2"},
    **{"fc1": "linear1", "fc2": "linear2"},
}


def torch_encoder(checkpoint: LaserCheckpoint) -> Encode:
    """The network of a checkpoint, ready to encode.

    fairseq's `left_pad` has no part in it: the LSTM runs over packed sentences, and positions are counted from the
    first token that is not padding, so that on whichever side padding was, a sentence's vector is that of it alone.

    Raises:
        EncoderError: `export-unsupported`: the tensors are not those that the configuration needs.
    """
    import torch

    build = _bilstm if isinstance(checkpoint.shape, BilstmShape) else _transformer
    forward = build(checkpoint)

    def encode(ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        with torch.no_grad():
            vectors = forward(torch.from_numpy(ids), torch.from_numpy(mask))
            unit: NDArray[np.float32] = torch.nn.functional.normalize(vectors, dim=1).numpy()
        return unit

    return encode


def position_table(shape: TransformerShape, state: dict[str, torch.Tensor], rows: int) -> torch.Tensor:
    """What is added to a sentence's first `rows` tokens: (rows, dims).

    fairseq counts positions from the padding's id + 1, and its sinusoids are all sines, then all cosines: the form that
    tensor2tensor gave to Vaswani et al. 2017, section 3.5.

    Raises:
        EncoderError: `export-unsupported`: learned positions for fewer tokens.
    """
    import torch

    first = PADDING + 1
    if shape.no_token_positional_embeddings:
        return torch.zeros(rows, shape.dims)
    if not shape.encoder_learned_pos:
        half = shape.dims // 2
        frequencies = torch.exp(torch.arange(half) * -(math.log(10_000) / (half - 1)))
        angles = torch.arange(first, first + rows)[:, None] * frequencies
        return torch.cat([angles.sin(), angles.cos(), torch.zeros(rows, shape.dims % 2)], dim=1)
    learned = state.get("embed_positions.weight", torch.zeros(0, shape.dims))
    if len(learned) < first + rows:
        message = f"the checkpoint knows positions of {max(0, len(learned) - first)} tokens, {rows} are needed"
        raise EncoderError(message, code=UNSUPPORTED)
    return learned[first : first + rows]


def _bilstm(checkpoint: LaserCheckpoint) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Artetxe & Schwenk 2019, section 3: the largest of each component over a sentence's states of the last layer."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    shape = checkpoint.shape
    assert isinstance(shape, BilstmShape)  # noqa: S101 - for the type checker; torch_encoder decided
    options = {"bidirectional": shape.bidirectional, "batch_first": True}
    with torch.device("meta"):  # no numbers yet: the checkpoint's tensors become the modules' own
        embeddings = torch.nn.Embedding(shape.num_embeddings, shape.embed_dim)
        lstm = torch.nn.LSTM(shape.embed_dim, shape.hidden_size, shape.num_layers, **options)
    _load(torch.nn.ModuleDict({"embed_tokens": embeddings, "lstm": lstm}), checkpoint.state)

    def forward(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        packed = pack_padded_sequence(embeddings(ids), mask.sum(dim=1), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(lstm(packed)[0], batch_first=True, padding_value=-math.inf)
        return states.amax(dim=1)

    return forward


def _transformer(checkpoint: LaserCheckpoint) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Heffernan et al. 2022, section 3: a student whose vectors are those of LASER2."""
    import torch

    shape, state = checkpoint.shape, checkpoint.state
    assert isinstance(shape, TransformerShape)  # noqa: S101 - for the type checker; torch_encoder decided
    dims = shape.dims
    with torch.device("meta"):  # as above
        parts: dict[str, torch.nn.Module] = {"embed_tokens": torch.nn.Embedding(len(checkpoint.symbols), dims)}
        for name in ("layernorm_embedding", "layer_norm"):
            if f"{name}.weight" in state or (name == "layer_norm" and shape.encoder_normalize_before):
                parts[name] = torch.nn.LayerNorm(dims)
        layers = torch.nn.ModuleList(_layer(shape) for _ in range(shape.encoder_layers))
    learned = "embed_positions.weight" if shape.encoder_learned_pos else None  # `position_table` reads them
    weights = {name: tensor for name, tensor in state.items() if name != learned}
    _load(torch.nn.ModuleDict({**parts, "layers": layers}), _in_torchs_names(weights))
    scale = 1.0 if shape.no_scale_embedding else math.sqrt(dims)

    def forward(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if shape.prepend_bos:
            ids = torch.nn.functional.pad(ids, (1, 0), value=BEGIN)
            mask = torch.nn.functional.pad(mask, (1, 0), value=1)
        padding = mask == 0
        x: torch.Tensor = scale * parts["embed_tokens"](ids) + position_table(shape, state, ids.shape[1])
        if "layernorm_embedding" in parts:
            x = parts["layernorm_embedding"](x)
        for layer in layers:
            x = layer(x, src_key_padding_mask=padding)
        if "layer_norm" in parts:
            x = parts["layer_norm"](x)
        return x[:, 0] if shape.of_first_token else x.masked_fill(padding[:, :, None], -math.inf).amax(dim=1)

    return forward


def _layer(shape: TransformerShape) -> torch.nn.Module:
    import torch

    return torch.nn.TransformerEncoderLayer(
        shape.dims,
        shape.encoder_attention_heads,
        shape.encoder_ffn_embed_dim,
        dropout=0.0,
        activation=shape.activation_fn,
        batch_first=True,
        norm_first=shape.encoder_normalize_before,
    )


def _in_torchs_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """fairseq's names as torch's; the three projections of attention are one matrix there."""
    import torch

    renamed = {}
    for name, tensor in state.items():
        match = _IN_LAYER.fullmatch(name)
        if not match:
            renamed[name] = tensor
            continue
        layer, module, kind = match.groups()
        if module == "self_attn.q_proj":
            parts = [state.get(f"{layer}.self_attn.{each}_proj.{kind}", tensor[:0]) for each in "qkv"]
            renamed[f"{layer}.self_attn.in_proj_{kind}"] = torch.cat(parts)
        elif module not in {"self_attn.k_proj", "self_attn.v_proj"}:
            renamed[f"{layer}.{_LAYER_NAMES.get(module, module)}.{kind}"] = tensor
    return renamed


def _load(module: torch.nn.Module, state: dict[str, torch.Tensor]) -> None:
    """
    Raises:
        EncoderError: `export-unsupported`: a tensor is missing, has another shape, or has no place.
    """
    try:
        module.load_state_dict(state, assign=True)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        message = f"the checkpoint's tensors are not those of its configuration: {' '.join(lines[1:2] or lines)[:300]}"
        raise EncoderError(message, code=UNSUPPORTED) from error
    module.eval()
