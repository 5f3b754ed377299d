"""An encoder's graph in ONNX Runtime, on the CPU or on a GPU."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitextmine.encoders.saturation import EXACT_PRODUCTS, products_saturate
from bitextmine.errors import EncoderError
from bitextmine.resources import Device, Provider

# Rows x longest of a batch. On the CPU the fastest of 256 to 4096 for muse; a GPU wants more to be busy, and 16k tokens
# of the widest graphs known (BGE-M3: 1024 dims, 4096 between) take less than a gigabyte of activations.
TOKEN_BUDGETS: Mapping[Provider, int] = MappingProxyType({Provider.CPU: 1024, Provider.CUDA: 16_384})

_INPUTS = {"input_ids", "attention_mask"}
_OUTPUT = "sentence_embedding"
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_CUDA_OPTIONS = {
    "use_tf32": "0",  # TF32 keeps 10 bits of a mantissa: vectors would differ from the CPU's in the third decimal
    "arena_extend_strategy": "kSameAsRequested",  # the search and other processes need memory of the GPU too
    "cudnn_conv_algo_search": "HEURISTIC",  # an exhaustive search would be made anew for every shape of batch
}
_TRIAL = """
<ir_version: 8, opset_import: ["": 17]>
trial (float[n] x) => (float[n] y) { y = Identity (x) }
"""
_logger = logging.getLogger(__name__)


class Graph:
    """A loaded graph: one session, any number of threads. On the CPU each computes its own batch; a GPU computes one
    at a time, in one stream, while another thread prepares the next."""

    def __init__(self, model: Path, *, dims: int, name: str, device: Device | None = None) -> None:
        """Load a graph.

        Raises:
            EncoderError: not an ONNX model, or one with other inputs and outputs; or the GPU that was asked for could
                not be had (code provider-unavailable).
        """
        self._dims = dims
        self._name = name
        self._errors = _onnxruntime_errors()
        try:
            self._session = _session(str(model), name, device or Device())
        except self._errors as error:
            raise EncoderError(f"ONNX Runtime cannot load the model of {name}: {_first_line(error)}") from error
        inputs = {node.name for node in self._session.get_inputs()}
        outputs = {node.name for node in self._session.get_outputs()}
        if inputs != _INPUTS or _OUTPUT not in outputs:
            raise EncoderError(f"the model of {name} has inputs {sorted(inputs)} and outputs {sorted(outputs)}")
        self._turn: AbstractContextManager[object] = threading.Lock() if self.on_gpu else nullcontext()
        _logger.info("the encoder %s runs on %s", name, self.provider)

    @property
    def provider(self) -> str:
        """The execution provider that is really in use, as ONNX Runtime names it."""
        return str(self._session.get_providers()[0])

    @property
    def on_gpu(self) -> bool:
        return self.provider == _CUDA

    @property
    def token_budget(self) -> int:
        """Rows x longest of the batches to give to `run`."""
        return TOKEN_BUDGETS[Provider.CUDA if self.on_gpu else Provider.CPU]

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Encode one padded batch: two (rows, longest) int64 -> (rows, dims) float32.

        Raises:
            EncoderError: the graph fails, or gives something else than finite vectors of the recorded size.
        """
        try:
            with self._turn:
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


def chosen_provider(device: Device) -> Provider:
    """What a graph for this device will run on, `cpu` or `cuda`; a GPU is tried, not only looked for.

    Raises:
        EncoderError: `provider-unavailable`: CUDA was asked for and does not work, and no other will do.
    """
    if device.provider is Provider.CPU:
        return Provider.CPU
    reason = why_no_cuda()
    if reason is None:
        return Provider.CUDA
    if device.provider is Provider.CUDA:
        _fall_back(reason, device)
    return Provider.CPU


@cache
def why_no_cuda() -> str | None:
    """Why graphs cannot run on a GPU here; None where they can. Loads the CUDA libraries and tries, once a process."""
    import onnxruntime

    if _CUDA not in onnxruntime.get_available_providers():
        return "this ONNX Runtime has no CUDA; install an extra gpu-cu12 or gpu-cu13 in place of cpu"
    if hasattr(onnxruntime, "preload_dlls"):
        with redirect_stdout(sys.stderr):  # it prints what it does not find
            onnxruntime.preload_dlls()
    import onnx.parser

    try:
        got = _open(onnx.parser.parse_model(_TRIAL).SerializeToString(), Provider.CUDA).get_providers()
    except _onnxruntime_errors() as error:
        return f"ONNX Runtime cannot use CUDA: {_first_line(error)}"
    if _CUDA not in got:
        return "ONNX Runtime has CUDA and gave a session without it: no GPU, no driver, or no CUDA and cuDNN libraries"
    return None


def _session(model: str, name: str, device: Device) -> Any:
    """A session on what the device asks for; ONNX Runtime by itself falls back to the CPU without a word.

    Raises:
        EncoderError: `provider-unavailable`.
    """
    if chosen_provider(device) is Provider.CPU:
        return _open(model, Provider.CPU)
    try:
        session = _open(model, Provider.CUDA)
    except _onnxruntime_errors() as error:  # a model that is damaged fails on the CPU as well
        _fall_back(f"the model of {name} cannot be loaded there: {_first_line(error)}", device)
        return _open(model, Provider.CPU)
    if session.get_providers()[0] != _CUDA:
        _fall_back(f"ONNX Runtime gave the encoder {name} {session.get_providers()[0]}", device)
    return session


def _fall_back(reason: str, device: Device) -> None:
    """
    Raises:
        EncoderError: `provider-unavailable`, unless the device allows the CPU.
    """
    if device.provider is Provider.CUDA and not device.allow_cpu_fallback:
        message = f"CUDA was asked for and cannot be used: {reason}; to run on the CPU all the same, allow the fallback"
        raise EncoderError(message, code="provider-unavailable")
    _logger.warning("encoding on the CPU: %s", reason)


def _open(model: str | bytes, provider: Provider) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Two batches on two threads beat one batch on two threads, and a batch's arithmetic stays in one order.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_mem_pattern = False  # a pattern would be kept for every shape of batch
    options.log_severity_level = 3
    if products_saturate():
        options.add_session_config_entry(EXACT_PRODUCTS, "1")
    providers = [(_CUDA, dict(_CUDA_OPTIONS)), _CPU] if provider is Provider.CUDA else [_CPU]
    return onnxruntime.InferenceSession(model, options, providers=providers, enable_fallback=0)


@cache
def _onnxruntime_errors() -> tuple[type[Exception], ...]:
    """What it raises: errors that share no base class of their own, and RuntimeError for what a provider lacks."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (
        *(state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf),
        *(state.NotImplemented, state.RuntimeException, state.EPFail, state.NoSuchFile),
        RuntimeError,
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
