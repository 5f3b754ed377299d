"""The health check of worker containers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import redis

from bitextmine.jobs.leases import Leases
from tests.integration.conftest import WorkerProcess
from tests.integration.valkey_server import valkey_server
from tests.integration.waiting import wait_until


def alive(redis_url: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "bitextmine_indexer.alive"],
        check=False,
        env={**os.environ, "REDIS_URL": redis_url},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_worker_is_well_while_it_is_heard_of(redis_url: str, start_worker: Callable[..., WorkerProcess]) -> None:
    assert alive(redis_url) == (1, f"no worker of {socket.gethostname()} has been heard of lately\n")
    worker = start_worker(redis_url)
    wait_until(lambda: alive(redis_url)[0] == 0, "it is heard of")
    status, said = alive(redis_url)
    assert (status, said.startswith(f"heard of {socket.gethostname()}:")) == (0, True)
    os.kill(worker.pid, signal.SIGSTOP)  # it hangs
    wait_until(lambda: alive(redis_url)[0] == 1, "it is missed")
    os.kill(worker.pid, signal.SIGCONT)
    wait_until(lambda: alive(redis_url)[0] == 0, "it is heard of again")


def test_the_worker_of_another_host_does_not_count(redis_url: str, client: redis.Redis) -> None:
    for name in (f"{socket.gethostname()}2:1:abc", f"x{socket.gethostname()}:1:abc"):
        Leases(client).beat(name, 60)
    assert alive(redis_url)[0] == 1


def test_without_redis_the_worker_is_left_alone(tmp_path: Path) -> None:
    with valkey_server(tmp_path) as server:
        url = server.url
    status, said = alive(url)
    assert (status, said.startswith("cannot tell: ")) == (0, True)


def test_a_wrong_url_is_told() -> None:
    status, said = alive("http://nowhere")
    assert status == 2
    assert said.count("\n") == 1
