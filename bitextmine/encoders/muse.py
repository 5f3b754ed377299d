"""Rewrite mUSE v3 (the multilingual Universal Sentence Encoder, CNN variant) as a plain ONNX graph.

The published graph takes strings, needs a custom tokenizer operator, and quantises activations with one scale a batch,
so that a vector depends on what else was in the batch. The rewritten one takes token ids and computes in float32 from
the same 8-bit weights. Tokens are packed before anything is computed: padding costs nothing and changes nothing.

Source: Yang et al. 2020, Multilingual Universal Sentence Encoder for Semantic Retrieval, section 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from bitextmine.artifacts import write_atomically
from bitextmine.encoders.card import MODEL, SENTENCEPIECE_MODEL
from bitextmine.errors import EncoderError

_TABLE_CHUNKS = 17  # token i is row i // 17 of chunk i mod 17
_ENCODER = "StatefulPartitionedCall/EncoderDNN/"
_CNN = _ENCODER + "CNN_layers/"
_DNN = _ENCODER + "DNN/"

# Window sizes of the convolutions, and the neighbours that each window spans.
_WINDOWS = {2: "here, next1", 3: "back1, here, next1", 5: "back2, back1, here, next1, next2"}

# `slot` is a token's place in the packed stream, counted from 1; 0 is a row of zeros, which stands for "outside the
# sentence" in the windows and for padding in the sum.
_HEAD = """
<ir_version: 8, opset_import: ["": 17], producer_name: "bitextmine">
muse (int64[batch, length] input_ids, int64[batch, length] attention_mask)
  => (float[batch, 512] sentence_embedding)
{
  zero = Constant <value_int = 0> ()
  axis1 = Constant <value_ints = [1]> ()
  axis2 = Constant <value_ints = [2]> ()
  stream = Constant <value_ints = [-1]> ()
  shape = Shape (input_ids)
  longest = Slice (shape, axis1, axis2)

  mask = Reshape (attention_mask, stream)
  is_token = Cast <to = 9> (mask)
  padded_ids = Reshape (input_ids, stream)
  ids = Compress <axis = 0> (padded_ids, is_token)
  running = CumSum (mask, zero)
  padded_slot = Mul (running, mask)
  slot = Reshape (padded_slot, shape)

  codes = Gather (table, ids)
  scales = Gather (table_scale, ids)
  zero_points = Gather (table_zero_point, ids)
  e = DequantizeLinear <axis = 0> (codes, scales, zero_points)

  margins = Constant <value_ints = [0, 2, 0, 2]> ()
  wide = Pad (slot, margins)
"""

_NEIGHBOUR = """
  from_{name} = Constant <value_ints = [{offset}]> ()
  to_{name} = Add (longest, from_{name})
  seen_{name} = Slice (wide, from_{name}, to_{name}, axis1)
  flat_{name} = Reshape (seen_{name}, stream)
  packed_{name} = Compress <axis = 0> (flat_{name}, is_token)
  {name} = Unsqueeze (packed_{name}, axis1)
"""

_BRANCH = """
  window_{n} = Concat <axis = 1> ({neighbours})
  width_{n} = Constant <value_ints = [-1, {width}]> ()
  p_{n} = Gemm (e, project_{n}, project_bias_{n})
  x_{n} = LayerNormalization <axis = -1, epsilon = 1e-12> (p_{n}, gamma_{n}, beta_{n})

  x_rows_{n} = Concat <axis = 0> (zero_row, x_{n})
  x_seen_{n} = Gather (x_rows_{n}, window_{n})
  x_wide_{n} = Reshape (x_seen_{n}, width_{n})
  x_conv_{n} = Gemm (x_wide_{n}, conv_{n}, conv_bias_{n})
  x_relu_{n} = Relu (x_conv_{n})
  h_{n} = Add (x_relu_{n}, x_{n})

  h_rows_{n} = Concat <axis = 0> (zero_row, h_{n})
  h_seen_{n} = Gather (h_rows_{n}, window_{n})
  h_wide_{n} = Reshape (h_seen_{n}, width_{n})
  h_conv_{n} = Gemm (h_wide_{n}, conv1_{n}, conv1_bias_{n})
  h_relu_{n} = Relu (h_conv_{n})
  y_{n} = Add (h_relu_{n}, h_{n})
"""

# The dense layer after the sum is linear, so it is applied once a sentence: sum(f W + b) = sum(f) W + L b.
_TAIL = """
  all = Concat <axis = 1> (e, y_2, y_3, y_5)
  f = LayerNormalization <axis = -1, epsilon = 1e-12> (all, gamma, beta)
  f_rows = Concat <axis = 0> (zero_row_all, f)
  f_padded = Gather (f_rows, slot)
  total = ReduceSum <keepdims = 0> (f_padded, axis1)
  mask_float = Cast <to = 1> (attention_mask)
  tokens = ReduceSum <keepdims = 1> (mask_float, axis1)
  dense_total = MatMul (total, dense)
  bias_total = Mul (tokens, dense_bias)
  z_sum = Add (dense_total, bias_total)
  one = Constant <value_float = 1.0> ()
  tokens_or_one = Max (tokens, one)
  root = Sqrt (tokens_or_one)
  z = Div (z_sum, root)

  y0_in = MatMul (z, hidden0)
  y0 = Relu (y0_in)
  y1_skip = MatMul (z, skip1)
  y1_in = MatMul (y0, hidden1)
  y1_sum = Add (y1_skip, y1_in)
  y1 = Relu (y1_sum)
  y2_in = MatMul (y1, hidden2)
  y2 = Relu (y2_in)
  v_skip = MatMul (y1, skip3)
  v_in = MatMul (y2, hidden3)
  v_sum = Add (v_skip, v_in)
  v = Tanh (v_sum)

  squares = Mul (v, v)
  square_norm = ReduceSum <keepdims = 1> (squares, axis1)
  least = Constant <value_float = 1e-12> ()
  square_norm_or_least = Max (square_norm, least)
  norm = Sqrt (square_norm_or_least)
  sentence_embedding = Div (v, norm)
}
"""


def build_muse(original: bytes, directory: Path) -> None:
    """Write `model.onnx` and `sentencepiece.model` from the published, quantised graph.

    The model: `input_ids`, `attention_mask` (batch, length) int64 -> `sentence_embedding` (batch, 512) float32, rows of
    length 1, or 0 for a row whose mask is all 0. The same input gives the same bytes.

    Raises:
        EncoderError: the bytes are not that graph.
        DiskFullError: no room.
    """
    try:
        source = onnx.load_model_from_string(original).graph
        weights = _Weights({tensor.name: tensor for tensor in source.initializer})
        tokenizer = next(
            attribute.s
            for node in source.node
            if node.op_type == "SentencepieceTokenizer"
            for attribute in node.attribute
            if attribute.name == "model"
        )
        model = onnx.parser.parse_model(_graph_text())
        model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in _initializers(weights))
        onnx.checker.check_model(model, full_check=True)
    except (KeyError, StopIteration, ValueError) as error:
        raise EncoderError(f"not the graph of mUSE v3 that is expected: {error!r}") from error
    write_atomically(directory / MODEL, model.SerializeToString(deterministic=True))
    write_atomically(directory / SENTENCEPIECE_MODEL, tokenizer)


class _Weights:
    """The tensors of the published graph, 8-bit ones as float32."""

    def __init__(self, tensors: dict[str, onnx.TensorProto]) -> None:
        self._tensors = tensors

    def raw(self, name: str) -> NDArray[np.generic]:
        array: NDArray[np.generic] = numpy_helper.to_array(self._tensors[name])
        return array

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        if name in self._tensors:
            return self.raw(name).astype(np.float32)
        centred = self.raw(name + "_quantized").astype(np.float32) - self.raw(name + "_zero_point").astype(np.float32)
        return centred * self.raw(name + "_scale").astype(np.float32)


def _graph_text() -> str:
    neighbours = {"back2": 0, "back1": 1, "here": 2, "next1": 3, "next2": 4}
    return "".join(
        (
            _HEAD,
            *(_NEIGHBOUR.format(name=name, offset=offset) for name, offset in neighbours.items()),
            *(_BRANCH.format(n=n, neighbours=names, width=256 * n) for n, names in _WINDOWS.items()),
            _TAIL,
        )
    )


def _initializers(weights: _Weights) -> Iterator[tuple[str, NDArray[np.generic]]]:
    yield from _table(weights)
    yield "zero_row", np.zeros((1, 256), np.float32)
    yield "zero_row_all", np.zeros((1, 1280), np.float32)
    for n in _WINDOWS:
        branch = f"{_CNN}ngram_order_{n}/"
        yield f"project_{n}", weights[branch + "input_size_projection/dense/kernel:0"]
        yield f"project_bias_{n}", weights[branch + "input_size_projection/dense/bias:0"]
        yield f"gamma_{n}", weights[branch + "LayerNorm/gamma:0"]
        yield f"beta_{n}", weights[branch + "LayerNorm/beta:0"]
        for name, suffix in (("conv", ""), ("conv1", "_1")):
            yield f"{name}_{n}", weights[f"{branch}Ngram-{n}-Conv{suffix}/weights:0"]
            yield f"{name}_bias_{n}", weights[f"{branch}Ngram-{n}-Conv{suffix}/bias:0"].reshape(256)
    yield "gamma", weights[_CNN + "LayerNorm/gamma:0"]
    yield "beta", weights[_CNN + "LayerNorm/beta:0"]
    yield "dense", weights[_CNN + "dense/kernel:0"]
    yield "dense_bias", weights[_CNN + "dense/bias:0"]
    for layer in range(4):
        yield f"hidden{layer}", weights[f"{_DNN}ResidualHidden_{layer}/dense/kernel:0"]
    for layer in (1, 3):
        yield f"skip{layer}", weights[f"{_DNN}ResidualHidden_{layer}/AdjustDepth/projection/kernel:0"]


def _table(weights: _Weights) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """The embedding table in the order of the token ids: 8-bit codes, and a scale and a zero point for each row."""
    chunks = [f"Func/StatefulPartitionedCall/input/_{chunk}:0" for chunk in range(1, _TABLE_CHUNKS + 1)]
    codes = np.stack([weights.raw(name + "_quantized") for name in chunks], axis=1)
    rows = codes.shape[0]
    yield "table", codes.reshape(rows * _TABLE_CHUNKS, -1)
    for part in ("scale", "zero_point"):
        yield f"table_{part}", np.tile(np.stack([weights.raw(f"{name}_{part}") for name in chunks]).ravel(), rows)
