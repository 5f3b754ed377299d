"""The rewriting of graphs for products in 8 bits, against the formula written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from onnx import numpy_helper

from bitextmine.encoders.half import half_graph
from bitextmine.encoders.products import measured_magnitudes, smoothing_factors
from bitextmine.encoders.quantize import quantize_columns, quantize_graph, quantize_rows
from bitextmine.encoders.saturation import products_saturate
from bitextmine.errors import EncoderError
from tests.tiny_transformer import LAYERS, PRODUCTS, tiny_transformer_model

_PRODUCT = """
<ir_version: 8, opset_import: ["": {opset}]>
product (float[batch, length, 64] x) => (float[batch, length, n] y) {{ {body} }}
"""
_IDS = """
<ir_version: 8, opset_import: ["": {opset}]>
ids (int64[batch, length] input_ids, int64[batch, length] attention_mask) => (float[batch, length, 48] y) {{
  x = Gather (table, input_ids)  {body}
}}
"""
_BODIES = {
    "plain": "y = MatMul (x, w)",
    "transposed": "t = Transpose <perm = [1, 0]> (w_t)  y = MatMul (x, t)",
    "renamed": "t = Identity (w)  y = MatMul (x, t)",
}


def product_model(body: str, weights: dict[str, NDArray[np.float32]], opset: int = 17) -> onnx.ModelProto:
    model = onnx.parser.parse_model(_PRODUCT.format(body=body, opset=opset))
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    return model


def outcome(model: onnx.ModelProto, **inputs: NDArray[np.generic]) -> NDArray[np.float32]:
    import onnxruntime

    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, inputs)
    return np.asarray(found)


def by_the_formula(x: NDArray[np.float32], w: NDArray[np.float32]) -> NDArray[np.float64]:
    """A scale for each row of x and each column of w, whole numbers between."""
    rows = np.maximum(np.abs(x).max(axis=-1, keepdims=True), 1e-30).astype(np.float32) * np.float32(1 / 127)
    columns = np.abs(w).max(axis=0) / np.float32(127)
    columns[columns == 0] = 1
    steps = np.rint(x / rows).astype(np.int64) @ np.rint(w / columns).astype(np.int64)
    return steps * rows.astype(np.float64) * columns


def random_matrix(depth: int, columns: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((depth, columns)).astype(np.float32)


@pytest.mark.parametrize("opset", [15, 17, 18, 21])
@pytest.mark.parametrize("form", _BODIES)
def test_a_product_is_what_the_formula_says(form: str, opset: int) -> None:
    w = random_matrix(64, 48)
    w[:, 5] = 0
    x = random_matrix(6 * 64, 1, seed=1).reshape(2, 3, 64) * 10
    x[0, 1] = 0
    x[1, 2] *= 1e6
    model = product_model(_BODIES[form], {"w": w} if form != "transposed" else {"w_t": w.T.copy()}, opset)
    assert quantize_graph(model) == 1
    assert "MatMulIntegerToFloat" in {node.op_type for node in model.graph.node}
    assert all(tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) < 2 for tensor in model.graph.initializer)
    expected = by_the_formula(x, w)
    found = outcome(model, x=x)
    assert found.shape == (2, 3, 48)
    largest = np.maximum(np.abs(expected).max(axis=-1, keepdims=True), 1e-6)
    assert np.abs((found - expected) / largest).max() <= 1e-5


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 5)), elements=st.floats(-9, 9, width=32)))
def test_codes_are_within_half_a_step(weights: NDArray[np.float32]) -> None:
    codes, scales = quantize_columns(weights)
    assert np.abs(codes.astype(int)).max() <= 127
    assert (np.abs(codes * scales - weights) <= 0.501 * scales).all()
    assert (np.abs(codes).max(axis=0) == 127)[np.abs(weights).max(axis=0) > 1e-30].all()
    row_codes, row_scales = quantize_rows(np.ascontiguousarray(weights.T))
    np.testing.assert_array_equal(row_codes, codes.T)
    np.testing.assert_array_equal(row_scales[:, 0], scales)


def test_tokens_are_multiplied_in_8_bits_and_sentences_are_not() -> None:
    model = tiny_transformer_model(640)
    assert quantize_graph(model) == PRODUCTS
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("MatMulIntegerToFloat") == PRODUCTS
    assert kinds.count("QuantizeLinear") == 8  # q, k and v share the input that they take
    assert kinds.count("MatMul") == 5  # two of each attention, and the dense layer after the mean
    assert kinds.count("Gemm") == 0
    large = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) == 2 and tensor.data_type == 1}
    assert large == {"dense_w", "table_row_scales"}


@pytest.mark.parametrize("opset", [17, 18])
def test_magnitudes_are_those_of_the_activations(tmp_path: Path, opset: int) -> None:
    body = "z = Relu (x)  a = MatMul (z, w)  b = MatMul (x, v)  y = Add (a, b)"
    model = product_model(body, {"w": random_matrix(64, 48), "v": random_matrix(64, 48, seed=2)}, opset)
    ids = onnx.parser.parse_model(_IDS.format(opset=opset, body=body))
    ids.graph.initializer.extend([*model.graph.initializer, numpy_helper.from_array(random_matrix(9, 64), "table")])
    onnx.save(ids, tmp_path / "model.onnx")
    batches = [(np.array([[1, 2, 3]]), np.ones((1, 3), np.int64)), (np.array([[4, 5]]), np.ones((1, 2), np.int64))]
    found = measured_magnitudes(tmp_path / "model.onnx", ids, batches, tmp_path)
    seen = random_matrix(9, 64)[1:6]
    np.testing.assert_allclose(found["x"], np.abs(seen).max(axis=0))
    np.testing.assert_allclose(found["z"], np.maximum(seen, 0).max(axis=0))
    assert set(found) == {"x", "z"}


def test_factors_are_the_root_of_the_magnitudes_over_the_weights() -> None:
    model = product_model("a = MatMul (x, w)  b = MatMul (x, v)  y = Add (a, b)", {
        "w": random_matrix(64, 48), "v": random_matrix(64, 48, seed=2),
    })  # fmt: skip
    magnitudes = np.linspace(0.001, 10, 64, dtype=np.float32)
    (found,) = smoothing_factors(model, {"x": magnitudes}).values()
    weights = np.maximum(*(np.abs(numpy_helper.to_array(tensor)).max(axis=1) for tensor in model.graph.initializer))
    least = 0.6 * np.median(magnitudes)
    np.testing.assert_allclose(found, np.sqrt(np.maximum(magnitudes, least) / weights), rtol=1e-6)
    assert smoothing_factors(model, {}) == {}


def test_smoothing_helps_where_few_components_are_large() -> None:
    w = random_matrix(64, 48)
    x = random_matrix(6 * 64, 1, seed=1).reshape(2, 3, 64)
    x[..., 7] *= 100
    w[7] /= 100
    errors = []
    for magnitudes in ({}, {"x": np.abs(x).reshape(-1, 64).max(axis=0)}):
        model = product_model(_BODIES["plain"], {"w": w})
        quantize_graph(model, magnitudes)
        errors.append(np.abs(outcome(model, x=x) - x @ w).max())
    assert errors[1] < errors[0] / 4


def test_a_matrix_that_is_taken_both_ways_is_kept_twice() -> None:
    body = "r = Constant <value_ints = [-1, 64]> ()  f = Reshape (x, r)  a = Gemm (f, w)  b = Gemm <transB = 1> (f, w)"
    model = product_model(f"{body}  c = Add (a, b)  s = Shape (x)  y = Reshape (c, s)", {"w": random_matrix(64, 64)})
    x = random_matrix(6, 64, seed=1).reshape(2, 3, 64)
    expected = outcome(model, x=x)
    assert quantize_graph(model) == 2
    np.testing.assert_allclose(outcome(model, x=x), expected, atol=0.5)


def test_what_is_no_matrix_of_weights_is_left_alone() -> None:
    body = "t = Transpose <perm = [0, 2, 1]> (x)  s = MatMul (x, t)  z = MatMul (s, x)  y = MatMul (z, small)"
    model = product_model(body, {"small": random_matrix(64, 2)})
    before = model.SerializeToString()
    assert quantize_graph(model) == 0
    assert model.SerializeToString() == before


def test_what_a_branch_takes_is_kept() -> None:
    body = (
        "first = MatMul (x, w)  n = Size (x)  limit = Constant <value_int = 1> ()  many = Greater (n, limit)"
        " y = If (many) <then_branch = a () => (float[batch, length, 64] p) { p = Add (first, shift) },"
        " else_branch = b () => (float[batch, length, 64] q) { q = Identity (first) }>"
    )
    model = product_model(body, {"w": random_matrix(64, 64), "shift": np.ones(64, np.float32)})
    x = random_matrix(6, 64).reshape(2, 3, 64)
    expected = outcome(model, x=x)
    assert quantize_graph(model) == 1
    np.testing.assert_allclose(outcome(model, x=x), expected, atol=0.4)


def test_an_old_operator_set_is_refused() -> None:
    with pytest.raises(EncoderError, match="operator set 13"):
        quantize_graph(product_model(_BODIES["plain"], {"w": random_matrix(64, 48)}, opset=13))


def test_half_keeps_the_output_in_float32_and_halves_the_weights() -> None:
    model = tiny_transformer_model(640)
    before = model.ByteSize()
    half = onnx.ModelProto()
    half.CopyFrom(model)
    assert half_graph(half) == PRODUCTS + 2 * LAYERS
    assert half.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert half.ByteSize() < 0.6 * before
    ids = np.arange(12).reshape(2, 6)
    mask = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
    expected = outcome(tiny_transformer_model(640), input_ids=ids, attention_mask=mask)
    found = outcome(half, input_ids=ids, attention_mask=mask)
    assert found.dtype == np.float32
    assert 0 < np.abs(found - expected).max() < 2e-3


def test_saturation_is_found_out_and_not_assumed() -> None:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    flags = next(line for line in lines if line.startswith(("flags", "Features"))).split()
    assert products_saturate() == ("avx2" in flags and "avx512_vnni" not in flags and "avx_vnni" not in flags)
