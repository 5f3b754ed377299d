"""LocalExecutor: tasks in this process, and in real processes that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitextmine.errors import BitextmineError, ParameterError
from bitextmine.executors import Executor, LocalExecutor, Needs, Outcome, Task
from tests.integration import executor_tasks as tasks
from tests.integration.waiting import gone, heed_ctrl_c, unmeasured_environment, wait_until

ROOT = Path(__file__).parents[2]


def task(function: Callable[..., Any], *arguments: Any, name: str = "", needs: Needs | None = None) -> Task:
    return Task(
        name=name or function.__name__, stage="test", function=function, arguments=arguments, needs=needs or Needs()
    )


def all_outcomes(executor: Executor) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    while True:
        try:
            outcome = executor.next()
        except LookupError:
            return outcomes
        assert outcome.task.name not in outcomes
        outcomes[outcome.task.name] = outcome


@pytest.fixture(params=[1, 3])
def processes(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_each_task_is_told_once(processes: int) -> None:
    with LocalExecutor(processes) as executor:
        for number in range(8):
            executor.submit(task(tasks.square, number, name=f"square {number}"))
        outcomes = all_outcomes(executor)
        executor.submit(task(tasks.square, 9))
        later = executor.next()
    assert {name: outcome.value for name, outcome in outcomes.items()} == {
        f"square {number}": number**2 for number in range(8)
    }
    assert all(outcome.error is None and outcome.attempts == 1 for outcome in outcomes.values())
    assert later.value == 81
    assert (f"pid {os.getpid()} " in later.where) == (processes == 1)


def test_one_process_runs_in_order_and_only_when_asked(tmp_path: Path) -> None:
    with LocalExecutor() as executor:
        for name in "abc":
            executor.submit(task(tasks.tell_pid, str(tmp_path), name, name=name))
        assert tasks.runs(tmp_path) == []
        assert [executor.next().task.name for _ in range(3)] == ["a", "b", "c"]


def test_what_goes_wrong_comes_back_as_an_error(processes: int, caplog: pytest.LogCaptureFixture) -> None:
    with LocalExecutor(processes) as executor:
        for function in (tasks.refuse, tasks.fail, tasks.fail_unpicklably):
            executor.submit(task(function))
        outcomes = all_outcomes(executor)
    refused = outcomes["refuse"].error
    assert (type(refused), str(refused), refused.code if refused else "") == (ParameterError, "k is -1", "invalid-k")
    failed = outcomes["fail"].error
    assert (str(failed), failed.code if failed else "") == ("ValueError: a line and another", "internal-error")
    picky = outcomes["fail_unpicklably"].error
    assert (str(picky), picky.code if picky else "") == ("one two", "picky")
    assert "in fail\n    raise ValueError" in caplog.text
    assert "refuse" not in caplog.text


def test_a_value_that_cannot_be_sent_is_an_error() -> None:
    with LocalExecutor(2) as executor:
        executor.submit(task(tasks.return_what_cannot_be_sent))
        outcome = executor.next()
    assert outcome.value is None
    assert "cannot be sent" in str(outcome.error)


def test_a_task_that_cannot_be_sent_is_refused() -> None:
    with LocalExecutor(2) as executor, pytest.raises(ParameterError, match="cannot be sent to another process"):
        executor.submit(task(lambda: 1, name="lambda"))


def test_progress_is_told_of_each_task(processes: int) -> None:
    told: dict[str, list[tuple[str, int, int | None]]] = {"one": [], "two": []}

    def progress_of(task: Task) -> Callable[[str, int, int | None], None]:
        return lambda stage, done, total: told[task.name].append((stage, done, total))

    with LocalExecutor(processes, progress_of=progress_of) as executor:
        for name in told:
            executor.submit(task(tasks.report, 500, name=name))
        assert {outcome.value for outcome in all_outcomes(executor).values()} == {"reported"}
    for reports in told.values():
        assert reports[0] == ("count", 1, 500)
        assert reports[-1] == ("count", 500, 500)


def test_a_killed_process_is_replaced_and_its_task_repeated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    go = tmp_path / "go"
    with LocalExecutor(2) as executor:
        for name in "abcd":
            executor.submit(task(tasks.tell_pid, str(tmp_path), name, str(go), name=name))
        wait_until(lambda: len(tasks.runs(tmp_path)) == 2, "two tasks run")
        victim = tasks.runs(tmp_path)[0]
        os.kill(int(victim[2]), signal.SIGKILL)
        go.touch()
        outcomes = all_outcomes(executor)
    assert {outcome.value["name"] for outcome in outcomes.values()} == set("abcd")
    assert {name: outcome.attempts for name, outcome in outcomes.items()} == {**dict.fromkeys("abcd", 1), victim[1]: 2}
    assert sorted(line[1] for line in tasks.runs(tmp_path) if line[0] == "end") == list("abcd")
    assert f"pid {victim[2]} was killed by SIGKILL" in caplog.text


def test_a_task_that_keeps_killing_its_process_is_given_up(tmp_path: Path) -> None:
    with LocalExecutor(2) as executor:
        executor.submit(task(tasks.always_die, str(tmp_path)))
        executor.submit(task(tasks.die_once, str(tmp_path)))
        executor.submit(task(tasks.leave))
        executor.submit(task(tasks.square, 3))
        outcomes = all_outcomes(executor)
    for name, how in (("always_die", "killed by SIGKILL"), ("leave", "ended with status 7")):
        error = outcomes[name].error
        assert isinstance(error, BitextmineError)
        assert (error.code, outcomes[name].attempts) == ("task-kept-dying", 3)
        assert how in str(error)
    assert len(tasks.runs(tmp_path)) == 3
    assert (outcomes["die_once"].value, outcomes["die_once"].attempts) == ("survived", 2)
    assert outcomes["square"].value == 9


def test_a_process_killed_while_idle_is_replaced() -> None:
    with LocalExecutor(2) as executor:
        executor.submit(task(tasks.square, 2))
        pid = int(executor.next().where.split()[1])
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: gone(pid), "the process is gone")
        executor.submit(task(tasks.square, 3))
        outcome = executor.next()
    assert (outcome.value, outcome.attempts) == (9, 1)


def test_tasks_share_the_room(tmp_path: Path) -> None:
    go, second = tmp_path / "go", tmp_path / "second"
    with LocalExecutor(3, room=Needs(cores=3, memory_bytes=1000, gpus=0)) as executor:
        executor.submit(task(tasks.tell_pid, str(tmp_path), "a", str(go), name="a", needs=Needs(memory_bytes=600)))
        executor.submit(task(tasks.tell_pid, str(tmp_path), "b", str(second), name="b", needs=Needs(memory_bytes=600)))
        executor.submit(task(tasks.tell_pid, str(tmp_path), "c", name="c", needs=Needs(gpus=1)))
        wait_until(lambda: tasks.runs(tmp_path), "the first task runs")
        go.touch()
        assert executor.next().task.name == "a"
        second.touch()
        all_outcomes(executor)
    order = [" ".join(line[:2]) for line in tasks.runs(tmp_path)]
    assert order == ["start a", "end a", "start b", "end b", "start c", "end c"]


def test_nothing_is_printed_where_results_go(capfd: pytest.CaptureFixture[str]) -> None:
    with LocalExecutor(2) as executor:
        executor.submit(task(tasks.print_to_standard_output))
        assert executor.next().value == 0
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "printed by python" in printed.err
    assert "printed by a program" in printed.err


def test_closing_ends_processes_that_do_not_want_to(tmp_path: Path) -> None:
    executor = LocalExecutor(2)
    executor.submit(task(tasks.ignore_termination, str(tmp_path)))
    wait_until(lambda: tasks.runs(tmp_path), "the task runs")
    executor.close()
    assert gone(int(tasks.runs(tmp_path)[0][2]))
    executor.close()
    with pytest.raises(ParameterError, match="closed"):
        executor.submit(task(tasks.square, 1))


@pytest.mark.parametrize("processes", [0, -1, 5000])
def test_numbers_of_processes_that_cannot_be(processes: int) -> None:
    with pytest.raises(ParameterError, match="there can be 1 to 1024"):
        LocalExecutor(processes)


_DRIVER = """
import sys
from bitextmine.executors import LocalExecutor, Task
from tests.integration.executor_tasks import tell_pid
if __name__ == "__main__":
    with LocalExecutor(2) as executor:
        for name in "ab":
            executor.submit(
                Task(name=name, stage="test", function=tell_pid, arguments=(sys.argv[1], name, sys.argv[1] + "/never"))
            )
        executor.next()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_processes_end_with_the_one_that_started_them(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "driver.py"
    script.write_text(_DRIVER, encoding="utf-8")
    driver = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        env={**unmeasured_environment(), "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509
    )
    try:
        wait_until(lambda: len(tasks.runs(tmp_path)) == 2, "both tasks run")
        driver.send_signal(number)
        driver.communicate(timeout=30)
    finally:
        driver.kill()
        driver.wait()
    for line in tasks.runs(tmp_path):
        wait_until(lambda pid=int(line[2]): gone(pid), "the process is gone")


def test_processes_that_do_not_start_end_the_run(tmp_path: Path) -> None:
    """A script on standard input cannot be read again by another process."""
    script = _DRIVER.replace("if __name__", "import logging; logging.disable(); time = 0\nif __name__")
    done = subprocess.run(
        [sys.executable, "-", str(tmp_path)],
        input=script,
        env={**unmeasured_environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "processes for tasks do not start" in done.stderr
    assert done.returncode == 1
