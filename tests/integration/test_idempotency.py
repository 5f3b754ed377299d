"""Requests that are sent again with their Idempotency-Key: one job, whatever was killed, whichever process answers."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import pytest

from bitextmine.jobs.queue import connect
from bitextmine.jobs.store import JobStore
from tests.integration.service import ENCODER, Api, Service, numbered, problem, service_with_corpora
from tests.integration.waiting import wait_until

Send = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_with_corpora(tmp_path_factory.mktemp("idempotency")) as started:
        yield started


@pytest.fixture(scope="module")
def second(running: Service) -> Api:
    """Another API process on the same data."""
    return running.start_api()


def mining(api: Api, key: str, **wanted: Any) -> httpx.Response:
    body = {"src": "de", "tgt": "en", "encoder": ENCODER, **wanted}
    return api.http.post("/v1/mining-jobs", json=body, headers={"Idempotency-Key": key})


def uploading(api: Api, key: str, name: str, content: Any, **query: str) -> httpx.Response:
    query = {"name": name, "lang": "de", **query}
    return api.http.post("/v1/corpora", params=query, content=content, headers={"Idempotency-Key": key})


def indexing(api: Api, key: str, name: str = "de") -> httpx.Response:
    return api.http.post(f"/v1/corpora/{name}/indexes", json={"encoder": ENCODER}, headers={"Idempotency-Key": key})


def made(response: httpx.Response, *, replayed: bool) -> str:
    """The id of a 202's job."""
    assert response.status_code == 202, response.text
    assert response.headers.get("idempotent-replayed") == ("true" if replayed else None)
    job_id: str = response.json()["id"]
    assert response.headers["location"] == f"/v1/jobs/{job_id}"
    return job_id


def jobs(running: Service) -> list[str]:
    items = running.api.http.get("/v1/jobs", params={"limit": 1000}).raise_for_status().json()["items"]
    return [item["id"] for item in items]


@pytest.mark.parametrize(
    ("send", "other"),
    [
        (mining, lambda api, key: mining(api, key, k=3)),
        (indexing, lambda api, key: indexing(api, key, "en")),
        (
            lambda api, key: uploading(api, key, key, numbered("Haus", 5)),
            lambda api, key: uploading(api, key, key, numbered("Haus", 6)),
        ),
        (
            lambda api, key: uploading(api, key, key, numbered("Haus", 5)),
            lambda api, key: uploading(api, key, key, numbered("Haus", 5), lang="fr"),
        ),
        (mining, indexing),
    ],
    ids=["mining", "indexing", "another file", "another language", "another route"],
)
def test_the_same_again_is_the_same_job_and_another_is_refused(
    running: Service, second: Api, send: Send, other: Send, request: pytest.FixtureRequest
) -> None:
    key = f"k{request.node.callspec.id}".replace(" ", "-")
    first = made(send(running.api, key), replayed=False)
    count = len(jobs(running))
    assert made(send(second, key), replayed=True) == first
    wait_until(lambda: running.api.job(first)["state"] == "succeeded", "the job is done")
    assert made(send(running.api, key), replayed=True) == first, "what it made is not in its way"
    problem(other(running.api, key), 422, "idempotency-key-reused")
    assert len(jobs(running)) == count
    assert running.uploads == []


def test_without_a_key_each_request_is_its_own(running: Service) -> None:
    assert len({made(running.api.mine("de", "en", k=1), replayed=False) for _ in range(2)}) == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\tin it", "Schlüssel", "\x7f"])
def test_a_key_is_1_to_255_printable_characters(running: Service, key: str) -> None:
    headers = {"Idempotency-Key": key.encode()}
    body = {"src": "de", "tgt": "en", "encoder": ENCODER}
    document = problem(running.api.http.post("/v1/mining-jobs", json=body, headers=headers), 422, "invalid-request")
    assert document["errors"][0]["where"] == "header.Idempotency-Key"


@pytest.mark.parametrize("key", ["x" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "a b", "~", "job:1:2"])
def test_any_printable_key_will_do(running: Service, key: str) -> None:
    assert made(mining(running.api, key), replayed=False) == made(mining(running.api, key), replayed=True)


def test_what_fails_makes_no_job_and_may_be_sent_again(running: Service) -> None:
    for _ in range(2):
        problem(mining(running.api, "fails", k=31), 422, "k-too-large")
        problem(mining(running.api, "fails", src="nobody"), 404, "corpus-not-found")
    made(mining(running.api, "fails"), replayed=False)
    for _ in range(2):
        problem(uploading(running.api, "taken", "de", b"x\n"), 409, "corpus-exists")
    assert running.uploads == []


def test_a_full_queue_refuses_what_is_new_and_answers_what_is_known(running: Service) -> None:
    api = running.start_api(max_unfinished_jobs="1")
    unfinished = {"state": ["queued", "running"]}
    wait_until(lambda: not api.http.get("/v1/jobs", params=unfinished).json()["items"], "all jobs are done")
    with running.worker_paused():
        first = made(mining(api, "full", k=5), replayed=False)
        problem(mining(api, "full-2", k=5), 429, "too-many-jobs")
        problem(uploading(api, "full-3", "more", b"x\n"), 429, "too-many-jobs")
        assert made(mining(api, "full", k=5), replayed=True) == first
    wait_until(lambda: api.job(first)["state"] == "succeeded", "the job is done")
    made(mining(api, "full-2", k=5), replayed=False)


def test_a_deleted_jobs_key_is_spent(running: Service) -> None:
    first = made(mining(running.api, "spent"), replayed=False)
    wait_until(lambda: running.api.job(first)["state"] == "succeeded", "the job is done")
    running.api.http.delete(f"/v1/jobs/{first}").raise_for_status()
    problem(mining(running.api, "spent"), 409, "idempotency-key-spent")
    problem(mining(running.api, "spent", k=3), 422, "idempotency-key-reused")


@pytest.mark.parametrize("round_number", range(5))
def test_many_at_once_at_two_processes_make_one_job(running: Service, second: Api, round_number: int) -> None:
    key, before = f"race-{round_number}", len(jobs(running))
    barrier = threading.Barrier(16)

    def send(number: int) -> httpx.Response:
        barrier.wait()
        return mining((running.api, second)[number % 2], key)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(send, range(16)))
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {202, 409}
    (job_id,) = {answer.json()["id"] for answer in answers if answer.status_code == 202}
    assert sum("idempotent-replayed" not in answer.headers for answer in answers if answer.status_code == 202) == 1
    for answer in answers:
        if answer.status_code == 409:
            problem(answer, 409, "idempotency-key-in-use")
    assert len(jobs(running)) == before + 1
    assert made(mining(second, key), replayed=True) == job_id


def test_two_uploads_at_once_make_one_corpus(running: Service, second: Api) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def slowly() -> Iterator[bytes]:
        yield numbered("Haus", 2000)
        arrived.set()
        assert go_on.wait(60)
        yield numbered("Baum", 10)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(uploading, running.api, "slow", "slow", slowly())
        assert arrived.wait(60)
        wait_until(lambda: running.uploads, "the first has got its key")
        for _ in range(2):
            problem(uploading(second, "slow", "slow", b"x\n"), 409, "idempotency-key-in-use")
        with connect(running.valkey.url) as client:  # the claim is kept, however long the upload takes
            (key,) = _claims(client)
            before = client.pttl(key)
            wait_until(lambda: client.pttl(key) > before, "the claim was renewed")
        go_on.set()
        job_id = made(first.result(), replayed=False)
    whole = numbered("Haus", 2000) + numbered("Baum", 10)
    assert made(uploading(second, "slow", "slow", whole), replayed=True) == job_id
    wait_until(lambda: running.api.job(job_id)["state"] == "succeeded", "the job is done")
    assert running.uploads == []


def _claims(client: Any) -> list[bytes]:
    return [key for key in client.keys("bitextmine:once:*") if client.get(key).startswith(b"claim:")]


def test_an_upload_whose_client_leaves_may_be_sent_again(running: Service) -> None:
    def breaks_off() -> Iterator[bytes]:
        yield numbered("Haus", 2000)
        raise RuntimeError("the line is cut")

    with pytest.raises(RuntimeError, match="the line is cut"):
        uploading(running.api, "cut", "cut", breaks_off())
    answers = []

    def taken() -> bool:
        answers.append(uploading(running.api, "cut", "cut", numbered("Haus", 9)))
        return answers[-1].status_code == 202

    wait_until(taken, "the key is free")
    made(answers[-1], replayed=False)


@pytest.mark.parametrize("delay", [0.0, 0.005, 0.02, 0.05])
def test_an_api_that_is_killed_while_it_answers_leaves_one_job_or_none(running: Service, delay: float) -> None:
    """However far it came: the same request, sent until it is answered, makes one job."""
    doomed, before = running.start_api(), len(jobs(running))
    keys = [f"killed-{delay}-{number}" for number in range(8)]
    wanted = {key: {"k": 1 + number} for number, key in enumerate(keys)}

    def send(key: str) -> None:
        with suppress(httpx.TransportError), httpx.Client(base_url=doomed.url) as http:
            body = {"src": "de", "tgt": "en", "encoder": ENCODER, **wanted[key]}
            http.post("/v1/mining-jobs", json=body, headers={"Idempotency-Key": key})

    with ThreadPoolExecutor(len(keys)) as pool:
        for key in keys:
            pool.submit(send, key)
        threading.Event().wait(delay)
        doomed.process.send(signal.SIGKILL)
    ids = set()
    for key in keys:
        answers: list[httpx.Response] = []

        def answered(key: str = key, answers: list[httpx.Response] = answers) -> bool:
            answers.append(mining(running.api, key, **wanted[key]))
            assert answers[-1].status_code in (202, 409), answers[-1].text
            return answers[-1].status_code == 202

        wait_until(answered, "the claim of the killed API has run out")
        ids.add(answers[-1].json()["id"])
    assert len(ids) == len(keys)
    assert len(jobs(running)) == before + len(keys)


def test_redis_gone_while_a_key_is_used(running: Service) -> None:
    running.valkey.kill()
    try:
        problem(mining(running.api, "outage"), 503, "store-unavailable")
        problem(uploading(running.api, "outage", "outage", b"x\n"), 503, "store-unavailable")
    finally:
        running.valkey.start()
    job_id = made(mining(running.api, "outage"), replayed=False)
    running.valkey.kill()
    running.valkey.start()
    assert made(mining(running.api, "outage"), replayed=True) == job_id
    with connect(running.valkey.url) as client:
        assert JobStore(client).get(job_id).id == job_id


def test_a_retry_is_made_once_too(running: Service, second: Api) -> None:
    with running.worker_paused():
        first = made(running.api.mine("de", "en", k=7), replayed=False)
        running.api.http.post(f"/v1/jobs/{first}/cancel").raise_for_status()

        def retry(api: Api) -> httpx.Response:
            return api.http.post(f"/v1/jobs/{first}/retry", headers={"Idempotency-Key": "again"})

        again = made(retry(running.api), replayed=False)
        assert made(retry(second), replayed=True) == again != first
