"""kill -9 of each process in the middle of an upload, a mining job and a download: docs/operations.md has the table.

Nothing that was published is lost, nothing half-written is to be seen, and a request that is sent again with its
Idempotency-Key is done once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.integration.service import Service, numbered, service
from tests.integration.waiting import PATIENCE, wait_until

SLOW_STAGES = json.dumps([sys.executable, str(Path(__file__).with_name("slow_stages.py"))])
VICTIMS = ("api", "worker", "child", "redis")
LINES = 5_000  # so that a download does not fit the buffers on its way
WHOLE = numbered("Haus", LINES)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Service]:
    with service(tmp_path) as started:
        for name, word in (("de", "Haus"), ("en", "house")):
            started.api.succeeded(started.api.upload(name, numbered(word, LINES), name))
        yield started


def in_slow_motion(running: Service) -> None:
    """Replace the worker by one whose jobs rest after every step."""
    running.worker.kill()
    running.start_worker(child_command=SLOW_STAGES)


def child_of(running: Service) -> psutil.Process | None:
    with suppress(psutil.NoSuchProcess):
        for process in psutil.Process(running.worker.pid).children(recursive=True):
            if any("slow_stages" in word for word in process.cmdline()):
                return process
    return None


def kill(running: Service, victim: str) -> None:
    """kill -9, and start its successor, as a supervisor would."""
    if victim == "api":
        running.api.process.kill()
        running.api = running.start_api()
    elif victim == "worker":
        running.worker.kill()
        running.start_worker(child_command=SLOW_STAGES)
    elif victim == "child":
        wait_until(lambda: child_of(running), "a job's process runs")
        found = child_of(running)
        assert found is not None
        found.kill()
    else:
        running.valkey.kill()
        running.valkey.start()


def start_mining(running: Service, key: str) -> httpx.Response:
    """Mine, under a key: as often as it is sent, it is one job."""
    wanted = {"src": "de", "tgt": "en", "encoder": "tiny"}
    return running.api.http.post("/v1/mining-jobs", json=wanted, headers={"Idempotency-Key": key})


def upload_until_answered(running: Service, query: dict[str, str], content: bytes) -> httpx.Response:
    """Send it as a client does that was cut off: again, while the service still thinks that the first is under way."""
    answers: list[httpx.Response] = []

    def answered() -> bool:
        headers = {"Idempotency-Key": "upload"}
        answer = running.api.http.post("/v1/corpora", params=query, content=content, headers=headers)
        answers.append(answer)
        return answer.status_code != 409

    wait_until(answered, "the claim of the API that died has run out")
    assert all(answer.json()["code"] == "idempotency-key-in-use" for answer in answers[:-1])
    return answers[-1]


def job_of(running: Service, job_id: str) -> dict[str, Any]:
    """A job, asked for until the service answers: a client tries again, too."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        with suppress(httpx.TransportError):
            answer = running.api.http.get(f"/v1/jobs/{job_id}")
            assert answer.status_code in (200, 503), answer.text
            found.extend([answer.json()] if answer.status_code == 200 else [])
        return bool(found)

    wait_until(there, "the service tells of the job")
    return found[-1]


def wait_for_stage(running: Service, job_id: str, stage: str) -> None:
    def there() -> bool:
        progress = job_of(running, job_id)["progress"]
        return progress is not None and str(progress["stage"]).startswith(stage)

    wait_until(there, f"stage {stage}")


def succeeded(running: Service, job_id: str) -> dict[str, Any]:
    final = ("succeeded", "failed", "cancelled")
    wait_until(lambda: job_of(running, job_id)["state"] in final, "the job is over", 2 * PATIENCE)
    job = job_of(running, job_id)
    assert job["state"] == "succeeded", job
    return job


def staged(running: Service) -> list[Path]:
    return list((running.data_dir / "artifacts" / ".staging").iterdir())


@pytest.mark.parametrize("victim", VICTIMS)
def test_in_the_middle_of_an_upload(running: Service, victim: str) -> None:
    in_slow_motion(running)
    mining = start_mining(running, "other").json()["id"]  # a job's process to kill
    wait_for_stage(running, mining, "embed")
    half = len(WHOLE) // 2

    def content() -> Iterator[bytes]:
        yield WHOLE[:half] * 64  # more than buffers hold
        wait_until(lambda: running.uploads, "the upload begins")
        kill(running, victim)
        yield WHOLE[half:]

    query = {"name": "new", "lang": "de"}
    headers = {"Idempotency-Key": "upload"}
    api = running.api
    if victim == "api":
        with pytest.raises(httpx.TransportError):
            api.http.post("/v1/corpora", params=query, content=content(), headers=headers)
        assert running.api.http.get("/v1/corpora/new").status_code == 404
        assert [job["kind"] for job in running.api.http.get("/v1/jobs").json()["items"]].count("ingest") == 2
    else:
        first = api.http.post("/v1/corpora", params=query, content=content(), headers=headers)
        assert first.status_code == 202, first.text
    again = [upload_until_answered(running, query, WHOLE[:half] * 64 + WHOLE[half:]) for _ in range(2)]
    assert [answer.status_code for answer in again] == [202, 202], again[-1].text
    ids = {answer.json()["id"] for answer in again}
    assert len(ids | ({first.json()["id"]} if victim != "api" else set())) == 1, "one job, however often it was sent"
    result = succeeded(running, ids.pop())["result"]
    assert result["sentences"] == running.api.http.get("/v1/corpora/new").json()["sentences"]
    succeeded(running, mining)


@pytest.mark.parametrize("victim", VICTIMS)
def test_in_the_middle_of_a_mining_job(running: Service, victim: str) -> None:
    undisturbed = running.api.succeeded(running.api.mine("de", "en"))["bitext"]
    wanted = running.api.http.get(f"/v1/bitexts/{undisturbed}/download?format=jsonl").content
    assert wanted.count(b"\n") > LINES // 2
    for kind in ("bitext", "neighbors", "embeddings"):  # so that all is to be done again
        for artifact in (running.data_dir / "artifacts" / kind).iterdir():
            for file in artifact.iterdir():
                file.unlink()
            artifact.rmdir()
    in_slow_motion(running)
    job_id = start_mining(running, "mine").json()["id"]
    wait_for_stage(running, job_id, "embed")
    kill(running, victim)
    again = start_mining(running, "mine")
    assert (again.status_code, again.json()["id"]) == (202, job_id), "one job, however often it is sent"
    assert running.api.http.get("/v1/bitexts").json()["items"] == [], "nothing is to be seen before it is whole"
    job = succeeded(running, job_id)
    assert running.api.http.get(f"/v1/bitexts/{job['result']['bitext']}/download?format=jsonl").content == wanted
    assert job["attempts"] == (2 if victim in ("worker", "child") else 1)
    wait_until(lambda: not staged(running), "what was half done is swept")


@pytest.mark.parametrize("victim", VICTIMS)
def test_in_the_middle_of_a_download(running: Service, victim: str) -> None:
    bitext = running.api.succeeded(running.api.mine("de", "en"))["bitext"]
    path = f"/v1/bitexts/{bitext}/download?format=jsonl"
    wanted = running.api.http.get(path).content
    in_slow_motion(running)
    start_mining(running, "other")
    received = b""

    def download() -> None:
        nonlocal received
        with running.api.http.stream("GET", path) as answer:
            chunks = answer.iter_raw(1024)
            received = next(chunks)
            kill(running, victim)
            for chunk in chunks:
                received += chunk

    if victim == "api":
        with pytest.raises(httpx.TransportError):
            download()
        assert len(received) < len(wanted)
    else:
        download()
        assert received == wanted
    assert running.api.http.get(path).content == wanted
