"""LASER's networks as ONNX graphs: token ids to a vector of length 1, whatever else is in the batch.

Both take `input_ids`, `attention_mask` (batch, length) int64, padded at the right, at least one token a row, and give
`sentence_embedding` (batch, dims) float32. Nothing is computed of padding: the LSTM operator is told where each row
ends and begins its way back there; attention and pooling leave padding out.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from bitextmine.encoders.laser_checkpoint import BilstmShape, LaserCheckpoint, TransformerShape
from bitextmine.encoders.laser_tokenizer import BEGIN
from bitextmine.encoders.laser_torch import position_table
from bitextmine.errors import EncoderError

if TYPE_CHECKING:
    import torch

_LAYER_NORM_EPSILON = 1e-5  # of torch and fairseq
_KINDS = ("weight", "bias")
_LAYER_NORMS = ("self_attn_layer_norm", "final_layer_norm")
_MASKED = -1e4  # added to a score: its weight becomes 0, in half precision too

_HEAD = """
<ir_version: 8, opset_import: ["": 17], producer_name: "bitextmine">
laser (int64[batch, length] input_ids, int64[batch, length] attention_mask)
  => (float[batch, {dims}] sentence_embedding)
{{
  axis0 = Constant <value_ints = [0]> ()
  axis1 = Constant <value_ints = [1]> ()
  axis2 = Constant <value_ints = [2]> ()
  lowest = Constant <value_float = -3.4e38> ()
"""

_TAIL = """
  squares = Mul (v, v)
  square_norm = ReduceSum <keepdims = 1> (squares, axis1)
  least = Constant <value_float = 1e-12> ()
  square_norm_or_least = Max (square_norm, least)
  norm = Sqrt (square_norm_or_least)
  sentence_embedding = Div (v, norm)
}
"""

# The operator's sequences go down: (length, batch, ...). Its states are (length, directions, batch, hidden).
_BILSTM_BEGIN = """
  long_lengths = ReduceSum <keepdims = 0> (attention_mask, axis1)
  lengths = Cast <to = 6> (long_lengths)
  joined = Constant <value_ints = [0, 0, -1]> ()
  rows = Gather (table, input_ids)
  x_0 = Transpose <perm = [1, 0, 2]> (rows)
"""
_BILSTM_LAYER = """
  y_{i} = LSTM <hidden_size = {hidden}, direction = "{direction}"> (x_{i}, w_{i}, r_{i}, b_{i}, lengths)
  ways_{i} = Transpose <perm = [0, 2, 1, 3]> (y_{i})
  x_{next} = Reshape (ways_{i}, joined)
"""
_BILSTM_END = """
  mask_down = Transpose <perm = [1, 0]> (attention_mask)
  is_token_flat = Cast <to = 9> (mask_down)
  is_token = Unsqueeze (is_token_flat, axis2)
  states = Where (is_token, x_{layers}, lowest)
  v = ReduceMax <axes = [0], keepdims = 0> (states)
"""

_WITH_BEGIN_MARK = """
  batch_size = Shape <start = 0, end = 1> (input_ids)
  one_column = Concat <axis = 0> (batch_size, axis1)
  begin_marks = Expand (begin, one_column)
  ones = Expand (axis1, one_column)
  ids = Concat <axis = 1> (begin_marks, input_ids)
  mask = Concat <axis = 1> (ones, attention_mask)
"""
_WITHOUT_BEGIN_MARK = """
  ids = Identity (input_ids)
  mask = Identity (attention_mask)
"""
_TRANSFORMER_BEGIN = """
  words = Gather (table, ids)
  longest = Shape <start = 1, end = 2> (ids)
  places = Slice (positions, axis0, longest, axis0)
  is_token = Cast <to = 9> (mask)
  across = Constant <value_ints = [1, 2]> ()
  seen = Unsqueeze (is_token, across)
  zero = Constant <value_float = 0.0> ()
  masked = Constant <value_float = {masked}> ()
  mask_scores = Where (seen, zero, masked)
  heads = Constant <value_ints = [0, 0, {heads}, -1]> ()
  joined = Constant <value_ints = [0, 0, -1]> ()
  half = Constant <value_float = 0.5> ()
  one = Constant <value_float = 1.0> ()
  root_half = Constant <value_float = {root_half}> ()
"""
_NORM = "  {y} = LayerNormalization <axis = -1, epsilon = {epsilon}> ({x}, {name}_weight, {name}_bias)\n"
_ADD = "  {y} = Add ({a}, {b})\n"
_DENSE = """
  {y}_product = MatMul ({x}, {name}_weight)
  {y} = Add ({y}_product, {name}_bias)
"""
_ATTENTION = """
  q_heads_{i} = Reshape (q_{i}, heads)
  k_heads_{i} = Reshape (k_{i}, heads)
  v_heads_{i} = Reshape (v_{i}, heads)
  q_rows_{i} = Transpose <perm = [0, 2, 1, 3]> (q_heads_{i})
  k_columns_{i} = Transpose <perm = [0, 2, 3, 1]> (k_heads_{i})
  v_rows_{i} = Transpose <perm = [0, 2, 1, 3]> (v_heads_{i})
  products_{i} = MatMul (q_rows_{i}, k_columns_{i})
  scores_{i} = Add (products_{i}, mask_scores)
  weights_{i} = Softmax <axis = -1> (scores_{i})
  context_heads_{i} = MatMul (weights_{i}, v_rows_{i})
  context_rows_{i} = Transpose <perm = [0, 2, 1, 3]> (context_heads_{i})
  context_{i} = Reshape (context_rows_{i}, joined)
"""
_RELU = "  active_{i} = Relu (wide_{i})\n"
_GELU = """
  wide_scaled_{i} = Mul (wide_{i}, root_half)
  wide_erf_{i} = Erf (wide_scaled_{i})
  wide_one_{i} = Add (wide_erf_{i}, one)
  wide_half_{i} = Mul (wide_{i}, half)
  active_{i} = Mul (wide_half_{i}, wide_one_{i})
"""
_FIRST = """
  first = Constant <value_int = 0> ()
  v = Gather <axis = 1> ({x}, first)
"""
_LARGEST = """
  is_token_column = Unsqueeze (is_token, axis2)
  states = Where (is_token_column, {x}, lowest)
  v = ReduceMax <axes = [1], keepdims = 0> (states)
"""


def laser_graph(checkpoint: LaserCheckpoint, max_tokens: int) -> bytes:
    """The graph of a checkpoint that `torch_encoder` accepted, for sentences of up to `max_tokens`.

    Raises:
        EncoderError: learned positions for fewer tokens; or larger than an ONNX file may be (2 GB).
    """
    shape = checkpoint.shape
    if isinstance(shape, BilstmShape):
        text, arrays = _bilstm_text(shape), _bilstm_arrays(shape, checkpoint.state)
    else:
        text, arrays = _transformer_text(shape, checkpoint.state), _transformer_arrays(checkpoint, shape, max_tokens)
    try:
        model = onnx.parser.parse_model(_HEAD.format(dims=shape.dims) + text + _TAIL)
        for name in list(arrays):  # one by one: a student's weigh hundreds of megabytes
            model.graph.initializer.append(numpy_helper.from_array(arrays.pop(name), name))
        onnx.checker.check_model(model, full_check=True)
        graph: bytes = model.SerializeToString(deterministic=True)
    except ValueError as error:
        raise EncoderError(f"the checkpoint is too large for one ONNX file: {error}") from error
    return graph


def _bilstm_text(shape: BilstmShape) -> str:
    direction = "bidirectional" if shape.bidirectional else "forward"
    layers = (
        _BILSTM_LAYER.format(i=i, next=i + 1, hidden=shape.hidden_size, direction=direction)
        for i in range(shape.num_layers)
    )
    return "".join((_BILSTM_BEGIN, *layers, _BILSTM_END.format(layers=shape.num_layers)))


def _bilstm_arrays(shape: BilstmShape, state: dict[str, torch.Tensor]) -> dict[str, NDArray[Any]]:
    arrays = {"table": state["embed_tokens.weight"].numpy()}
    ways = ("", "_reverse") if shape.bidirectional else ("",)
    for i in range(shape.num_layers):
        for name, kind in (("w", "weight_ih"), ("r", "weight_hh")):
            arrays[f"{name}_{i}"] = np.stack([_gates(state[f"lstm.{kind}_l{i}{way}"]) for way in ways])
        biases = [[_gates(state[f"lstm.bias_{kind}_l{i}{way}"]) for kind in ("ih", "hh")] for way in ways]
        arrays[f"b_{i}"] = np.stack([np.concatenate(both) for both in biases])
    return arrays


def _gates(tensor: torch.Tensor) -> NDArray[np.float32]:
    """torch has input, forget, cell, output; the operator input, output, forget, cell."""
    i, f, c, o = np.split(tensor.numpy(), 4)
    return np.concatenate([i, o, f, c])


def _transformer_text(shape: TransformerShape, state: dict[str, torch.Tensor]) -> str:
    root_half = f"{math.sqrt(0.5):.9f}"
    parts = [
        _WITH_BEGIN_MARK if shape.prepend_bos else _WITHOUT_BEGIN_MARK,
        _TRANSFORMER_BEGIN.format(masked=_MASKED, heads=shape.encoder_attention_heads, root_half=root_half),
        _ADD.format(y="x_words", a="words", b="places"),
    ]
    x = "x_words"
    if "layernorm_embedding.weight" in state:
        parts.append(_norm("x_embedded", x, "layernorm_embedding"))
        x = "x_embedded"
    for i in range(shape.encoder_layers):
        parts.append(_layer_text(shape, i, x))
        x = f"x_{i}"
    if "layer_norm.weight" in state:
        parts.append(_norm("x_end", x, "layer_norm"))
        x = "x_end"
    parts.append((_FIRST if shape.of_first_token else _LARGEST).format(x=x))
    return "".join(parts)


def _layer_text(shape: TransformerShape, i: int, x: str) -> str:
    """One layer, from `x` to `x_<i>`: layer norms before attention and the dense layers, or after their residuals."""
    before = shape.encoder_normalize_before
    attention_norm, dense_norm = f"self_attn_layer_norm_{i}", f"final_layer_norm_{i}"
    seen = f"x_seen_{i}" if before else x
    middle = f"x_middle_{i}"
    dense_in = f"x_dense_{i}" if before else middle
    return "".join(
        (
            _norm(seen, x, attention_norm) if before else "",
            *(_DENSE.format(y=f"{part}_{i}", x=seen, name=f"{part}_proj_{i}") for part in "qkv"),
            _ATTENTION.format(i=i),
            _DENSE.format(y=f"out_{i}", x=f"context_{i}", name=f"out_proj_{i}"),
            _ADD.format(y=middle if before else f"x_sum_{i}", a=x, b=f"out_{i}"),
            _norm(dense_in, middle, dense_norm) if before else _norm(middle, f"x_sum_{i}", attention_norm),
            _DENSE.format(y=f"wide_{i}", x=dense_in, name=f"fc1_{i}"),
            (_GELU if shape.activation_fn == "gelu" else _RELU).format(i=i),
            _DENSE.format(y=f"narrow_{i}", x=f"active_{i}", name=f"fc2_{i}"),
            _ADD.format(y=f"x_{i}" if before else f"x_total_{i}", a=middle, b=f"narrow_{i}"),
            "" if before else _norm(f"x_{i}", f"x_total_{i}", dense_norm),
        )
    )


def _norm(y: str, x: str, name: str) -> str:
    return _NORM.format(y=y, x=x, name=name, epsilon=_LAYER_NORM_EPSILON)


def _transformer_arrays(
    checkpoint: LaserCheckpoint, shape: TransformerShape, max_tokens: int
) -> dict[str, NDArray[Any]]:
    state = checkpoint.state
    scale = np.float32(1.0 if shape.no_scale_embedding else math.sqrt(shape.dims))
    positions = position_table(shape, state, max_tokens + shape.prepend_bos)
    arrays: dict[str, NDArray[Any]] = {
        "table": scale * state["embed_tokens.weight"].numpy(),
        "positions": positions.numpy(),
    }
    if shape.prepend_bos:
        arrays["begin"] = np.array([BEGIN])
    for name in ("layernorm_embedding", "layer_norm"):
        if f"{name}.weight" in state:
            arrays[f"{name}_weight"], arrays[f"{name}_bias"] = (state[f"{name}.{kind}"].numpy() for kind in _KINDS)
    root_width = np.float32(math.sqrt(shape.dims / shape.encoder_attention_heads))
    for i in range(shape.encoder_layers):
        for name in (*(f"self_attn.{part}_proj" for part in ("q", "k", "v", "out")), "fc1", "fc2", *_LAYER_NORMS):
            divisor = root_width if name == "self_attn.q_proj" else np.float32(1)  # what scores are divided by
            weight, bias = (state[f"layers.{i}.{name}.{kind}"].numpy() / divisor for kind in _KINDS)
            short = name.removeprefix("self_attn.")
            arrays[f"{short}_{i}_weight"] = weight if weight.ndim == 1 else np.ascontiguousarray(weight.T)
            arrays[f"{short}_{i}_bias"] = bias
    return arrays
