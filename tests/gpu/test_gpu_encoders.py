"""Encoders on an NVIDIA GPU: pytest -m gpu tests/gpu, with a gpu extra. Skipped where ONNX Runtime finds none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bitextmine.encoders import Encoder
from bitextmine.encoders.runtime import why_no_cuda
from bitextmine.resources import Device, Provider
from tests.tiny_encoder import build_tiny_encoder

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(why_no_cuda() is not None, reason=str(why_no_cuda()))]
SENTENCES = [f"{'the museum opens at nine ' * (n % 9)}{n}" for n in range(5000)]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_encoder(tmp_path_factory.mktemp("tiny")).directory


@pytest.mark.parametrize("provider", [Provider.AUTO, Provider.CUDA])
def test_the_gpu_is_used_and_gives_the_vectors_of_the_cpu(directory: Path, provider: Provider) -> None:
    on_gpu = Encoder.open(directory, device=Device(provider))
    assert on_gpu.provider == "CUDAExecutionProvider"
    on_cpu = Encoder.open(directory, device=Device(Provider.CPU))
    assert on_cpu.provider == "CPUExecutionProvider"
    np.testing.assert_allclose(on_gpu.encode(SENTENCES), on_cpu.encode(SENTENCES), atol=1e-5)


def test_a_vector_does_not_depend_on_its_batch_on_a_gpu(directory: Path) -> None:
    encoder = Encoder.open(directory, device=Device(Provider.CUDA))
    alone = np.concatenate([encoder.encode([sentence]) for sentence in SENTENCES[:50]])
    np.testing.assert_allclose(alone, encoder.encode(SENTENCES)[:50], atol=1e-5)
