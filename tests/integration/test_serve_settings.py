"""`bitextmine serve` with settings of all kinds: wrong ones are a line and exit status 2, the log level reaches all."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from bitextmine.supervisor.serve import _api_grace
from tests.integration.waiting import PATIENCE, wait_until


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(module: str, *arguments: str, **settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _serve(data_dir: Path, port: int, **settings: str) -> subprocess.Popen[str]:
    return _start("bitextmine", "serve", "--data-dir", str(data_dir), "--port", str(port), **settings)


WRONG = [
    ("BITEXTMINE_LOG_LEVEL", "chatty"),
    ("BITEXTMINE_LOG_FORMAT", "xml"),
    ("REDIS_URL", "nonsense"),
    ("REDIS_URL", "redis://host:port"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_what_all_read_is_checked_before_anything_starts(tmp_path: Path, name: str, value: str) -> None:
    with _serve(tmp_path / "data", _free_port(), **{name: value}) as process:
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    (line,) = output.splitlines()
    assert line.startswith(f"bitextmine: '{value}' is no")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["BITEXTMINE_MAX_CHARS", "BITEXTMINE_MAX_ATTEMPTS"])
def test_what_one_process_reads_ends_all_at_its_first_start(tmp_path: Path, name: str) -> None:
    with _serve(tmp_path / "data", _free_port(), **{name: "0"}) as process:
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert output.count(f"bitextmine: {name}: Input should be greater than 0") == 1
    assert "its settings are wrong" in output
    assert "starting it again" not in output


@pytest.mark.parametrize(("name", "value"), [*WRONG, ("BITEXTMINE_PORT", "-1"), ("BITEXTMINE_DATA_DIR", "/dev/null/x")])
def test_the_api_alone_says_it_too(tmp_path: Path, name: str, value: str) -> None:
    settings = {"REDIS_URL": "redis://127.0.0.1:1", "BITEXTMINE_DATA_DIR": str(tmp_path), name: value}
    with _start("bitextmine_service", **settings) as process:
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    (line,) = output.splitlines()
    assert line.startswith(
        f"bitextmine: {name}: " if name != "BITEXTMINE_DATA_DIR" else "bitextmine: the data directory"
    )


@pytest.mark.parametrize("level", ["error", "Info"])
def test_the_log_level_reaches_all_and_valkey_does_not_preach(tmp_path: Path, level: str) -> None:
    port = _free_port()
    with _serve(tmp_path / "data", port, BITEXTMINE_LOG_LEVEL=level, BITEXTMINE_MIN_FREE_BYTES="0") as process:
        wait_until(lambda: _answers(port), "the API answers")
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    for said in ("Uvicorn running", "valkey: started as process"):
        assert (said in output) == (level == "Info")
    assert "bye bye" in output, "Valkey's own lines are passed on"
    assert "overcommit" not in output


def test_as_json_every_line_of_all_processes_is_an_object(tmp_path: Path) -> None:
    port = _free_port()
    settings = {"BITEXTMINE_LOG_FORMAT": "JSON", "BITEXTMINE_MIN_FREE_BYTES": "0"}
    with _serve(tmp_path / "data", port, **settings) as process:
        wait_until(lambda: _answers(port), "the API answers")
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    found = {json.loads(line)["logger"] for line in output.splitlines()}
    assert {"bitextmine.supervisor.processes", "valkey", "uvicorn.error", "bitextmine_indexer.worker"} <= found


@pytest.mark.parametrize("url", ["redis://user:s3cret@host:port", "redis://:s3/cret@host", "redis://:s3cret"])
@pytest.mark.parametrize("module", ["bitextmine", "bitextmine_service", "bitextmine_indexer"])
def test_a_password_in_a_wrong_url_is_not_printed(tmp_path: Path, url: str, module: str) -> None:
    arguments = ["serve"] if module == "bitextmine" else []
    with _start(module, *arguments, REDIS_URL=url, BITEXTMINE_DATA_DIR=str(tmp_path)) as process:
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "is not a Redis URL" in output
    assert "s3" not in output
    assert "cret" not in output


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, 15),
        ({"BITEXTMINE_DRAIN_SECONDS": "30", "BITEXTMINE_SHUTDOWN_SECONDS": "60"}, 95),
        ({"BITEXTMINE_DRAIN_SECONDS": "soon"}, 0),
    ],
)
def test_serve_gives_the_api_the_time_that_its_settings_ask_for(environment: dict[str, str], seconds: float) -> None:
    assert _api_grace(environment) == seconds


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/livez", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
