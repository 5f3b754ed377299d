"""What rewriting an ONNX graph needs to know of it: its constants, the shapes of its tensors, what is still used."""

from __future__ import annotations

import math
from collections.abc import Iterator
from graphlib import TopologicalSorter

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

_SMALL = 256  # elements; larger constants say nothing about shapes


class Constants:
    """The constant tensors of a graph: initializers, Constant nodes, and what Identity and Transpose make of them."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._makers = {
            node.output[0]: node for node in graph.node if node.op_type in {"Constant", "Identity", "Transpose"}
        }

    def is_constant(self, name: str) -> bool:
        if name in self._tensors:
            return True
        maker = self._makers.get(name)
        return maker is not None and (maker.op_type == "Constant" or self.is_constant(maker.input[0]))

    def array(self, name: str, *, dims: int) -> NDArray[np.float32] | None:
        """The constant of a name if it is a float32 tensor of so many dimensions, else None."""
        if not self.is_constant(name):
            return None
        if name in self._tensors:
            tensor = self._tensors[name]
            wanted = tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == dims
            return _to_float32(tensor) if wanted else None
        maker = self._makers[name]
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in maker.attribute}
        if maker.op_type == "Constant":
            value = attributes.get("value")
            if value is None or value.data_type != onnx.TensorProto.FLOAT or len(value.dims) != dims:
                return None
            return _to_float32(value)
        source = self.array(maker.input[0], dims=dims)
        if source is None or maker.op_type == "Identity":
            return source
        return source.transpose(attributes.get("perm", range(dims)[::-1]))


def _to_float32(tensor: onnx.TensorProto) -> NDArray[np.float32]:
    array: NDArray[np.float32] = numpy_helper.to_array(tensor)
    return array


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard operators that a model uses."""
    return next((int(used.version) for used in model.opset_import if used.domain in {"", "ai.onnx"}), 0)


def inferred_shapes(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """The types of the tensors that nodes make, and of the inputs, as far as they can be inferred.

    They are inferred from a copy without the weights, so that a model of gigabytes is not copied.
    """
    copy = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    graph = copy.graph
    graph.name = "shapes"
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= _SMALL:
            graph.initializer.append(tensor)
        else:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    inferred = onnx.shape_inference.infer_shapes(copy, data_prop=True).graph
    return [*inferred.value_info, *model.graph.input, *inferred.output]


def tensors_of_sentences(model: onnx.ModelProto) -> set[str]:
    """The matrices of numbers that have one row for each sentence of the batch, as far as shapes can be inferred."""
    batches = {_first_dim(tensor) for tensor in (*model.graph.input, *model.graph.output)} - {""}
    return {
        tensor.name
        for tensor in inferred_shapes(model)
        if tensor.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        and len(tensor.type.tensor_type.shape.dim) == 2
        and _first_dim(tensor) in batches
    }


def _first_dim(tensor: onnx.ValueInfoProto) -> str:
    dims = tensor.type.tensor_type.shape.dim
    return str(dims[0].dim_param) if dims else ""


def without_dead(graph: onnx.GraphProto) -> None:
    """Drop the nodes whose results nobody takes and the initializers that no node names; sort the rest, in place."""
    makers = {name: number for number, node in enumerate(graph.node) for name in node.output if name}
    takes = {number: set(names_taken(node)) for number, node in enumerate(graph.node)}
    needed: dict[int, set[int]] = {}  # node -> the nodes that it needs
    waiting = [makers[tensor.name] for tensor in graph.output if tensor.name in makers]
    while waiting:
        number = waiting.pop()
        if number not in needed:
            needed[number] = {makers[name] for name in takes[number] if name in makers}
            waiting.extend(needed[number])
    alive = [graph.node[number] for number in TopologicalSorter(needed).static_order()]
    taken = {tensor.name for tensor in graph.output}.union(*(takes[number] for number in needed))
    tensors = [tensor for tensor in graph.initializer if tensor.name in taken]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(alive)
    graph.initializer.extend(tensors)


def names_taken(node: onnx.NodeProto) -> Iterator[str]:
    """The inputs of a node and the names in graphs within it: branches and loops take tensors from around them."""
    yield from node.input
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            for nested in inner.node:
                yield from names_taken(nested)
            yield from (tensor.name for tensor in inner.output)
