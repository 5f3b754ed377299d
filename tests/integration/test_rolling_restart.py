"""Two APIs and two workers, restarted one after the other under load: no result that was acknowledged is lost."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.integration.service import Api, Process, Service, numbered, service, text_of
from tests.integration.waiting import PATIENCE, wait_until

CLIENTS = 3
LINES = 200


@dataclass
class Load:
    """Clients that speak to whichever API answers, as behind a load balancer, and remember what was promised."""

    apis: list[Api]
    stopping: threading.Event = field(default_factory=threading.Event)
    promised: dict[str, str] = field(default_factory=dict)  # job id -> its kind, from a 202
    answers: Counter[int] = field(default_factory=Counter)
    unanswered: int = 0
    wrong: list[str] = field(default_factory=list)

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Try one API after the other until one answers; 503 counts as none."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for api in list(self.apis):
                try:
                    answer = httpx.request(method, api.url + path, timeout=30, **request)
                except httpx.TransportError:
                    self.unanswered += 1
                    continue
                self.answers[answer.status_code] += 1
                if answer.status_code != 503:
                    return answer
            time.sleep(0.05)
        raise AssertionError(f"nobody answered {method} {path}")

    def run(self, client: int) -> None:
        number = 0
        try:
            while not self.stopping.is_set():
                number += 1
                self._round(f"c{client}-{number}", number)
        except Exception as error:  # shown by the test; the other clients go on
            self.wrong.append(f"client {client}: {type(error).__name__}: {error}")

    def _round(self, name: str, number: int) -> None:
        content = text_of(f"Haus {name}") + numbered("Haus", LINES + number)
        query = {"name": name, "lang": "de"}
        upload = self.send("POST", "/v1/corpora", params=query, content=content, headers={"Idempotency-Key": name})
        self._keep(upload)
        wait_until(lambda: self._state(upload) == "succeeded", f"{name} is there")
        wanted = {"src": name, "tgt": "en", "encoder": "tiny"}
        mining = self.send("POST", "/v1/mining-jobs", json=wanted, headers={"Idempotency-Key": f"mine-{name}"})
        self._keep(mining)
        self.send("POST", "/v1/embeddings", json={"model": "tiny", "input": name}).raise_for_status()

    def _keep(self, answer: httpx.Response) -> None:
        assert answer.status_code == 202, answer.text
        job = answer.json()
        self.promised[job["id"]] = job["kind"]

    def _state(self, accepted: httpx.Response) -> str:
        job = self.send("GET", f"/v1/jobs/{accepted.json()['id']}").raise_for_status().json()
        assert job["state"] in ("queued", "running", "succeeded"), job
        return str(job["state"])


def end(process: Process) -> None:
    process.send(signal.SIGTERM)
    wait_until(lambda: not process.running, "it has ended")


def restart_one_by_one(running: Service, load: Load, workers: list[Process]) -> None:
    """Each API and each worker: the new one is ready before the next old one is told to go."""
    for number in range(len(load.apis)):
        end(load.apis[number].process)
        load.apis[number] = running.start_api()
    for number, worker in enumerate(workers):
        end(worker)
        workers[number] = running.start_worker()
        wait_until(lambda: "workers" in httpx.get(load.apis[0].url + "/readyz").text, "the API answers")


def test_a_rolling_restart_under_load_loses_nothing_acknowledged(tmp_path: Path) -> None:
    with service(tmp_path) as running, ExitStack() as stack:
        running.api.succeeded(running.api.upload("en", numbered("house", LINES), "en"))
        load = Load([running.api, running.start_api()])
        workers = [running.worker, running.start_worker()]
        clients = [threading.Thread(target=load.run, args=(number,)) for number in range(CLIENTS)]
        stack.callback(load.stopping.set)
        for client in clients:
            client.start()
        wait_until(lambda: len(load.promised) >= CLIENTS, "the load is on")
        restart_one_by_one(running, load, workers)
        before = len(load.promised)
        wait_until(lambda: len(load.promised) >= before + CLIENTS or load.wrong, "it goes on afterwards")
        load.stopping.set()
        for client in clients:
            client.join(PATIENCE)
        assert load.wrong == []
        http = load.apis[0].http
        for job_id in load.promised:
            wait_until(lambda: http.get(f"/v1/jobs/{job_id}").json()["state"] == "succeeded", job_id, 2 * PATIENCE)  # noqa: B023
            job = http.get(f"/v1/jobs/{job_id}").json()
            assert http.get(job["links"].get("bitext") or job["links"]["corpus"]).status_code == 200
        sent = http.get("/v1/jobs", params={"limit": 1000}).json()["items"]
        assert {job["id"] for job in sent} >= set(load.promised)
        assert len({str(job["request"]) for job in sent}) == len(sent), "nothing was done twice"
        assert set(load.answers) <= {200, 202, 503}, load.answers
