"""RayExecutor on a real cluster of two nodes, on this machine, whose processes are killed."""

from __future__ import annotations

import pickle
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bitextmine.errors import InputError, NotFoundError, ParameterError
from bitextmine.executors import Needs
from bitextmine.executors.attempt import check_sendable
from bitextmine.executors.ray import RayExecutor
from bitextmine.executors.ray_cluster import probe
from bitextmine.executors.ray_node import TaskActor, examine
from tests.integration import executor_tasks as tasks
from tests.integration.ray_driver import RayDriver
from tests.integration.ray_nodes import MARK, RayCluster, RayNode, marked, ray_cluster
from tests.integration.test_executors import task
from tests.integration.waiting import gone, wait_until

pytest.importorskip("ray")

TOKEN = "c0ffee" * 8
ADMITTED = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with ray_cluster(TOKEN) as cluster:
        yield cluster


@pytest.fixture
def two_nodes(cluster: RayCluster) -> Iterator[tuple[RayCluster, RayNode]]:
    """The cluster and its second node, which is killed afterwards at the latest."""
    node = cluster.add_node()
    yield cluster, node
    node.kill()
    cluster.nodes.remove(node)


def actor_of(node: RayNode) -> psutil.Process:
    """The process that runs a task there."""
    return next(process for process in node.processes if "TaskActor" in " ".join(process.cmdline()))


@contextmanager
def somebody_else(cluster: RayCluster, folder: Path) -> Iterator[None]:
    """Has one slot of the cluster in the block, with a task that does not end."""
    folder.mkdir()
    given = [task(tasks.tell_pid, str(folder), "theirs", str(folder / "never"))]
    driver = RayDriver(cluster.address, folder, given, ADMITTED)
    try:
        wait_until(lambda: tasks.runs(folder), "their task runs", 120)
        yield
    finally:
        driver.end(signal.SIGKILL)


def test_both_nodes_work_and_what_goes_wrong_comes_back(two_nodes: tuple[RayCluster, RayNode], tmp_path: Path) -> None:
    cluster, _ = two_nodes
    given = [task(tasks.tell_pid, str(tmp_path), name, str(tmp_path / "go"), name=name) for name in ("one", "two")]
    given += [task(tasks.square, number, name=f"square {number}") for number in range(5)]
    given += [task(function) for function in (tasks.refuse, tasks.fail, tasks.return_what_cannot_be_sent)]
    driver = RayDriver(cluster.address, tmp_path, [*given, task(tasks.report, 3)], ADMITTED)
    wait_until(lambda: len(tasks.runs(tmp_path)) == 2, "a task runs on each node", 120)
    assert all(actor_of(node) for node in cluster.nodes)
    (tmp_path / "go").touch()
    outcomes = driver.outcomes()
    assert outcomes["one"].value["pid"] != outcomes["two"].value["pid"]
    assert [outcomes[f"square {number}"].value for number in range(5)] == [0, 1, 4, 9, 16]
    assert outcomes["report"].value == "reported"
    refused, failed = outcomes["refuse"].error, outcomes["fail"].error
    assert (type(refused), str(refused), refused.code if refused else "") == (ParameterError, "k is -1", "invalid-k")
    assert str(failed) == "ValueError: a line and another"
    assert "cannot be sent" in str(outcomes["return_what_cannot_be_sent"].error)
    assert "in fail\n    raise ValueError" in driver.log
    assert len({outcome.where for outcome in outcomes.values()}) == 2, "actors take one task after another"
    assert not list(tmp_path.glob(".ray-probe-*"))


def test_killed_processes_and_nodes(two_nodes: tuple[RayCluster, RayNode], tmp_path: Path) -> None:
    """One process, then a whole node: every task is told once, and only what was killed ran again."""
    cluster, node = two_nodes
    names, go = [f"task-{number}" for number in range(6)], tmp_path / "go"
    given = [task(tasks.tell_pid, str(tmp_path), name, str(go), name=name) for name in names]
    driver = RayDriver(cluster.address, tmp_path, given, ADMITTED)
    wait_until(lambda: len(tasks.runs(tmp_path)) == 2, "a task runs on each node", 120)
    actor_of(cluster.nodes[0]).kill()
    wait_until(lambda: len(tasks.runs(tmp_path)) == 3, "the killed task runs again", 120)
    node.kill()
    go.touch()
    outcomes = driver.outcomes()
    assert {name: outcome.value["name"] for name, outcome in outcomes.items()} == {name: name for name in names}
    begun, ended = (sorted(line[1] for line in tasks.runs(tmp_path) if line[0] == when) for when in ("start", "end"))
    assert ended == names
    assert len(begun) == len(names) + 2
    assert sum(outcome.attempts for outcome in outcomes.values()) == len(names) + driver.log.count("will be repeated")


def test_a_task_that_keeps_killing_its_process_is_given_up(cluster: RayCluster, tmp_path: Path) -> None:
    given = [task(tasks.always_die, str(tmp_path)), task(tasks.square, 3)]
    outcomes = RayDriver(cluster.address, tmp_path, given, ADMITTED).outcomes()
    error = outcomes["always_die"].error
    assert (error.code if error else "", outcomes["always_die"].attempts) == ("task-kept-dying", 3)
    assert len(tasks.runs(tmp_path)) == 3
    assert outcomes["square"].value == 9


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_actors_end_with_their_driver(cluster: RayCluster, tmp_path: Path, number: signal.Signals) -> None:
    given = [task(tasks.tell_pid, str(tmp_path), "a", str(tmp_path / "never"))]
    driver = RayDriver(cluster.address, tmp_path, given, ADMITTED)
    wait_until(lambda: tasks.runs(tmp_path), "the task runs", 120)
    driver.end(number)
    pid = int(tasks.runs(tmp_path)[0][2])
    wait_until(lambda: gone(pid), "the actor is gone", 120)


def test_needs_decide_what_runs_together(cluster: RayCluster, tmp_path: Path) -> None:
    """Of two kinds of tasks, on one core: the second's process gets the room of the first's."""
    needs = {"a": Needs(), "b": Needs(memory_bytes=1000), "c": Needs()}
    given = [task(tasks.tell_pid, str(tmp_path), name, name=name, needs=needs[name]) for name in needs]
    RayDriver(cluster.address, tmp_path, given, ADMITTED).outcomes()
    assert [line[:2] for line in tasks.runs(tmp_path)] == [[when, name] for name in "abc" for when in ("start", "end")]


def test_a_slot_that_somebody_else_has_holds_up_no_task(two_nodes: tuple[RayCluster, RayNode], tmp_path: Path) -> None:
    """Of two slots one is another's for as long as it likes: every task is run in the one that is there."""
    cluster, _ = two_nodes
    with somebody_else(cluster, tmp_path / "other"):
        given = [task(tasks.square, number, name=f"square {number}") for number in range(5)]
        outcomes = RayDriver(cluster.address, tmp_path, given, ADMITTED).outcomes()
    assert sorted(outcome.value for outcome in outcomes.values()) == [0, 1, 4, 9, 16]
    assert len({outcome.where for outcome in outcomes.values()}) == 1


def test_what_is_idle_makes_room_for_what_has_none(two_nodes: tuple[RayCluster, RayNode], tmp_path: Path) -> None:
    """Of three slots one is another's, one has a task that does not end before another kind of task has run."""
    cluster, _ = two_nodes
    third = cluster.add_node()
    try:
        with somebody_else(cluster, tmp_path / "other"):
            needs = {"long": Needs(), "short": Needs(), "other kind": Needs(memory_bytes=1000)}
            waits_for = {"long": str(tmp_path / "go"), "short": "", "other kind": ""}
            given = [
                task(tasks.tell_pid, str(tmp_path), name.replace(" ", "-"), waits_for[name], name=name, needs=of_it)
                for name, of_it in needs.items()
            ]
            driver = RayDriver(cluster.address, tmp_path, given, ADMITTED)
            wait_until(
                lambda: {"short", "other-kind"} <= {line[1] for line in tasks.runs(tmp_path) if line[0] == "end"},
                "both short tasks have run",
                120,
            )
            (tmp_path / "go").touch()
            assert driver.outcomes().keys() == needs.keys()
    finally:
        third.kill()
        cluster.nodes.remove(third)


def test_a_task_that_fits_no_node_is_refused(cluster: RayCluster, tmp_path: Path) -> None:
    driver = RayDriver(cluster.address, tmp_path, [task(tasks.square, 1, needs=Needs(cores=64))], ADMITTED)
    with pytest.raises(ParameterError, match="no node of the Ray cluster has all that") as refused:
        driver.outcomes()
    assert refused.value.code == "ray-too-small"


def test_a_wrong_token_is_refused(cluster: RayCluster, tmp_path: Path) -> None:
    driver = RayDriver(cluster.address, tmp_path, [], {**ADMITTED, "RAY_AUTH_TOKEN": "b" * 48})
    with pytest.raises(InputError, match="refuses this machine's token") as refused:
        driver.outcomes()
    assert refused.value.code == "ray-refused"


def test_a_cluster_without_tokens_is_refused(tmp_path: Path) -> None:
    with ray_cluster(None) as cluster:
        with pytest.raises(InputError, match="asks for no token") as refused:
            RayDriver(cluster.address, tmp_path, [], ADMITTED).outcomes()
        assert refused.value.code == "ray-open"
        driver = RayDriver(cluster.address, tmp_path, [task(tasks.square, 3)], {"RAY_AUTH_MODE": "disabled"})
        assert driver.outcomes()["square"].value == 9


def test_a_local_cluster_ends_with_its_driver(tmp_path: Path) -> None:
    environment = {"RAY_AUTH_MODE": "token", "HOME": str(tmp_path), MARK: "local-ray"}
    outcomes = RayDriver("local", tmp_path, [task(tasks.square, 3)], environment).outcomes()
    assert outcomes["square"].value == 9
    wait_until(lambda: not marked("local-ray"), "every process has ended")


@pytest.mark.parametrize("address", ["", "nonsense", "ray://127.0.0.1:10001", "127.0.0.1:0", ":6379", "a:b"])
def test_addresses_that_are_none(address: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="no address of a Ray cluster"):
        RayExecutor(tmp_path, address)


def test_nobody_at_the_address(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no Ray cluster at 127\.0\.0\.1:9") as refused:
        RayExecutor(tmp_path, "127.0.0.1:9")
    assert refused.value.code == "ray-unreachable"


def test_nodes_that_do_not_fit_run_nothing(tmp_path: Path) -> None:
    content = check_sendable(task(tasks.tell_pid, str(tmp_path), "a"))
    with probe(tmp_path) as expected:
        assert examine(expected, "", "").problems == ()
        for other, said in (
            (replace(expected, python="3.1"), "Python is"),
            (replace(expected, bitextmine="0.0.0"), "bitextmine is"),
            (replace(expected, content="other"), "does not see the data directory"),
            (replace(expected, probe=str(tmp_path / "elsewhere" / "probe")), "does not see the data directory"),
        ):
            assert said in " ".join(examine(other, "", "").problems)
            done = pickle.loads(TaskActor().run(content, other))
            assert (done.error.code, said in str(done.error)) == ("ray-node-unfit", True)
    assert tasks.runs(tmp_path) == []
