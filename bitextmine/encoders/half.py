"""Rewrite a graph so that it multiplies in 16-bit floats, for GPUs.

Products run in float16 wherever they are, and so does what lies between them: activations, attention, layer norms.
Masks, sums over tokens and what there is one of for a sentence stay in float32: masks have numbers that float16 lacks,
and the pooling and the last normalisation decide a vector's last digits. They are a small part of the work.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bitextmine.encoders.rewriting import Constants, inferred_shapes, names_taken, tensors_of_sentences, without_dead

_LARGEST = 65504.0  # of float16
_PRODUCTS = {"MatMul", "Gemm"}
# These run in float16 where one of their inputs is in float16 already.
_FOLLOWING = {
    *("Add", "Sub", "Mul", "Div", "Neg", "Where", "Erf", "Tanh", "Relu", "Sigmoid", "Gelu", "Softmax"),
    *("LayerNormalization", "Transpose", "Reshape", "Unsqueeze", "Squeeze", "Flatten", "Concat", "Slice", "Split"),
    *("Expand", "Identity", "Gather"),
}


def half_graph(model: onnx.ModelProto) -> int:
    """Put the products of a graph and what lies between them into float16, in place; inputs and outputs stay.

    Returns:
        The number of products; at 0 the graph is as it was.
    """
    rewriter = _Rewriter(model)
    for node in model.graph.node:
        rewriter.take(node)
    for tensor in model.graph.output:
        rewriter.in_float32(tensor.name)
    if rewriter.products:
        del model.graph.node[:], model.graph.value_info[:]
        model.graph.node.extend(rewriter.nodes)
        model.graph.initializer.extend(rewriter.initializers)
        without_dead(model.graph)
    return rewriter.products


class _Rewriter:
    """Takes the nodes of a graph in order and collects those of the new one.

    A tensor keeps its name in float32 and has another one in float16; casts between them are made when somebody asks.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.products = 0
        shapes = inferred_shapes(model)
        self._floats = {tensor.name for tensor in shapes if tensor.type.tensor_type.elem_type == TensorProto.FLOAT}
        self._floats |= {each.name for each in model.graph.initializer if each.data_type == TensorProto.FLOAT}
        self._of_sentences = tensors_of_sentences(model)
        self._constants = Constants(model.graph)
        self._halves: set[str] = set()  # tensors that there are in float16
        self._singles = self._floats - {name for node in model.graph.node for name in node.output}  # and in float32

    def take(self, node: onnx.NodeProto) -> None:
        if not self._runs_in_half(node):
            for name in names_taken(node):
                self.in_float32(name)
            self._singles.update(name for name in node.output if name in self._floats)
            self.nodes.append(node)
            return
        self.products += node.op_type in _PRODUCTS
        taken = [self._in_float16(name) if name in self._floats else name for name in node.input]
        made = [_half(name) if name else "" for name in node.output]
        self._halves.update(node.output)
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        del copy.input[:], copy.output[:]
        copy.input.extend(taken)
        copy.output.extend(made)
        self.nodes.append(copy)

    def in_float32(self, name: str) -> None:
        """Make sure that a tensor is there in float32, under its own name."""
        if name in self._halves and name not in self._singles:
            self._singles.add(name)
            self._cast(_half(name), name, TensorProto.FLOAT)

    def _runs_in_half(self, node: onnx.NodeProto) -> bool:
        if node.domain not in {"", "ai.onnx"} or not self._floats.issuperset(filter(None, node.output)):
            return False
        if self._of_sentences & set(node.output):
            return False
        if node.op_type in _PRODUCTS:
            return True
        if node.op_type == "Gather" and self._constants.array(node.input[0], dims=2) is not None:
            return True
        return node.op_type in _FOLLOWING and bool(self._halves & set(node.input))

    def _in_float16(self, name: str) -> str:
        """The name of a tensor in float16; too large numbers, such as those of masks, become the largest."""
        half = _half(name)
        if name in self._halves:
            return half
        self._halves.add(name)
        array = self._array(name)
        if array is not None:
            clipped = np.clip(array, -_LARGEST, _LARGEST).astype(np.float16)
            self.initializers.append(numpy_helper.from_array(clipped, half))
            return half
        limits = self._limits()
        self.nodes.append(helper.make_node("Clip", [name, *limits], [f"{half}_clipped"], name=f"{half}/clip"))
        self._cast(f"{half}_clipped", half, TensorProto.FLOAT16)
        return half

    def _array(self, name: str) -> NDArray[np.float32] | None:
        return next(
            (found for dims in (2, 1, 0, 3) if (found := self._constants.array(name, dims=dims)) is not None), None
        )

    def _limits(self) -> Sequence[str]:
        names = ("half_lowest", "half_highest")
        if not any(tensor.name == names[0] for tensor in self.initializers):
            for name, limit in zip(names, (-_LARGEST, _LARGEST), strict=True):
                self.initializers.append(numpy_helper.from_array(np.array(limit, np.float32), name))
        return names

    def _cast(self, source: str, target: str, kind: int) -> None:
        self.nodes.append(helper.make_node("Cast", [source], [target], name=f"{target}/cast_{kind}", to=kind))


def _half(name: str) -> str:
    return f"{name}_half"
