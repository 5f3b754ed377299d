"""An encoder's graph in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitextmine.errors import EncoderError

_INPUTS = {"input_ids", "attention_mask"}
_OUTPUT = "sentence_embedding"


class Graph:
    """A loaded graph: one session, any number of threads, each of which computes its own batch."""

    def __init__(self, model: Path, *, dims: int, name: str) -> None:
        """Load a graph.

        Raises:
            EncoderError: not an ONNX model, or one with other inputs and outputs.
        """
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as state

        # ONNX Runtime's errors share no base class of their own.
        self._errors: tuple[type[Exception], ...] = (
            *(state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf),
            *(state.NotImplemented, state.RuntimeException, state.EPFail, state.NoSuchFile),
        )
        self._dims = dims
        self._name = name
        options = onnxruntime.SessionOptions()
        # Two batches on two threads beat one batch on two threads, and a batch's arithmetic stays in one order.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_mem_pattern = False  # a pattern would be kept for every shape of batch
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except self._errors as error:
            raise EncoderError(f"ONNX Runtime cannot load the model of {name}: {_first_line(error)}") from error
        inputs = {node.name for node in self._session.get_inputs()}
        outputs = {node.name for node in self._session.get_outputs()}
        if inputs != _INPUTS or _OUTPUT not in outputs:
            raise EncoderError(f"the model of {name} has inputs {sorted(inputs)} and outputs {sorted(outputs)}")

    @property
    def provider(self) -> str:
        """The execution provider in use: ONNX Runtime falls back to the CPU without a word."""
        return str(self._session.get_providers()[0])

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Encode one padded batch: two (rows, longest) int64 -> (rows, dims) float32.

        Raises:
            EncoderError: the graph fails, or gives something else than finite vectors of the recorded size.
        """
        try:
            (vectors,) = self._session.run([_OUTPUT], {"input_ids": ids, "attention_mask": mask})
        except self._errors as error:
            raise EncoderError(f"the model of {self._name} failed: {_first_line(error)}") from error
        checked: NDArray[np.float32] = vectors
        if checked.dtype != np.float32 or checked.shape != (len(ids), self._dims):
            raise EncoderError(
                f"the model of {self._name} gave {checked.dtype} {checked.shape}, its record says {self._dims} dims"
            )
        if not np.isfinite(checked).all():
            raise EncoderError(f"the model of {self._name} gave a vector that is not finite")
        return checked


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
