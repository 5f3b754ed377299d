"""A real service for tests: Valkey, the API and a worker as processes of their own, with a tiny but real encoder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from bitextmine.lifetime import mortal
from tests.integration.valkey_server import ValkeyServer, valkey_server
from tests.integration.waiting import PATIENCE, wait_until
from tests.tiny_encoder import build_tiny_encoder

ENCODER = "tiny"
HEARTBEAT_SECONDS = 2.0
_LISTENING = re.compile(r"Uvicorn running on (http://[0-9.:]+)")


class Process:
    """A process of the service that writes into a log file of its own."""

    def __init__(self, module: str, log: Path, settings: Mapping[str, str]) -> None:
        self._log = log
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                mortal([sys.executable, "-m", module]),
                env={**os.environ, **settings},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class Api:
    """An API server, and a client that speaks to it."""

    def __init__(self, process: Process) -> None:
        self.process = process
        wait_until(lambda: _LISTENING.search(process.log) or not process.running, "the API listens")
        found = _LISTENING.search(process.log)
        assert found, process.log
        self.url = found.group(1)
        self.http = httpx.Client(base_url=self.url, timeout=60)

    def upload(self, name: str, content: Any, lang: str = "deu", **query: str) -> httpx.Response:
        return self.http.post("/v1/corpora", params={"name": name, "lang": lang, **query}, content=content)

    def mine(self, src: str, tgt: str, **wanted: Any) -> httpx.Response:
        return self.http.post("/v1/mining-jobs", json={"src": src, "tgt": tgt, "encoder": ENCODER, **wanted})

    def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"/v1/jobs/{job_id}").raise_for_status().json()
        return found

    def ended(self, accepted: httpx.Response) -> dict[str, Any]:
        """The job of a 202, once it is over."""
        assert accepted.status_code == 202, accepted.text
        job_id = accepted.json()["id"]
        wait_until(lambda: self.job(job_id)["state"] in ("succeeded", "failed", "cancelled"), "the job is over")
        return self.job(job_id)

    def succeeded(self, accepted: httpx.Response) -> dict[str, Any]:
        """The result of a 202's job."""
        job = self.ended(accepted)
        assert job["state"] == "succeeded", job
        result: dict[str, Any] = job["result"]
        return result

    def failed(self, accepted: httpx.Response) -> dict[str, Any]:
        """The error of a 202's job."""
        job = self.ended(accepted)
        assert job["state"] == "failed", job
        error: dict[str, Any] = job["error"]
        return error

    def close(self) -> None:
        self.http.close()
        self.process.kill()


class Service:
    """One data directory and one Valkey, an API for them, and a worker that can be stopped and started."""

    def __init__(self, folder: Path, data_dir: Path, valkey: ValkeyServer, stack: ExitStack) -> None:
        self.data_dir, self.valkey = data_dir, valkey
        self._folder, self.stack = folder, stack
        self._encoders = folder / "encoders"
        build_tiny_encoder(self._encoders / ENCODER)
        self.worker = self.start_worker()
        self.api = self.start_api()
        wait_until(lambda: self.api.http.get("/readyz").status_code == 200, "the service is ready")

    @property
    def uploads(self) -> list[Path]:
        folder = self.data_dir / "uploads"
        return list(folder.iterdir()) if folder.is_dir() else []

    def start_api(self, **settings: str) -> Api:
        """Another API, with settings of its own (without their prefix), on the same data."""
        prefixed = {f"BITEXTMINE_{name.upper()}": value for name, value in settings.items()}
        log = self._folder / f"api-{len(list(self._folder.glob('api-*')))}.log"
        api = Api(Process("bitextmine_service", log, {**self._settings, "BITEXTMINE_PORT": "0", **prefixed}))
        self.stack.callback(api.close)
        return api

    def start_worker(self, **settings: str) -> Process:
        """A worker, with settings of its own (without their prefix)."""
        prefixed = {f"BITEXTMINE_{name.upper()}": value for name, value in settings.items()}
        self.worker = Process("bitextmine_indexer", self._folder / "worker.log", {**self._settings, **prefixed})
        self.stack.callback(self.worker.kill)
        return self.worker

    @contextmanager
    def worker_paused(self) -> Iterator[None]:
        """Jobs stay in the queue while the block lasts."""
        self.worker.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.worker.send(signal.SIGCONT)

    @property
    def _settings(self) -> dict[str, str]:
        return {
            "REDIS_URL": self.valkey.url,
            "BITEXTMINE_DATA_DIR": str(self.data_dir),
            "BITEXTMINE_ENCODERS_DIR": str(self._encoders),
            "BITEXTMINE_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS),
            "BITEXTMINE_JOBS_AT_ONCE": "2",
            "BITEXTMINE_MIN_FREE_BYTES": "0",
        }


@contextmanager
def service(folder: Path, data_dir: Path | None = None) -> Iterator[Service]:
    """A running service that keeps all it has in `folder`; stopped in the end."""
    with valkey_server(folder / "valkey") as valkey, ExitStack() as stack:
        yield Service(folder, data_dir or folder / "data", valkey, stack)


@contextmanager
def service_with_corpora(folder: Path) -> Iterator[Service]:
    """A running service that holds the corpora `de` and `en`, and that must not have met a surprise in the end."""
    with service(folder) as started:
        for name, word in (("de", "Haus"), ("en", "house")):
            started.api.succeeded(started.api.upload(name, numbered(word, 30), name))
        yield started
        assert "Traceback" not in started.api.process.log + started.worker.log


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of a response, which must be one, with this status and code."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["code"] == code, document
    assert document["type"] == f"urn:bitextmine:error:{code}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert "\n" not in document["detail"]
    assert document["instance"].startswith("/")
    assert ("retry-after" in response.headers) == (status in (429, 503))
    return document


def text_of(*sentences: str) -> bytes:
    return "".join(f"{sentence}\n" for sentence in sentences).encode()


def numbered(word: str, count: int) -> bytes:
    """So many different lines, line n of one word alike to line n of another."""
    return text_of(*(f"{word} {n} station {n * 37 % 101} museum {n * n % 997}" for n in range(count)))


__all__ = ["ENCODER", "PATIENCE", "Api", "Service", "numbered", "problem", "service", "text_of"]
