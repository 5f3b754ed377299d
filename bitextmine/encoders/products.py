"""The products of a graph that 8 bits are for: of tokens, with a constant matrix; and the sizes of what goes into them.

A few components of a transformer's activations are many times larger than the others, and a scale for a whole row then
leaves few steps for the rest. Multiplying component j of the activation by 1 / f[j] and row j of the matrix by f[j]
changes no product and makes both easier to round:

    f[j] = sqrt(max |x[j]| / max |W[j, :]|)

(Xiao et al. 2023, SmoothQuant, equation 4 with alpha = 0.5). The factors are constants of the graph, measured once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from bitextmine.encoders.rewriting import Constants, opset_of, tensors_of_sentences

REDUCTIONS_TAKE_AXES_AS_INPUT = 18  # the operator set
_SMALLEST_MATRIX = 2**10  # elements; below that there is nothing to gain
# A component that is small in all sentences measured may be large in another: none counts for less than this share of
# the median one. On e5-small it raises the lowest cosine from 0.9978 to 0.9990.
_LEAST_SHARE = 0.6
_NOTHING = 1e-5

Magnitudes = Mapping[str, NDArray[np.float32]]  # of an activation: (depth,) the largest of each component


@dataclass(frozen=True, slots=True)
class Product:
    """activation @ matrix, where the activation's rows are tokens."""

    activation: str
    weight: str  # tells matrices apart
    matrix: NDArray[np.float32]  # (depth, columns)


class TokenProducts:
    """Tells which nodes of a graph are such products."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._constants = Constants(model.graph)
        self._of_sentences = tensors_of_sentences(model)

    def of(self, node: onnx.NodeProto) -> Product | None:
        """The product that a node is; None for all others, such as products of two activations or of sentences."""
        if node.op_type not in {"MatMul", "Gemm"}:
            return None
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        if attributes.get("transA", 0) or not attributes.get("alpha", 1.0) == attributes.get("beta", 1.0) == 1.0:
            return None
        activation, weight = node.input[:2]
        if activation in self._of_sentences or self._constants.is_constant(activation):
            return None
        matrix = self._constants.array(weight, dims=2)
        if matrix is None or matrix.size < _SMALLEST_MATRIX:
            return None
        if attributes.get("transB", 0):
            return Product(activation, f"{weight}_transposed", matrix.T)
        return Product(activation, weight, matrix)

    def all(self, graph: onnx.GraphProto) -> Iterable[Product]:
        return filter(None, map(self.of, graph.node))


def measured_magnitudes(
    path: Path, model: onnx.ModelProto, batches: Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]], scratch: Path
) -> Magnitudes:
    """Run a graph and see how large the components of each activation get.

    Args:
        path: where the graph lies.
        model: the same, loaded.
        batches: input_ids and attention_mask, both (rows, length), without padding.
        scratch: a directory to write to, on the same file system.
    """
    import onnxruntime

    depths = {product.activation: product.matrix.shape[0] for product in TokenProducts(model).all(model.graph)}
    tapped = onnx.load(path, load_external_data=False)
    outputs = [_tap(tapped, activation, depth) for activation, depth in depths.items()]
    if not outputs:
        return {}
    onnx.save(tapped, scratch / "tapped.onnx")
    weights = path.with_name(f"{path.name}.data")
    if weights.exists():
        (scratch / weights.name).hardlink_to(weights)  # ONNX Runtime follows no symlink out of the graph's directory
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(scratch / "tapped.onnx", options, providers=["CPUExecutionProvider"])
    largest = [np.zeros(depth, np.float32) for depth in depths.values()]
    for ids, mask in batches:
        found = session.run(outputs, {"input_ids": ids, "attention_mask": mask})
        largest = [np.maximum(before, now) for before, now in zip(largest, found, strict=True)]
    return dict(zip(depths, largest, strict=True))


def smoothing_factors(model: onnx.ModelProto, magnitudes: Magnitudes) -> dict[str, NDArray[np.float32]]:
    """The factor of each component of the activations that were measured; products that share one share them."""
    rows: dict[str, NDArray[np.float32]] = {}
    for product in TokenProducts(model).all(model.graph):
        largest = np.abs(product.matrix).max(axis=1)
        rows[product.activation] = np.maximum(largest, rows.get(product.activation, np.float32(0)))
    factors = {}
    for activation, weights in rows.items():
        if activation in magnitudes:
            components = magnitudes[activation]
            least = max(_LEAST_SHARE * float(np.median(components)), _NOTHING)
            factors[activation] = np.sqrt(np.maximum(components, least) / np.maximum(weights, _NOTHING))
    return factors


def _tap(model: onnx.ModelProto, activation: str, depth: int) -> str:
    """Have the graph give the largest magnitude of each component of an activation."""
    graph, name = model.graph, f"{activation}_largest"
    for constant, values in ((f"{name}_shape", [-1, depth]), (f"{name}_axis", [0])):
        graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), constant))
    graph.node.append(helper.make_node("Reshape", [activation, f"{name}_shape"], [f"{name}_rows"]))
    graph.node.append(helper.make_node("Abs", [f"{name}_rows"], [f"{name}_magnitudes"]))
    if opset_of(model) < REDUCTIONS_TAKE_AXES_AS_INPUT:
        reduce = helper.make_node("ReduceMax", [f"{name}_magnitudes"], [name], axes=[0], keepdims=0)
    else:
        reduce = helper.make_node("ReduceMax", [f"{name}_magnitudes", f"{name}_axis"], [name], keepdims=0)
    graph.node.append(reduce)
    graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [depth]))
    return name
