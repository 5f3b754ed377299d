"""What executors are given to run in tests. Each run leaves a line in the file `runs` of its folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bitextmine.errors import ParameterError
from bitextmine.progress import Progress


def square(number: int) -> int:
    return number * number


def tell_pid(folder: str, name: str, wait_for: str = "") -> dict[str, Any]:
    """Leave the process's id, wait for a file, and leave another line at the end."""
    _note(folder, f"start {name} {os.getpid()}")
    while wait_for and not Path(wait_for).exists():
        time.sleep(0.02)
    _note(folder, f"end {name} {os.getpid()}")
    return {"name": name, "pid": os.getpid()}


def report(total: int, *, progress: Progress) -> str:
    for done in range(1, total + 1):
        progress("count", done, total)
    return "reported"


def die_once(folder: str) -> str:
    first = not (Path(folder) / "died").exists()
    (Path(folder) / "died").touch()
    if first:
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


def always_die(folder: str) -> None:
    _note(folder, "died")
    os.kill(os.getpid(), signal.SIGKILL)


def leave() -> None:
    sys.exit(7)


def refuse() -> None:
    raise ParameterError("k is -1", code="invalid-k")


def fail() -> None:
    raise ValueError("a line\nand another")


class PickyError(ParameterError):
    """Cannot be unpickled: it asks for two arguments."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}", code="picky")


def fail_unpicklably() -> None:
    raise PickyError("one", "two")


def return_what_cannot_be_sent() -> Any:
    return lambda: 1


def print_to_standard_output() -> int:
    print("printed by python", flush=True)
    return subprocess.run(["/bin/echo", "printed by a program"], check=True).returncode


def ignore_termination(folder: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tell_pid(folder, "stubborn", str(Path(folder) / "never"))


def runs(folder: Path) -> list[list[str]]:
    """The lines that tasks have left, split."""
    file = folder / "runs"
    return [line.split() for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def _note(folder: str, line: str) -> None:
    with (Path(folder) / "runs").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
