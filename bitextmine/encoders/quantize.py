"""Rewrite a transformer's graph so that it multiplies in 8 bits, with a scale for every token.

ONNX Runtime's own dynamic quantisation takes one scale for all activations of a batch, so that a vector depends on what
else was in the batch. Here each row of an activation (one token) has its own scale, its largest magnitude / 127, and
each column of a weight has one. The products are sums of whole numbers, exact in any order, so a row's result cannot
depend on the rows beside it:

    y[i, j] = s[i] * t[j] * sum_k q[i, k] * w[k, j],   q = round(x[i] / s[i]),  w = round(W[:, j] / t[j])

(row-wise and column-wise "vector-wise" quantisation: Dettmers et al. 2022, LLM.int8(), section 2.1).
What a sentence has one of (a dense layer after pooling) stays in float32: it costs nothing, and sums that differ in
the last bit would be rounded apart. Embedding tables get a scale for each row and are widened after the lookup.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from bitextmine.encoders.products import (
    REDUCTIONS_TAKE_AXES_AS_INPUT,
    Magnitudes,
    Product,
    TokenProducts,
    smoothing_factors,
)
from bitextmine.encoders.rewriting import Constants, opset_of, without_dead
from bitextmine.errors import EncoderError

_LEAST_OPSET = 15  # Shape with a start and an end
_SMALLEST_TABLE = 2**16  # elements
_STEPS = 127
_NOTHING = 1e-30  # what is no larger is zero, so that nothing is divided by zero
_CONTRIB = "com.microsoft"


def quantize_graph(model: onnx.ModelProto, magnitudes: Magnitudes | None = None) -> int:
    """Put the products with constant matrices and the large embedding tables of a graph into 8 bits, in place.

    Every MatMul and Gemm with a constant float32 matrix is rewritten, unless its rows are sentences; every Gather
    from a large constant float32 table; nothing else. Needs ONNX Runtime (MatMulIntegerToFloat is its operator).

    Args:
        magnitudes: how large the components of activations get (`products.measured_magnitudes`); those given are
            smoothed, which halves the error or better where some components are many times larger than the others.

    Returns:
        The number of products that were rewritten; at 0 the graph is as it was.

    Raises:
        EncoderError: the graph is of an operator set below 15.
    """
    if opset_of(model) < _LEAST_OPSET:
        raise EncoderError(f"graphs of operator set {opset_of(model)} cannot be put into 8 bits; export at 15 or later")
    rewriter = _Rewriter(model, magnitudes or {})
    for node in model.graph.node:
        rewriter.take(node)
    if rewriter.products:
        del model.graph.node[:]
        model.graph.node.extend(rewriter.nodes)
        model.graph.initializer.extend(rewriter.initializers.values())
        del model.graph.value_info[:]
        without_dead(model.graph)
        if not any(used.domain == _CONTRIB for used in model.opset_import):
            model.opset_import.append(helper.make_opsetid(_CONTRIB, 1))
    return rewriter.products


def quantize_columns(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A (k, n) matrix as int8 in -127 .. 127 and the (n,) scales of its columns; a column below 1e-30 has scale 1."""
    largest = np.abs(weights).max(axis=0)
    scales = np.where(largest > _NOTHING, largest / _STEPS, 1).astype(np.float32)
    return np.rint(weights / scales).astype(np.int8), scales


def quantize_rows(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A (rows, dims) table as int8 and the (rows, 1) scales of its rows; a block of rows at a time, to bound memory."""
    codes = np.empty(table.shape, np.int8)
    scales = np.empty((len(table), 1), np.float32)
    for start in range(0, len(table), 16_384):
        block = slice(start, start + 16_384)
        columns, found = quantize_columns(table[block].T)
        codes[block], scales[block, 0] = columns.T, found
    return codes, scales


class _Rewriter:
    """Takes the nodes of a graph in order and collects those of the new one."""

    def __init__(self, model: onnx.ModelProto, magnitudes: Magnitudes) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self.products = 0
        self._opset = opset_of(model)
        self._constants = Constants(model.graph)
        self._products = TokenProducts(model)
        self._factors = smoothing_factors(model, magnitudes)
        self._rows: dict[str, str] = {}  # activation -> prefix of the names of its 8-bit form

    def take(self, node: onnx.NodeProto) -> None:
        match node.op_type:
            case "MatMul" | "Gemm":
                done = self._product(node)
                self.products += done
            case "Gather":
                done = self._lookup(node)
            case _:
                done = False
        if not done:
            self.nodes.append(node)

    def _product(self, node: onnx.NodeProto) -> bool:
        product = self._products.of(node)
        if product is None:
            return False
        codes = self._codes(product)
        depth, columns = product.matrix.shape
        rows = self._quantized_rows(product.activation, depth)
        out = node.output[0]
        taken = [f"{rows}_codes", codes, self._scalar("one", np.float32(1)), f"{codes}_scales"]
        taken += [self._zero_point(), f"{codes}_zero"]
        self._add("MatMulIntegerToFloat", taken, f"{out}_steps", domain=_CONTRIB)
        self._add("Mul", [f"{out}_steps", f"{rows}_column"], f"{out}_flat")
        if node.op_type == "Gemm":
            bias = [*node.input[2:], self._scalar("nothing", np.float32(0))][0]
            self._add("Add", [f"{out}_flat", bias], out)
        else:
            width = self._vector(f"width_{columns}", [columns])
            self._add("Concat", [f"{rows}_leading", width], f"{out}_shape", axis=0)
            self._add("Reshape", [f"{out}_flat", f"{out}_shape"], out)
        return True

    def _quantized_rows(self, name: str, depth: int) -> str:
        """Nodes that put each row of an activation into 8 bits; once for all products that take it."""
        if name in self._rows:
            return self._rows[name]
        prefix = self._rows[name] = f"{name}_8bit"
        ends = self._vector("minus_one", [-1])
        smooth = name
        if name in self._factors:
            smooth = f"{prefix}_smooth"
            self._add("Mul", [name, self._keep(f"{prefix}_factors", 1 / self._factors[name])], smooth)
        self._add("Reshape", [smooth, self._vector(f"rows_of_{depth}", [-1, depth])], f"{prefix}_rows")
        self._reduce("ReduceMax", f"{prefix}_rows", f"{prefix}_highest")
        self._reduce("ReduceMin", f"{prefix}_rows", f"{prefix}_lowest")
        self._add("Neg", [f"{prefix}_lowest"], f"{prefix}_depth")
        least = self._scalar("least", np.float32(_NOTHING))
        self._add("Max", [f"{prefix}_highest", f"{prefix}_depth", least], f"{prefix}_largest")
        self._add("Mul", [f"{prefix}_largest", self._scalar("step", np.float32(1 / _STEPS))], f"{prefix}_scale")
        self._add("Shape", [f"{prefix}_scale"], f"{prefix}_count")
        self._add("Expand", [self._zero_point(), f"{prefix}_count"], f"{prefix}_zero")
        self._add("QuantizeLinear", [f"{prefix}_rows", f"{prefix}_scale", f"{prefix}_zero"], f"{prefix}_codes", axis=0)
        self._add("Unsqueeze", [f"{prefix}_scale", ends], f"{prefix}_column")
        self._add("Shape", [name], f"{prefix}_leading", start=0, end=-1)
        return prefix

    def _codes(self, product: Product) -> str:
        """The matrix in 8 bits, once for all products that take it with the same factors."""
        factors = self._factors.get(product.activation)
        name = f"{product.weight}_8bit"
        if factors is not None:
            name = f"{name}_for_{product.activation}"
        if name not in self.initializers:
            matrix = product.matrix if factors is None else product.matrix * factors[:, None]
            codes, scales = quantize_columns(matrix)
            self._keep(name, np.ascontiguousarray(codes))
            self._keep(f"{name}_scales", scales)
            self._keep(f"{name}_zero", np.zeros(scales.shape, np.int8))
        return name

    def _lookup(self, node: onnx.NodeProto) -> bool:
        table, ids = node.input
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
        weights = self._constants.array(table, dims=2)
        if axis != 0 or weights is None or weights.size < _SMALLEST_TABLE or self._constants.is_constant(ids):
            return False
        codes, scales = f"{table}_rows_8bit", f"{table}_row_scales"
        if codes not in self.initializers:
            found = quantize_rows(weights)
            self._keep(codes, found[0])
            self._keep(scales, found[1])
        out = node.output[0]
        self._add("Gather", [codes, ids], f"{out}_codes", axis=0)
        self._add("Gather", [scales, ids], f"{out}_scales", axis=0)
        self._add("Cast", [f"{out}_codes"], f"{out}_steps", to=onnx.TensorProto.FLOAT)
        self._add("Mul", [f"{out}_steps", f"{out}_scales"], out)
        return True

    def _reduce(self, operator: str, name: str, out: str) -> None:
        if self._opset < REDUCTIONS_TAKE_AXES_AS_INPUT:
            self._add(operator, [name], out, axes=[1], keepdims=0)
        else:
            self._add(operator, [name, self._vector("axis_1", [1])], out, keepdims=0)

    def _add(self, operator: str, inputs: Sequence[str], out: str, domain: str = "", **attributes: object) -> None:
        self.nodes.append(helper.make_node(operator, inputs, [out], name=f"{out}/node", domain=domain, **attributes))

    def _keep(self, name: str, array: NDArray[np.generic]) -> str:
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(array, name)
        return name

    def _scalar(self, name: str, value: np.float32 | np.uint8) -> str:
        return self._keep(f"8bit_{name}", np.asarray(value))

    def _vector(self, name: str, values: Sequence[int]) -> str:
        return self._keep(f"8bit_{name}", np.array(values, np.int64))

    def _zero_point(self) -> str:
        return self._scalar("zero_point", np.uint8(128))  # rows are unsigned, which is what VNNI multiplies
