"""The Python version, and the packages of which there are several that do not go together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata

from bitextmine.doctor.finding import Finding, ok, problem, warning

OLDEST, TOO_NEW = (3, 11), (3, 14)
FAISS = ("faiss-cpu", "faiss-gpu", "faiss-gpu-cuvs", "faiss-gpu-cu11", "faiss-gpu-cu12")
ONNX_RUNTIME = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino")
_EXTRAS = "pip install 'bitextmine[cpu]' (or gpu-cu12, or gpu-cu13)"
_CUDA = re.compile(r"nvidia-cuda-runtime(?:-cu(\d+))?(?![\w-])")
_BOUND = re.compile(r"(?:~=|>=|==)\s*(\d+)")


def python(version: Sequence[int]) -> Iterator[Finding]:
    """Args: version: as sys.version_info begins."""
    shown = ".".join(map(str, version[:3]))
    if OLDEST <= tuple(version[:2]) < TOO_NEW:
        yield ok("python", f"Python {shown}")
    else:
        oldest, newest = f"{OLDEST[0]}.{OLDEST[1]}", f"{TOO_NEW[0]}.{TOO_NEW[1] - 1}"
        what = f"Python {shown} is not one that bitextmine was tested with"
        yield problem("python", what, f"make a virtual environment with Python {oldest} to {newest}")


def installed(names: Sequence[str]) -> dict[str, str]:
    """The versions of those distributions that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def exclusive(check: str, what: str, found: Mapping[str, str]) -> Iterator[Finding]:
    """That exactly one of the distributions is there which are put into one and the same folder.

    Args:
        found: the version of each that is installed.
    """
    shown = " and ".join(f"{name} {version}" for name, version in found.items())
    if not found:
        yield problem(check, f"{what} is not installed", _EXTRAS)
    elif len(found) > 1:
        todo = f"pip uninstall -y {' '.join(found)}, then {_EXTRAS}"
        yield problem(check, f"{shown} are both installed, into one folder: each broke the other", todo)
    else:
        yield ok(check, shown)


def cuda_versions(found: Mapping[str, int | None]) -> Iterator[Finding]:
    """That what needs CUDA needs the same.

    Args:
        found: by distribution, the major version of CUDA that it was made for; None where that is not known.
    """
    known = {name: version for name, version in found.items() if version is not None}
    shown = ", ".join(f"{name} is for CUDA {version}" for name, version in known.items())
    if len(set(known.values())) > 1:
        todo = "install both with one extra: pip install 'bitextmine[gpu-cu12]' or 'bitextmine[gpu-cu13]'"
        yield problem("cuda", f"{shown}: they load different libraries of the same names", todo)
    elif "faiss-gpu-cu12" in found:
        what = "faiss-gpu-cu12 holds no code for GPUs as new as the H100"
        yield warning("cuda", what, "pip uninstall -y faiss-gpu-cu12, then pip install 'bitextmine[gpu-cu12]'")
    elif known:
        yield ok("cuda", shown)


def cuda_of(requirements: Sequence[str]) -> int | None:
    """The major version of CUDA that a distribution with these requirements was made for."""
    for requirement in requirements:
        if (named := _CUDA.match(requirement)) is None:
            continue
        if (found := named[1] or ((bound := _BOUND.search(requirement)) and bound[1])) is not None:
            return int(found)
    return None


def packages() -> Iterator[Finding]:
    """FAISS and ONNX Runtime as they are installed here."""
    faiss, runtimes = installed(FAISS), installed(ONNX_RUNTIME)
    yield from exclusive("faiss", "FAISS", faiss)
    yield from exclusive("onnxruntime", "ONNX Runtime", runtimes)
    gpu = [name for name in (*faiss, *runtimes) if "gpu" in name]
    yield from cuda_versions({name: cuda_of(metadata.requires(name) or ()) for name in gpu})
