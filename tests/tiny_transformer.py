"""An encoder with a transformer of random weights, as exporters write them: two layers of attention and GELU, the mean
over the tokens, a dense layer with tanh, length 1. One of its matrices is a Gemm's, one is stored transposed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from bitextmine.encoders.card import MODEL, hash_files, write_card
from bitextmine.encoders.encoder import Encoder
from tests.tiny_encoder import build_tiny_encoder

DIMS, WIDE, LAYERS = 128, 256, 2
PRODUCTS = 6 * LAYERS  # of tokens; the dense layer at the end is of sentences

_HEAD = """
<ir_version: 8, opset_import: ["": 17]>
tiny (int64[batch, length] input_ids, int64[batch, length] attention_mask)
  => (float[batch, dims] sentence_embedding)
{
  axis1 = Constant <value_ints = [1]> ()
  axis2 = Constant <value_ints = [2]> ()
  one = Constant <value_float = 1.0> ()
  half = Constant <value_float = 0.5> ()
  huge = Constant <value_float = 1e9> ()
  root2 = Constant <value_float = 1.4142135> ()
  least = Constant <value_float = 1e-12> ()
  flat = Constant <value_ints = [-1, 256]> ()
  mask = Cast <to = 1> (attention_mask)
  absent = Sub (mask, one)
  low = Mul (absent, huge)
  key_bias = Unsqueeze (low, axis1)
  word = Gather (table, input_ids)
  x_0 = LayerNormalization <axis = -1> (word, gamma, beta)
"""

_LAYER = """
  q_in_{i} = MatMul (x_{i}, q_w_{i})
  q_{i} = Add (q_in_{i}, bias)
  k_{i} = MatMul (x_{i}, k_w_{i})
  v_{i} = MatMul (x_{i}, v_w_{i})
  k_t_{i} = Transpose <perm = [0, 2, 1]> (k_{i})
  raw_{i} = MatMul (q_{i}, k_t_{i})
  scaled_{i} = Mul (raw_{i}, temperature)
  scores_{i} = Add (scaled_{i}, key_bias)
  shares_{i} = Softmax <axis = -1> (scores_{i})
  seen_{i} = MatMul (shares_{i}, v_{i})
  o_turned_{i} = Transpose <perm = [1, 0]> (o_w_{i})
  o_{i} = MatMul (seen_{i}, o_turned_{i})
  a_sum_{i} = Add (x_{i}, o_{i})
  a_{i} = LayerNormalization <axis = -1> (a_sum_{i}, gamma, beta)
  up_{i} = MatMul (a_{i}, up_w_{i})
  up_root_{i} = Div (up_{i}, root2)
  erf_{i} = Erf (up_root_{i})
  up_one_{i} = Add (erf_{i}, one)
  up_both_{i} = Mul (up_{i}, up_one_{i})
  gelu_{i} = Mul (up_both_{i}, half)
  gelu_rows_{i} = Reshape (gelu_{i}, flat)
  down_rows_{i} = Gemm <transB = 1> (gelu_rows_{i}, down_w_{i}, bias)
  shape_{i} = Shape (a_{i})
  down_{i} = Reshape (down_rows_{i}, shape_{i})
  y_sum_{i} = Add (a_{i}, down_{i})
  x_{next} = LayerNormalization <axis = -1> (y_sum_{i}, gamma, beta)
"""

_TAIL = """
  weights = Unsqueeze (mask, axis2)
  kept = Mul (x_{last}, weights)
  total = ReduceSum <keepdims = 0> (kept, axis1)
  tokens = ReduceSum <keepdims = 1> (mask, axis1)
  mean = Div (total, tokens)
  dense = MatMul (mean, dense_w)
  head = Tanh (dense)
  squares = Mul (head, head)
  square_norm = ReduceSum <keepdims = 1> (squares, axis1)
  bounded = Max (square_norm, least)
  norm = Sqrt (bounded)
  sentence_embedding = Div (head, norm)
}}
"""


def tiny_transformer_model(rows: int, *, sharpness: float = 1.0) -> onnx.ModelProto:
    """The graph, for `rows` tokens. Attention that is very sharp looks at one token, and small errors change which."""
    layers = [_LAYER.format(i=i, next=i + 1) for i in range(LAYERS)]
    model = onnx.parser.parse_model(_HEAD + "".join(layers) + _TAIL.format(last=LAYERS))
    model.graph.initializer.extend(
        numpy_helper.from_array(array, name) for name, array in _weights(rows, sharpness).items()
    )
    onnx.checker.check_model(model)
    return model


def build_tiny_transformer(directory: Path, *, sharpness: float = 1.0) -> Encoder:
    """Write the encoder into a directory, made if need be, and open it. The same arguments give the same vectors."""
    card = build_tiny_encoder(directory).card
    rows = onnx.load(directory / MODEL).graph.initializer[0].dims[0]
    onnx.save(tiny_transformer_model(rows, sharpness=sharpness), directory / MODEL)
    write_card(card.model_copy(update={"dims": DIMS, "files": hash_files(directory)}), directory)
    return Encoder.open(directory, threads=1)


def _weights(rows: int, sharpness: float) -> dict[str, np.ndarray]:
    random = np.random.default_rng(8)

    def matrix(depth: int, columns: int, gain: float = 1.0) -> np.ndarray:
        return (gain * random.standard_normal((depth, columns)) / depth**0.5).astype(np.float32)

    weights = {
        "table": random.standard_normal((rows, DIMS)).astype(np.float32),
        "gamma": np.ones(DIMS, np.float32),
        "beta": np.zeros(DIMS, np.float32),
        "bias": random.standard_normal(DIMS).astype(np.float32) / 10,
        "temperature": np.array(sharpness * DIMS**-0.5, np.float32),
        "dense_w": matrix(DIMS, DIMS),
    }
    for i in range(LAYERS):
        weights |= {f"{name}_w_{i}": matrix(DIMS, DIMS, 1.5) for name in ("q", "k", "v", "o")}
        weights |= {f"up_w_{i}": matrix(DIMS, WIDE), f"down_w_{i}": matrix(WIDE, DIMS).T.copy()}
    return weights
