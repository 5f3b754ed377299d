"""`serve` with a real Valkey, a real worker and a stand-in for the API: ordered start and stop, and no process left."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from bitextmine.errors import ConflictError, ParameterError
from bitextmine.jobs.queue import connect
from bitextmine.jobs.record import JobState
from bitextmine.lifetime import mortal
from bitextmine.supervisor.serve import serve
from bitextmine.supervisor.valkey import private_socket, socket_url, wait_ready
from bitextmine.workspace import Workspace
from tests.integration.conftest import HEARTBEAT_SECONDS, SLEEPY_STAGES, Jobs
from tests.integration.valkey_server import valkey_server
from tests.integration.waiting import PATIENCE, gone, wait_until

HTTP_SERVER = (
    "import http.server, os;"
    "http.server.HTTPServer((os.environ['BITEXTMINE_HOST'], int(os.environ['BITEXTMINE_PORT'])),"
    " http.server.SimpleHTTPRequestHandler).serve_forever()"
)
READY = "ready for 1 jobs at once"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Serving:
    """serving.py as a process, with sleepy stages and a plain web server as the API."""

    def __init__(self, data_dir: Path, api: str = HTTP_SERVER) -> None:
        self.port = free_port()
        self.url = socket_url(data_dir / "valkey" / "valkey.sock")
        self._log = data_dir.parent / "serve.log"
        env = {
            **os.environ,
            "BITEXTMINE_CHILD_COMMAND": json.dumps(SLEEPY_STAGES),
            "BITEXTMINE_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS),
            "BITEXTMINE_THREADS": "1",
        }
        program = Path(__file__).with_name("serving.py")
        api_argv = json.dumps([sys.executable, "-c", api])
        command = [sys.executable, str(program), str(data_dir), str(self.port), api_argv]
        with self._log.open("ab") as log:
            self._before = self.log.count(READY)
            self.process = subprocess.Popen(mortal(command), env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def up(self) -> None:
        """Wait until the worker takes jobs."""
        wait_until(lambda: self.log.count(READY) > self._before, "the worker is up")

    def descendants(self) -> list[psutil.Process]:
        found = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in found if not gone(process.pid)]

    def named(self, part: str) -> int:
        """The id of the one process with this in its command line."""
        (found,) = [child.pid for child in self.descendants() if part in " ".join(child.cmdline())]
        return found

    def api_answers(self) -> bool:
        try:
            with closing(urlopen(f"http://127.0.0.1:{self.port}/", timeout=1)) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def start_serving(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    with ExitStack() as stack:

        def start(api: str = HTTP_SERVER) -> Serving:
            serving = Serving(tmp_path / "data", api)
            stack.callback(serving.kill)
            return serving

        yield start


def test_serving_runs_jobs_and_stops_in_order(start_serving: Callable[..., Serving], tmp_path: Path) -> None:
    serving = start_serving()
    serving.up()
    wait_until(serving.api_answers, "the API answers")
    assert (tmp_path / "data" / "valkey").stat().st_mode & 0o777 == 0o700
    with connect(serving.url) as client:
        jobs = Jobs(client, tmp_path)
        job_id = jobs.submit_waiting()
        jobs.running_process()
        processes = serving.descendants()
        assert len(processes) == 4
        assert serving.stop() == 0
    assert all(gone(process.pid) for process in processes)
    log = serving.log
    assert log.index("worker: SIGTERM") < log.index("api: SIGTERM") < log.index("valkey: SIGTERM")
    assert "SIGKILL" not in log

    again = start_serving()  # what was put back on the way down is done after the next start
    with connect(again.url) as client:
        wait_until(again.api_answers, "the API answers")
        jobs = Jobs(client, tmp_path)
        jobs.let_go()
        record = jobs.ended(job_id)
        assert (record.state, record.attempts) == (JobState.SUCCEEDED, 1)
    assert again.stop(signal.SIGINT) == 0


def test_a_supervisor_killed_with_9_leaves_nothing_behind(
    start_serving: Callable[..., Serving], tmp_path: Path
) -> None:
    serving = start_serving()
    serving.up()
    with connect(serving.url) as client:
        jobs = Jobs(client, tmp_path)
        job_id = jobs.submit_waiting()
        jobs.running_process()
        processes = serving.descendants()
        assert len(processes) == 4
        serving.kill()
        wait_until(lambda: all(gone(process.pid) for process in processes), "all are gone", seconds=5)
    again = start_serving()  # neither the lock nor the socket is in the way
    again.up()
    with connect(again.url) as client:
        jobs = Jobs(client, tmp_path)
        jobs.let_go()
        assert jobs.ended(job_id).state is JobState.SUCCEEDED
    assert again.stop() == 0


def test_each_process_that_dies_is_replaced(start_serving: Callable[..., Serving], tmp_path: Path) -> None:
    serving = start_serving()
    serving.up()
    pids = [serving.named(part) for part in ("bitextmine_indexer", "http.server", "valkey-server")]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: all(map(gone, pids)) and len(serving.descendants()) == 3, "all are replaced")
    wait_until(serving.api_answers, "the API answers")
    wait_ready(serving.url, PATIENCE)
    with connect(serving.url) as client:
        jobs = Jobs(client, tmp_path)
        jobs.let_go()
        assert jobs.ended(jobs.submit_waiting()).state is JobState.SUCCEEDED
    assert serving.stop() == 0


def test_a_process_that_keeps_dying_ends_it_all(start_serving: Callable[..., Serving]) -> None:
    serving = start_serving(api="import sys; print('the disk is made of cheese'); sys.exit(3)")
    assert serving.process.wait(PATIENCE) == 1
    assert serving.log.count("the disk is made of cheese") == 6  # five times as it came, once as the reason
    assert "as 4 before it did; its last lines:\nthe disk is made of cheese" in serving.log


def test_one_data_directory_is_served_once(start_serving: Callable[..., Serving], tmp_path: Path) -> None:
    serving = start_serving()
    serving.up()
    workspace = Workspace(tmp_path / "data", tmp_path / "encoders")
    with pytest.raises(ConflictError, match=f"by process {serving.process.pid}") as caught:
        serve(workspace=workspace, host="127.0.0.1", port=free_port())
    assert caught.value.code == "already-serving"


def test_a_port_in_use_is_found_before_anything_starts(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "data", tmp_path / "encoders")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConflictError) as caught:
        serve(workspace=workspace, host="127.0.0.1", port=taken.getsockname()[1])
    assert caught.value.code == "port-in-use"
    with pytest.raises(ParameterError):
        serve(workspace=workspace, host="no.such.host.invalid", port=1)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["serve.lock"]


@pytest.mark.parametrize(("wrong", "said"), [({"log_level": "chatty"}, "no log level"), ({"redis_url": "x"}, "no")])
def test_wrong_settings_are_found_before_anything_starts(tmp_path: Path, wrong: dict[str, str], said: str) -> None:
    workspace = Workspace(tmp_path / "data", tmp_path / "encoders")
    with pytest.raises(ParameterError, match=said):
        serve(workspace=workspace, host="127.0.0.1", port=free_port(), **wrong)
    assert not workspace.root.exists()


def test_a_socket_path_that_is_too_long_moves_to_a_temporary_directory(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 25) / "valkey"
    with private_socket(directory) as path:
        assert len(os.fsencode(path)) <= 100
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not path.parent.exists()
    with valkey_server(directory) as server, connect(server.url) as client:
        client.set("key", "value")
        server.kill()
        server.start()
        assert client.get("key") == b"value"


def test_odd_characters_in_the_path_reach_the_url(tmp_path: Path) -> None:
    with valkey_server(tmp_path / "a b%20ü?") as server, connect(server.url) as client:
        assert client.ping()
