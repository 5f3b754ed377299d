"""Real Ray nodes on this machine, each with processes that can be found, killed and counted by a mark."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from bitextmine.lifetime import mortal
from tests.integration.waiting import gone, wait_until

MARK = "BITEXTMINE_TEST_NODE"
ROOT = Path(__file__).parents[2]
_START_SECONDS = 120
_NOTICE_DEATHS = {"RAY_health_check_initial_delay_ms": "500", "RAY_health_check_period_ms": "500"}  # of nodes, soon


def marked(mark: str) -> list[psutil.Process]:
    """The processes with the mark in their environment, and their children: Ray overwrites theirs with a title."""
    found: set[psutil.Process] = set()
    for pid in psutil.pids():
        with suppress(OSError, psutil.Error):
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            if f"{MARK}={mark}".encode() in variables:
                process = psutil.Process(pid)
                found |= {process, *process.children(recursive=True)}
    return [process for process in found if not gone(process.pid)]


class RayNode:
    """A node: a raylet and its workers, of the head also the cluster's own processes."""

    def __init__(self, arguments: list[str], environment: dict[str, str], hidden: Path | None = None) -> None:
        """`hidden` is a directory where the node sees another than the rest does; that takes root."""
        self.mark = secrets.token_hex(8)
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1", *arguments]
        if hidden is not None:
            command = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(hidden), *command]
        self._process = subprocess.Popen(
            mortal(command),
            env={**environment, MARK: self.mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait(self) -> None:
        """Until it is there."""
        wait_until(
            lambda: "runtime started" in "".join(self._said) or not self._reader.is_alive(), "Ray", _START_SECONDS
        )
        assert self._process.poll() is None, "".join(self._said)

    @property
    def processes(self) -> list[psutil.Process]:
        """All of the node."""
        return marked(self.mark)

    def kill(self) -> None:
        """kill -9 of every process."""
        while processes := self.processes:
            for process in processes:
                with suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(processes, timeout=5)
        self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._said.append(line)


class RayCluster:
    """A head with one core, and nodes with one core each as they are added."""

    def __init__(self, folder: Path, token: str | None) -> None:
        """Without a token, none is asked for."""
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0", **_NOTICE_DEATHS}
        self.environment |= (
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token} if token else {"RAY_AUTH_MODE": "disabled"}
        )
        self._folder, self._port = folder, _free_port()
        self.address = f"127.0.0.1:{self._port}"
        self.nodes: list[RayNode] = []

    def start(self) -> None:
        head = ["--head", f"--port={self._port}", f"--temp-dir={self._folder}", "--include-dashboard=false"]
        self._start([*head, f"--dashboard-port={_free_port()}", f"--ray-client-server-port={_free_port()}"])

    def add_node(self, hidden: Path | None = None) -> RayNode:
        return self._start([f"--address={self.address}"], hidden)

    def stop(self) -> None:
        for node in reversed(self.nodes):
            node.kill()

    def _start(self, arguments: list[str], hidden: Path | None = None) -> RayNode:
        node = RayNode([*arguments, "--object-store-memory=80000000"], self.environment, hidden)
        self.nodes.append(node)
        node.wait()
        return node


@contextmanager
def ray_cluster(token: str | None) -> Iterator[RayCluster]:
    folder = Path(tempfile.mkdtemp(prefix="btm-ray-", dir="/tmp"))  # sockets want a short path
    cluster = RayCluster(folder, token)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    """Below the ports that the system hands out, and above those of Ray's workers (10002 to 19999)."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
