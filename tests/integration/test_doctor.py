"""`bitextmine doctor` as a program, with a real Valkey, a real worker and a real service around it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Jobs, WorkerProcess
from tests.integration.service import service
from tests.integration.waiting import PATIENCE, wait_until
from tests.tiny_encoder import build_tiny_encoder


def examine(folder: Path, *options: str, **variables: str) -> tuple[int, dict[str, Any], str]:
    """The exit status, the report and all that was written."""
    environment = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    environment |= {"BITEXTMINE_DATA_DIR": str(folder / "data"), "BITEXTMINE_ENCODERS_DIR": str(folder / "encoders")}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        environment["BITEXTMINE_PORT"] = str(probe.getsockname()[1])
    done = subprocess.run(
        [sys.executable, "-m", "bitextmine", "doctor", "--json", *options],
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, json.loads(done.stdout), done.stdout + done.stderr


def of(report: dict[str, Any], check: str, level: str) -> list[str]:
    return [each["what"] for each in report["findings"] if (each["check"], each["level"]) == (check, level)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    build_tiny_encoder(tmp_path / "encoders" / "tiny")
    return tmp_path


def test_an_installation_that_is_well(folder: Path) -> None:
    status, report, _ = examine(folder, "--quick")
    assert (status, report["problems"]) == (0, 0), report
    checks = {each["check"] for each in report["findings"]}
    assert {"python", "faiss", "onnxruntime", "settings", "gpus", "memory", "data directory", "redis", "port"} <= checks
    assert "starts Valkey" in of(report, "redis", "ok")[0]
    assert not (folder / "data").exists()


def test_settings_that_do_not_parse(folder: Path) -> None:
    wrong = {"BITEXTMINE_MAX_ATTEMPTS": "0", "BITEXTMINE_EMBED_THREADS": "many", "BITEXTMINE_LOG_FROMAT": "json"}
    status, report, _ = examine(folder, "--quick", **wrong)
    assert status == 1
    found = of(report, "settings", "problem")
    assert sorted(line.partition(":")[0] for line in found) == ["BITEXTMINE_EMBED_THREADS", "BITEXTMINE_MAX_ATTEMPTS"]
    (unknown,) = (each for each in report["findings"] if each["what"].startswith("BITEXTMINE_LOG_FROMAT"))
    assert unknown["todo"] == "did you mean BITEXTMINE_LOG_FORMAT?"


@pytest.mark.parametrize("url", ["redis://u:s3cret@127.0.0.1:1/0", "redis://u:s3/cret@127.0.0.1", "redis://:s3cret"])
def test_a_redis_that_does_not_answer_is_named_without_its_password(folder: Path, url: str) -> None:
    status, report, output = examine(folder, "--quick", REDIS_URL=url)
    assert status == 1
    assert of(report, "redis", "problem")
    assert "s3" not in output
    assert "cret" not in output


def test_jobs_that_nobody_runs(folder: Path, jobs: Jobs, redis_url: str) -> None:
    jobs.submit_waiting()
    status, report, _ = examine(folder, "--quick", REDIS_URL=redis_url)
    assert status == 1
    assert of(report, "workers", "problem") == ["none is alive, and 1 jobs are not finished"]
    assert of(report, "redis", "ok")[0].startswith("Valkey 9")
    orphan = jobs.submit_waiting()
    jobs.store.start(orphan, "a worker that has died")
    _, report, _ = examine(folder, "--quick", REDIS_URL=redis_url)
    assert orphan in of(report, "jobs", "problem")[0]


def test_a_worker_at_work(folder: Path, jobs: Jobs, redis_url: str, start_worker: Callable[..., WorkerProcess]) -> None:
    start_worker(redis_url)
    jobs.submit_waiting()
    jobs.running_process()
    status, report, _ = examine(folder, "--quick", REDIS_URL=redis_url)
    assert status == 0, report
    assert of(report, "workers", "ok")[0].startswith("1 alive")
    assert of(report, "jobs", "ok") == ["1 running, 0 waiting"]


def test_a_port_that_another_program_has(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        status, report, _ = examine(folder, "--quick", BITEXTMINE_PORT=str(other.getsockname()[1]))
    assert status == 1
    assert "another program" in of(report, "port", "problem")[0]


def test_a_port_that_is_our_own(tmp_path: Path) -> None:
    with service(tmp_path) as running:
        port = running.api.url.rpartition(":")[2]
        _, report, _ = examine(tmp_path, REDIS_URL=running.valkey.url, BITEXTMINE_PORT=port)
    assert of(report, "port", "ok")[0].startswith("bitextmine ")
    assert of(report, "encoders", "ok") == ["tiny: intact and works; there is nothing to compare its vectors with"]


def test_text_says_what_to_do(folder: Path) -> None:
    (folder / "encoders" / "tiny" / "model.onnx").write_bytes(b"")
    done = subprocess.run(
        [sys.executable, "-m", "bitextmine", "doctor"],
        env={**os.environ, "BITEXTMINE_ENCODERS_DIR": str(folder / "encoders"), "BITEXTMINE_DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    (wrong,) = (number for number, line in enumerate(lines) if line.startswith("problem  encoders: tiny"))
    assert lines[wrong + 1].lstrip().startswith("-> ")
    assert lines[-1].split(" problems, ")[0] == "1"


def test_serve_is_seen_by_its_lock(folder: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", "bitextmine", "serve", "--data-dir", str(folder / "data"), "--port", port]
    environment = {**os.environ, "BITEXTMINE_ENCODERS_DIR": str(folder / "encoders")}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as serve:
        try:
            wait_until(
                lambda: of(examine(folder, "--quick", BITEXTMINE_PORT=port)[1], "workers", "ok"), "serve has a worker"
            )
            _, report, _ = examine(folder, "--quick", BITEXTMINE_PORT=port)
        finally:
            serve.terminate()
    assert of(report, "lock", "ok") == [f"bitextmine serve runs here, as process {serve.pid}"]
    assert any(what.startswith("Valkey 9") for what in of(report, "redis", "ok")), "its private one"
