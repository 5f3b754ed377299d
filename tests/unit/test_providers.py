"""Providers: chosen explicitly, tried, and reported. Sessions are faked where ONNX Runtime is asked for a GPU."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from bitextmine.encoders import Encoder, runtime
from bitextmine.encoders.card import MODEL, Precision, load_card, write_card
from bitextmine.encoders.runtime import TOKEN_BUDGETS, chosen_provider, why_no_cuda
from bitextmine.encoders.saturation import products_saturate
from bitextmine.errors import EncoderError
from bitextmine.files import file_sha256
from bitextmine.resources import Device, Provider
from tests.tiny_encoder import build_tiny_encoder

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
SENTENCES = ["the museum opens at nine", "Wo ist der Bahnhof?", "she bought a map"] * 20
FORCED, LENIENT = Device(Provider.CUDA), Device(Provider.CUDA, allow_cpu_fallback=True)


@dataclass
class OnnxRuntime:
    """What a fake of ONNX Runtime does, and what was asked of it. Graphs run on the CPU whatever it claims."""

    offers: bool = True  # CUDA among the available providers
    works: bool = True  # and a session gets it
    works_for_models: bool = True  # not only in the trial
    breaks: bool = False  # asking for it raises
    asked: list[Any] = field(default_factory=list)
    preloaded: int = 0


@pytest.fixture
def onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[OnnxRuntime]:
    products_saturate()  # tries a session of its own, once a process
    fake = OnnxRuntime()
    real = onnxruntime.InferenceSession

    class Session:
        def __init__(self, model: str | bytes, options: Any, *, providers: list[Any], **more: Any) -> None:
            fake.asked.append(providers)
            assert more == {"enable_fallback": 0}
            wants_cuda = providers != [CPU]
            if wants_cuda and fake.breaks:
                raise RuntimeError("CUDA failure 35: driver too old\nhow it came to that")
            gets = wants_cuda and fake.works and (fake.works_for_models or isinstance(model, bytes))
            self._providers = [CUDA, CPU] if gets else [CPU]
            self._session = real(model, options, providers=[CPU])

        def get_providers(self) -> list[str]:
            return self._providers

        def __getattr__(self, name: str) -> Any:
            return getattr(self._session, name)

    def preload() -> None:
        fake.preloaded += 1
        print("libcudnn.so.9 was not found")

    offered = lambda: [CUDA, CPU] if fake.offers else [CPU]  # noqa: E731
    monkeypatch.setattr(onnxruntime, "get_available_providers", offered)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(onnxruntime, "preload_dlls", preload, raising=False)
    why_no_cuda.cache_clear()
    yield fake
    why_no_cuda.cache_clear()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_encoder(tmp_path_factory.mktemp("tiny")).directory


def test_without_a_gpu_build_auto_is_the_cpu_and_nothing_is_tried(directory: Path, onnx_runtime: OnnxRuntime) -> None:
    onnx_runtime.offers = False
    encoder = Encoder.open(directory)
    assert encoder.provider == CPU
    assert onnx_runtime.asked == [[CPU]]
    assert onnx_runtime.preloaded == 0


def test_auto_takes_a_gpu_that_works(directory: Path, onnx_runtime: OnnxRuntime) -> None:
    encoder = Encoder.open(directory)
    assert encoder.provider == CUDA
    trial, model = onnx_runtime.asked
    assert trial == model
    (name, options), second = model
    assert (name, second) == (CUDA, CPU)
    assert options["use_tf32"] == "0"


def test_a_gpu_is_tried_once_for_all_encoders(directory: Path, onnx_runtime: OnnxRuntime) -> None:
    assert [Encoder.open(directory).provider for _ in range(3)] == [CUDA] * 3
    assert len(onnx_runtime.asked) == 1 + 3
    assert onnx_runtime.preloaded == 1


def test_what_preloading_prints_does_not_reach_standard_output(
    onnx_runtime: OnnxRuntime, capsys: pytest.CaptureFixture[str]
) -> None:
    assert why_no_cuda() is None
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "libcudnn" in captured.err


def test_a_runtime_without_preloading_is_used_as_it_is(
    directory: Path, onnx_runtime: OnnxRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(onnxruntime, "preload_dlls")
    assert Encoder.open(directory).provider == CUDA


@pytest.mark.parametrize(
    ("offers", "works", "breaks", "reason"),
    [
        (False, True, False, "has no CUDA; install an extra gpu-cu12 or gpu-cu13"),
        (True, False, False, "gave a session without it"),
        (True, True, True, "CUDA failure 35: driver too old; to run"),
    ],
    ids=["not built in", "silently not given", "fails"],
)
def test_cuda_that_cannot_be_had_is_an_error_and_the_cpu_only_where_it_is_allowed(
    directory: Path, onnx_runtime: OnnxRuntime, offers: bool, works: bool, breaks: bool, reason: str
) -> None:
    onnx_runtime.offers, onnx_runtime.works, onnx_runtime.breaks = offers, works, breaks
    with pytest.raises(EncoderError, match=reason) as caught:
        Encoder.open(directory, device=FORCED).encode(["x"])
    assert caught.value.code == "provider-unavailable"
    assert "\n" not in str(caught.value)
    assert Encoder.open(directory, device=LENIENT).provider == CPU
    assert Encoder.open(directory).provider == CPU


def test_a_model_that_does_not_get_the_gpu_that_works_otherwise(
    directory: Path, onnx_runtime: OnnxRuntime, caplog: pytest.LogCaptureFixture
) -> None:
    onnx_runtime.works_for_models = False
    with pytest.raises(EncoderError, match=f"gave the encoder tiny {CPU}") as caught:
        Encoder.open(directory, device=FORCED).encode(["x"])
    assert caught.value.code == "provider-unavailable"
    assert Encoder.open(directory).provider == CPU
    assert f"encoding on the CPU: ONNX Runtime gave the encoder tiny {CPU}" in caplog.text


def test_the_cpu_is_the_cpu_whatever_there_is(directory: Path, onnx_runtime: OnnxRuntime) -> None:
    assert Encoder.open(directory, device=Device(Provider.CPU)).provider == CPU
    assert onnx_runtime.asked == [[CPU]]


def test_the_provider_in_use_is_logged(
    directory: Path, onnx_runtime: OnnxRuntime, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        Encoder.open(directory).encode(["x"])
    assert f"the encoder tiny runs on {CUDA}" in caplog.text


def test_vectors_do_not_depend_on_the_provider_but_batches_do(directory: Path, onnx_runtime: OnnxRuntime) -> None:
    on_cpu, on_gpu = (Encoder.open(directory, device=Device(provider)) for provider in (Provider.CPU, Provider.CUDA))
    np.testing.assert_allclose(on_gpu.encode(SENTENCES), on_cpu.encode(SENTENCES), atol=1e-6)
    budgets = [encoder._load().graph.token_budget for encoder in (on_cpu, on_gpu)]
    assert budgets == [TOKEN_BUDGETS[Provider.CPU], TOKEN_BUDGETS[Provider.CUDA]]
    assert on_cpu.signature == on_gpu.signature


def test_a_gpu_computes_one_batch_at_a_time(
    directory: Path, onnx_runtime: OnnxRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "TOKEN_BUDGETS", {Provider.CPU: 64, Provider.CUDA: 64})
    encoder = Encoder.open(directory, threads=4)
    graph = encoder._load().graph
    session, seen = graph._session, []
    run = session._session.run

    def counting(outputs: list[str], inputs: dict[str, Any]) -> Any:
        seen.append(graph._turn.locked())  # type: ignore[attr-defined]
        return run(outputs, inputs)

    session.run = counting
    encoder.encode(SENTENCES)
    assert len(seen) > 4
    assert all(seen)


@pytest.fixture
def all_precisions(tmp_path: Path) -> Path:
    directory = build_tiny_encoder(tmp_path / "tiny").directory
    for precision in (Precision.FP16, Precision.INT8):
        (directory / precision.file).write_bytes((directory / MODEL).read_bytes())
    card = load_card(directory)
    files = dict(card.files) | {each.file: file_sha256(directory / each.file) for each in Precision}
    write_card(card.model_copy(update={"files": files}), directory)
    return directory


@pytest.mark.parametrize(
    ("device", "works", "expected"),
    [
        (Device(Provider.CPU), True, Precision.INT8),
        (Device(), False, Precision.INT8),
        (Device(), True, Precision.FP16),
        (FORCED, True, Precision.FP16),
        (LENIENT, False, Precision.INT8),
    ],
)
def test_the_precision_is_the_best_for_the_provider(
    all_precisions: Path, onnx_runtime: OnnxRuntime, device: Device, works: bool, expected: Precision
) -> None:
    onnx_runtime.works = works
    assert Encoder.open(all_precisions, device=device).precision is expected


def test_cuda_that_cannot_be_had_is_refused_before_a_precision_is_chosen_for_it(
    all_precisions: Path, onnx_runtime: OnnxRuntime
) -> None:
    onnx_runtime.works = False
    with pytest.raises(EncoderError, match="CUDA was asked for"):
        Encoder.open(all_precisions, device=FORCED)
    assert Encoder.open(all_precisions, device=FORCED, precision=Precision.FP16).precision is Precision.FP16


def test_chosen_provider_of_a_machine_without_one() -> None:
    why_no_cuda.cache_clear()
    if why_no_cuda() is None:
        pytest.skip("this machine has a GPU")
    assert chosen_provider(Device()) is Provider.CPU
    assert chosen_provider(LENIENT) is Provider.CPU
