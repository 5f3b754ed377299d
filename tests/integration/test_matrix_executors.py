"""The same bytes wherever a matrix run's tasks run, however corpora are sharded, and whatever is killed meanwhile."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bitextmine.cli import run
from bitextmine.matrix.stage_log import read_stage_log
from bitextmine.preparation.parameters import DEFAULT_BOUNDS
from tests.integration.ray_nodes import RayCluster, marked, ray_cluster
from tests.integration.test_matrix import PAIRS, SETTINGS, files, made_twice, report, write_corpora
from tests.integration.waiting import heed_ctrl_c, unmeasured_environment, wait_until

SENTENCES = 60
TOKEN = "5eed" * 12


@pytest.fixture
def folder(tmp_path: Path, encoders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four small corpora in the current directory; data go below it."""
    monkeypatch.setenv("BITEXTMINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("BITEXTMINE_ENCODERS_DIR", str(encoders))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)
    write_corpora(tmp_path, SENTENCES, sharded(7))
    return tmp_path


def sharded(shards: int, sentences: int = SENTENCES) -> str:
    """Settings that take every line as it is."""
    rules = ", ".join(f"{name} = false" for name in DEFAULT_BOUNDS)
    return (
        f'{SETTINGS}[preparation]\nsplit = "never"\nnear_duplicates = "keep"\nrules = {{{rules}}}\n'
        f"shard_rows = {-(-sentences // shards)}\n"
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    pytest.importorskip("ray")
    with ray_cluster(TOKEN) as cluster:
        yield cluster


@contextmanager
def started(*options: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, as Ray needs it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bitextmine", "matrix", "run.toml", *options],
        env=unmeasured_environment(),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509
    )
    try:
        yield process
    finally:
        process.kill()
        _, said = process.communicate()
        sys.stderr.write(said or "")  # for the report of a test that fails


def finish(*options: str) -> None:
    with started(*options) as process:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said


def embedded_shards(folder: Path) -> int:
    (log,) = (folder / "data" / "matrices").glob("*/log")
    return sum(line.stage == "embeddings" for line in read_stage_log(log))


def undisturbed(folder: Path) -> dict[str, bytes]:
    """What one process makes of it; forgotten afterwards."""
    assert run(["matrix", "run.toml"]) == 0
    found = files(folder)
    shutil.rmtree(folder / "data")
    return found


def test_processes_are_for_this_machine(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["matrix", "run.toml", "--executor", "ray", "--processes", "2"]) == 2
    assert "--processes is for --executor local" in capfd.readouterr().err
    assert run(["matrix", "run.toml", "--processes", "0"]) == 2


def test_nobody_at_the_address(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ray")
    assert run(["matrix", "run.toml", "--executor", "ray", "--address", "127.0.0.1:9"]) == 2
    said = capfd.readouterr().err
    assert "no Ray cluster at 127.0.0.1:9" in said
    assert "Traceback" not in said


def test_a_killed_process_of_the_command_is_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_corpora(folder, 3000, sharded(10, 3000))
    reference = undisturbed(folder)
    monkeypatch.setenv("BITEXTMINE_TEST_NODE", "matrix")
    with started("--processes", "2") as process:
        wait_until(lambda: any((folder / "data" / "matrices").glob("*/log/*.jsonl")), "a task has made something")
        children = [one for one in marked("matrix") if "spawn_main" in " ".join(one.cmdline())]
        assert len(children) == 2
        children[0].kill()
        _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert files(folder) == reference
    assert made_twice(folder) == set()
    assert marked("matrix") == []


def test_the_same_bytes_on_two_nodes_in_processes_and_in_any_shards(folder: Path, cluster: RayCluster) -> None:
    reference = undisturbed(folder)
    assert len(reference) == PAIRS
    assert run(["matrix", "run.toml", "--processes", "2"]) == 0
    assert files(folder) == reference
    assert embedded_shards(folder) == 4 * 7
    assert made_twice(folder) == set()
    shutil.rmtree(folder / "data")
    write_corpora(folder, SENTENCES, sharded(1))
    assert undisturbed(folder) == reference
    node = cluster.add_node()
    try:
        for shards in (1, 7):
            write_corpora(folder, SENTENCES, sharded(shards))
            finish("--executor", "ray", "--address", cluster.address, "--threads", "1", "--memory", "1GB")
            assert files(folder) == reference
            assert embedded_shards(folder) == 4 * shards
            assert made_twice(folder) == set()
            where = {line.where for log in (folder / "data" / "matrices").glob("*/log") for line in read_stage_log(log)}
            assert len(where) == 2, "both nodes worked"
            shutil.rmtree(folder / "data")
    finally:
        node.kill()
        cluster.nodes.remove(node)


def test_kills_of_processes_nodes_and_the_driver_change_nothing(folder: Path, cluster: RayCluster) -> None:
    """One job: a worker process of Ray, a node, and the command itself, which is then given again."""
    write_corpora(folder, 3000, sharded(10, 3000))
    reference = undisturbed(folder)
    options = ("--executor", "ray", "--address", cluster.address, "--threads", "1", "--memory", "1GB")
    node = cluster.add_node()
    logs = folder / "data" / "matrices"

    def made() -> int:
        return sum(len(read_stage_log(log)) for log in logs.glob("*/log"))

    with started(*options):
        wait_until(lambda: made() >= 4, "something was made")
        next(process for process in node.processes if "TaskActor" in " ".join(process.cmdline())).kill()
        wait_until(lambda: made() >= 8, "more was made")
        node.kill()
        cluster.nodes.remove(node)
        wait_until(lambda: made() >= 20, "more was made")
    finish(*options)
    assert files(folder) == reference
    assert made_twice(folder) == set()
    assert report(folder)["counts"]["done"] == PAIRS
