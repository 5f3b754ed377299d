"""A process that gives tasks to a RayExecutor: Ray keeps the token that it was imported with, so each test has its own.

python -m tests.integration.ray_driver ADDRESS SHARED    pickled tasks on standard input, pickled Outcomes on
                                                         standard output, or the BitextmineError that there was
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bitextmine.errors import BitextmineError
from bitextmine.executors import Outcome, Task
from bitextmine.executors.ray import RayExecutor
from tests.integration.waiting import heed_ctrl_c

ROOT = Path(__file__).parents[2]


class RayDriver:
    """Such a process, as seen from the test that starts it."""

    def __init__(self, address: str, shared: Path, tasks: Sequence[Task], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.integration.ray_driver", address, str(shared)],
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=heed_ctrl_c,  # noqa: PLW1509
        )
        self.log = ""
        assert self._process.stdin is not None
        self._process.stdin.write(pickle.dumps(list(tasks)))
        self._process.stdin.close()
        self._process.stdin = None

    def end(self, number: signal.Signals) -> None:
        """Send a signal that ends it."""
        self._process.send_signal(number)
        self._process.communicate(timeout=30)

    def outcomes(self, seconds: float = 150) -> dict[str, Outcome]:
        """All of them by name, once the process has ended.

        Raises:
            BitextmineError: what it raised.
        """
        try:
            out, err = self._process.communicate(timeout=seconds)
        finally:
            self._process.kill()
            self._process.wait()
        self.log = err.decode()
        assert self._process.returncode == 0, self.log
        result = pickle.loads(out)
        if isinstance(result, BitextmineError):
            raise result
        assert len({outcome.task.name for outcome in result}) == len(result)
        return {outcome.task.name: outcome for outcome in result}


def _drive(address: str, shared: Path, tasks: list[Task]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    with RayExecutor(shared, address) as executor:
        for task in tasks:
            executor.submit(task)
        while True:
            try:
                outcomes.append(executor.next())
            except LookupError:
                return outcomes


def main() -> None:
    logging.basicConfig()
    tasks = pickle.loads(sys.stdin.buffer.read())
    stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        result: object = _drive(sys.argv[1], Path(sys.argv[2]), tasks)
    except BitextmineError as error:
        result = error
    stream.write(pickle.dumps(result))
    stream.close()


if __name__ == "__main__":
    main()
