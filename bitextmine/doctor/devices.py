"""GPUs, and whether FAISS and ONNX Runtime really use them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bitextmine.doctor.finding import Finding, ok, problem, warning
from bitextmine.doctor.probe import Probe, probe
from bitextmine.gpus import Gpu, gpus
from bitextmine.resources import Provider, format_bytes

_REINSTALL = "install it anew, for this machine's processor: pip install --force-reinstall 'bitextmine[cpu]'"
_NAMES = {"faiss": "FAISS", "onnxruntime": "ONNX Runtime"}


def devices(provider: Provider) -> Iterator[Finding]:
    """What is really there, tried.

    Args:
        provider: what encoders are told to run on.
    """
    yield from judge(gpus(), {name: probe(name) for name in _NAMES}, provider)


def judge(found: Sequence[Gpu], probes: dict[str, Probe], provider: Provider) -> Iterator[Finding]:
    """
    Args:
        found: the GPUs that the driver lists.
        probes: of `faiss` and `onnxruntime`.
    """
    shown = ", ".join(f"{gpu.name} ({format_bytes(gpu.total_bytes)})" for gpu in found)
    yield ok("gpus", shown or "no NVIDIA GPU; all runs on the CPU")
    for name, tried in probes.items():
        title = _NAMES[name]
        if tried.broken:
            yield problem("providers", f"{title} cannot be used: {tried.broken}", _REINSTALL)
        elif tried.gpus:
            yield ok("providers", f"{title} uses CUDA")
        elif found or (name == "onnxruntime" and provider is Provider.CUDA):
            yield _unused(title, name, tried, provider)
        else:
            yield ok("providers", f"{title} works on the CPU")


def _unused(title: str, name: str, tried: Probe, provider: Provider) -> Finding:
    reason = tried.no_gpu or "it sees no GPU; is it a build for the CPU?"
    todo = "pip install 'bitextmine[gpu-cu12]' or 'bitextmine[gpu-cu13]' in a fresh environment, and check the driver"
    if name == "onnxruntime" and provider is Provider.CUDA:
        todo += "; or set BITEXTMINE_PROVIDER=auto"
        return problem("providers", f"BITEXTMINE_PROVIDER is cuda, and {title} cannot use it: {reason}", todo)
    return warning("providers", f"{title} leaves the GPU unused: {reason}", todo)
