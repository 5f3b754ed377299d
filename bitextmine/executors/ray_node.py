"""What runs in a process of a Ray node: tasks, one after another, and a look at the node itself."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import bitextmine
from bitextmine.encoders.finding import find_encoder
from bitextmine.errors import BitextmineError, InputError
from bitextmine.executors.attempt import Attempt, attempt_sent, sendable, where
from bitextmine.progress import silent

AUTH_MODE = "RAY_AUTH_MODE"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a node has to share with the driver: versions, and a file of the data directory."""

    python: str
    bitextmine: str
    probe: str  # path of a file that the driver has written
    content: str  # of that file


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a node is like, and what is wrong with it, in words."""

    where: str
    python: str
    bitextmine: str
    auth: str
    encoder: str  # signature; empty where none was asked for
    problems: tuple[str, ...]


def versions() -> tuple[str, str]:
    """Of Python (3.12) and of bitextmine."""
    return ".".join(platform.python_version_tuple()[:2]), bitextmine.__version__


class TaskActor:
    """A process that keeps what tasks open, encoders above all, until it is let go."""

    def ready(self) -> None:
        """Whoever has the answer knows that the process is there."""

    def run(self, content: bytes, expected: Expected) -> bytes:
        """The Attempt at a task, as bytes. A node that does not fit runs nothing: the error says why."""
        if problems := _unlike(expected):
            error = InputError(f"the Ray node {platform.node()}: {'; '.join(problems)}", code="ray-node-unfit")
            return sendable(Attempt(None, error, "", 0.0, where()))
        return attempt_sent(content, silent)


def examine(expected: Expected, encoder: str, encoders: str) -> NodeReport:
    """Look at this node.

    Args:
        encoder: whose signature is wanted, by name or directory; empty for none.
        encoders: the directory of encoders.
    """
    problems, signature = _unlike(expected), ""
    if not problems and (problem := _unwritable(Path(expected.probe).parent)):
        problems.append(problem)
    if encoder:
        try:
            signature = find_encoder(encoder, Path(encoders)).signature
        except BitextmineError as error:
            problems.append(str(error))
    python, version = versions()
    return NodeReport(where(), python, version, os.environ.get(AUTH_MODE, ""), signature, tuple(problems))


def _unlike(expected: Expected) -> list[str]:
    python, version = versions()
    problems = []
    if python != expected.python:
        problems.append(f"Python is {python}, here {expected.python}")
    if version != expected.bitextmine:
        problems.append(f"bitextmine is {version}, here {expected.bitextmine}")
    try:
        content = Path(expected.probe).read_text(encoding="ascii")
    except (OSError, ValueError):
        content = ""
    if content != expected.content:
        problems.append(
            f"it does not see the data directory {Path(expected.probe).parent} as it is here: mount the same one, "
            "under the same path, on every node"
        )
    return problems


def _unwritable(directory: Path) -> str:
    mine = directory / f".ray-probe-{platform.node()}-{os.getpid()}"
    try:
        mine.write_text("here", encoding="ascii")
        mine.unlink()
    except OSError as error:
        return f"it cannot write to the data directory {directory}: {error.strerror or error}"
    return ""
