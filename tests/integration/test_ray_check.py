"""`bitextmine ray-check` on clusters that are as they should be, and that are not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bitextmine.errors import InputError
from tests.integration import executor_tasks as tasks
from tests.integration.ray_driver import RayDriver
from tests.integration.ray_nodes import RayCluster, ray_cluster
from tests.integration.test_executors import task

pytest.importorskip("ray")

ADMITTED = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "5afe" * 12}


def check(cluster: RayCluster, place: Path, *options: str, **environment: str) -> tuple[int, list[dict[str, str]]]:
    """The exit code and the findings."""
    command = [sys.executable, "-m", "bitextmine", "ray-check", "--json", "--address", cluster.address]
    done = subprocess.run(
        [*command, "--data-dir", str(place), *options],
        env={**os.environ, **ADMITTED, **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    found = json.loads(done.stdout)
    assert found["problems"] == sum(finding["level"] == "problem" for finding in found["findings"])
    return done.returncode, found["findings"]


def test_what_ray_check_finds(encoders: Path, tmp_path: Path) -> None:
    """On two nodes that are alike, without the encoder, with a wrong token, and with a node that is not alike."""
    shared = tmp_path / "shared"
    with ray_cluster(ADMITTED["RAY_AUTH_TOKEN"]) as cluster:
        cluster.add_node()
        code, findings = check(cluster, shared, "--encoder", "tiny", "--encoders-dir", str(encoders))
        assert code == 0, findings
        assert [finding["check"].split()[0] for finding in findings] == ["cluster", "node", "node"]
        assert "with 2 nodes, which asks for a token" in findings[0]["what"]
        for finding in findings[1:]:
            for said in ("1 cores", "a task ran (pid", "the data directory is the same, and writable", "encoder "):
                assert said in finding["what"]
        assert list(shared.iterdir()) == []

        code, findings = check(cluster, shared, "--encoder", "tiny", "--encoders-dir", str(tmp_path / "none"))
        assert (code, [finding["level"] for finding in findings]) == (1, ["ok", *["problem"] * 3])
        assert all("tiny" in finding["what"] for finding in findings[1:])

        code, findings = check(cluster, shared, RAY_AUTH_TOKEN="b" * 48)
        assert (code, [finding["level"] for finding in findings]) == (1, ["problem"])
        assert "refuses this machine's token" in findings[0]["what"]

        if os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], check=False).returncode == 0:
            sees_another_directory(cluster, shared)


def sees_another_directory(cluster: RayCluster, shared: Path) -> None:
    """Such a node is named, and runs nothing."""
    cluster.add_node(hidden=shared)
    code, findings = check(cluster, shared)
    assert (code, [finding["level"] for finding in findings].count("problem")) == (1, 1)
    (wrong,) = [finding for finding in findings if finding["level"] == "problem"]
    assert f"it does not see the data directory {shared} as it is here" in wrong["what"]
    given = [task(tasks.tell_pid, str(shared), name, str(shared / "go"), name=name) for name in "abc"]
    with pytest.raises(InputError, match="does not see the data directory") as refused:
        RayDriver(cluster.address, shared, given, ADMITTED).outcomes()
    assert refused.value.code == "ray-node-unfit"


def test_nobody_there(tmp_path: Path) -> None:
    cluster = RayCluster(tmp_path, None)
    code, findings = check(cluster, tmp_path)
    assert (code, [finding["level"] for finding in findings]) == (1, ["problem"])
    assert f"no Ray cluster at {cluster.address}" in findings[0]["what"]
    assert "ray-unreachable" in findings[0]["todo"]
