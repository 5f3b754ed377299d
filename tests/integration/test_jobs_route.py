"""Jobs over HTTP: lists with filters, another try, the plan before, a tenant's share, Redis that does not answer."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bitextmine.jobs.queue import connect
from bitextmine.jobs.record import JobError, JobKind, JobState
from bitextmine.jobs.store import JobStore
from bitextmine.keys import Scope
from tests.integration.keyed import Keyed
from tests.integration.service import ENCODER, Api, Service, numbered, problem, service_with_corpora
from tests.integration.waiting import wait_until


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_with_corpora(tmp_path_factory.mktemp("jobs")) as started:
        yield started


@pytest.fixture(scope="module")
def api(running: Service) -> Api:
    return running.api


@pytest.fixture
def store(running: Service) -> Iterator[JobStore]:
    with connect(running.valkey.url) as client:
        yield JobStore(client)


@pytest.fixture(scope="module")
def mined(api: Api) -> dict[str, Any]:
    """A job that mined the two corpora."""
    job = api.ended(api.mine("de", "en"))
    assert job["state"] == "succeeded", job
    return job


def listed(api: Api, **query: Any) -> list[str]:
    """The ids of all jobs that meet a query, by cursor."""
    found: list[str] = []
    while True:
        page = api.http.get("/v1/jobs", params=query).raise_for_status().json()
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


def test_jobs_are_listed_by_state_kind_corpus_and_time(api: Api, mined: dict[str, Any]) -> None:
    every = listed(api)
    assert every == sorted(every, reverse=True)
    assert mined["id"] in listed(api, kind="mine", state="succeeded", corpus="de", limit=1)
    assert mined["id"] not in listed(api, kind=["ingest", "index"])
    assert mined["id"] not in listed(api, state=["queued", "running", "failed"])
    assert listed(api, corpus="de", kind="ingest") == listed(api, corpus="de", kind="ingest", state="succeeded")
    assert len(listed(api, corpus="de", kind="ingest")) == 1
    assert listed(api, corpus="nobody") == []
    assert listed(api, kind=["ingest", "mine", "index", "score"], limit=2) == every
    created = datetime.fromisoformat(mined["created"])
    later = created + timedelta(microseconds=1)
    assert mined["id"] in listed(api, created_after=created.isoformat(), created_before=later.isoformat())
    assert mined["id"] not in listed(api, created_before=created.isoformat())
    assert mined["id"] not in listed(api, created_after=later.isoformat())
    assert listed(api, created_after=datetime.now(UTC).isoformat()) == []


@pytest.mark.parametrize(
    "query",
    [
        {"state": "done"}, {"kind": "search"}, {"corpus": "../etc"}, {"created_after": "yesterday"},
        {"created_after": "2026-05-01T12:00:00"}, {"created_before": "0.5"}, {"created_before": "1700000000"},
        {"created_after": "2026-13-01T12:00:00Z"}, {"created_after": "2026-05-01"},
        {"limit": 0}, {"limit": 1001}, {"limit": "many"}, {"what": "else"},
        {"state": ["queued"] * 11}, {"cursor": "x" * 201},
    ],
)  # fmt: skip
def test_a_filter_that_cannot_be_is_422(api: Api, query: dict[str, Any]) -> None:
    problem(api.http.get("/v1/jobs", params=query), 422, "invalid-request")


@pytest.mark.parametrize("cursor", ["", "x", "0" * 21, "0" * 23, "G" * 22, "²" * 22])
def test_a_cursor_that_no_page_gave_is_422(api: Api, cursor: str) -> None:
    problem(api.http.get("/v1/jobs", params={"cursor": cursor}), 422, "invalid-cursor")


def test_a_job_shows_its_stages(mined: dict[str, Any]) -> None:
    names = [stage["name"] for stage in mined["stages"]]
    assert names[:2] == ["embed-src", "embed-tgt"]
    assert names[-1] == "score"
    for stage in mined["stages"]:
        assert stage.keys() == {"name", "state", "done", "total", "seconds", "rate", "eta_seconds"}
        assert (stage["state"], stage["eta_seconds"]) == ("done", None)
        assert stage["done"] == stage["total"]
    assert mined["stage_seconds"] == {stage["name"]: stage["seconds"] for stage in mined["stages"]}
    assert mined["links"]["events"] == f"/v1/jobs/{mined['id']}/events"
    assert "retry" not in mined["links"]


def test_the_plan_before_is_the_plan_that_is_stored(api: Api, mined: dict[str, Any]) -> None:
    query = {"src": "de", "tgt": "en", "encoder": ENCODER}
    shown = api.http.get("/v1/plan", params=query).raise_for_status().json()
    stored = mined["plan"]
    assert stored["embedding"] == {"sentences": 60, "sentences_per_second": None, "seconds": None}
    assert shown["embedding"]["sentences"] == 0  # they have vectors now
    for name in ("method", "src_rows", "tgt_rows", "dims", "k", "threads", "gpus", "target_recall"):
        assert shown[name] == stored[name], name
    assert [each["method"] for each in shown["estimates"]] == [each["method"] for each in stored["estimates"]]
    assert (stored["src_rows"], stored["tgt_rows"], stored["dims"]) == (30, 30, 32)


def test_a_known_rate_gives_the_time_of_embedding(api: Api, store: JobStore) -> None:
    api.succeeded(api.upload("fresh", numbered("Zug", 40), "de"))
    store.keep_rate(ENCODER, 20.0)
    query = {"src": "fresh", "tgt": "en", "encoder": ENCODER}
    embedding = api.http.get("/v1/plan", params=query).raise_for_status().json()["embedding"]
    sentences = embedding["sentences"]
    assert embedding == {"sentences": sentences, "sentences_per_second": 20.0, "seconds": sentences / 20.0}
    assert sentences >= 40


def test_what_no_worker_has_memory_for_is_refused_before_it_is_sent(running: Service, store: JobStore) -> None:
    api = running.api
    running.worker.send(signal.SIGTERM)
    wait_until(lambda: not running.worker.running, "the worker has stopped")
    try:
        running.start_worker(memory="1MB")
        wait_until(lambda: [limits.memory for limits in store.leases.limits()] == [1_000_000], "it says what it has")
        before = listed(api)
        problem(api.mine("de", "en", k=2), 422, "memory-too-small")
        assert listed(api) == before
    finally:
        running.worker.send(signal.SIGTERM)
        wait_until(lambda: not running.worker.running, "the small worker has stopped")
        running.start_worker()
    wait_until(lambda: [limits.memory for limits in store.leases.limits()] == [None], "the other is back")
    assert api.ended(api.mine("de", "en", k=2))["state"] == "succeeded"


def failed(store: JobStore, api: Api, **wanted: Any) -> dict[str, Any]:
    """A mining job that failed, as on a full disk."""
    job_id = api.mine("de", "en", **wanted).json()["id"]
    store.finish(job_id, JobState.FAILED, error=JobError(code="disk-full", detail="no space left"))
    return api.job(job_id)


def test_a_failed_job_is_tried_again(running: Service, api: Api, store: JobStore) -> None:
    with running.worker_paused():
        first = failed(store, api, k=6, threshold=0.5)
        answer = api.http.post(first["links"]["retry"])
        second = answer.json()
    assert second["id"] != first["id"]
    assert (second["request"], second["retry_of"]) == (first["request"], first["id"])
    assert second["links"]["retry_of"] == first["links"]["self"]
    assert api.succeeded(answer)["bitext"]
    assert api.job(first["id"]) == first, "the first stays as it was"
    bitext = api.http.get(api.job(second["id"])["links"]["bitext"]).raise_for_status().json()
    assert (bitext["k"], bitext["threshold"]) == (6, 0.5)


def test_an_upload_whose_job_failed_is_read_again(running: Service, api: Api, store: JobStore) -> None:
    with running.worker_paused():
        job = api.upload("kept", numbered("Haus", 7)).json()
        store.finish(job["id"], JobState.FAILED, error=JobError(code="disk-full", detail="no space left"))
        again = api.http.post(f"/v1/jobs/{job['id']}/retry")
    assert api.succeeded(again)["corpus"] == "kept"
    assert api.http.get("/v1/corpora/kept").json()["sentences"] == 7
    assert running.uploads == []
    problem(api.http.post(f"/v1/jobs/{job['id']}/retry"), 409, "upload-gone")


def test_another_try_finds_what_the_first_has_finished(running: Service, api: Api, store: JobStore) -> None:
    for name, word in (("first", "Brot"), ("second", "bread")):
        api.succeeded(api.upload(name, numbered(word, 50), "de" if name == "first" else "en"))
    indexed = api.http.post("/v1/corpora/first/indexes", json={"encoder": ENCODER})
    api.succeeded(indexed)
    with running.worker_paused():
        job = api.mine("first", "second").json()
        assert job["plan"]["embedding"]["sentences"] == 50  # of 100
        api.http.post(job["links"]["cancel"]).raise_for_status()
        again = api.http.post(f"/v1/jobs/{job['id']}/retry")
    ended = api.ended(again)
    assert ended["state"] == "succeeded"
    rates = {stage["name"]: stage["rate"] for stage in ended["stages"]}
    assert rates["embed-src"] is None, "nothing was to be embedded"


def test_what_cannot_be_tried_again(running: Service, api: Api, mined: dict[str, Any]) -> None:
    problem(api.http.post(f"/v1/jobs/{mined['id']}/retry"), 409, "job-succeeded")
    problem(api.http.post(f"/v1/jobs/{'0' * 22}/retry"), 404, "job-not-found")
    with running.worker_paused():
        waiting = api.mine("de", "en", k=8).json()
        problem(api.http.post(f"/v1/jobs/{waiting['id']}/retry"), 409, "job-unfinished")
        api.http.post(waiting["links"]["cancel"]).raise_for_status()
        upload = api.upload("cancelled", numbered("Haus", 5)).json()
        api.http.post(upload["links"]["cancel"]).raise_for_status()
        problem(api.http.post(f"/v1/jobs/{upload['id']}/retry"), 409, "upload-gone")
    failing = api.ended(api.upload("failing", b"\xff\n"))
    assert failing["state"] == "failed"
    problem(api.http.post(failing["links"]["retry"]), 409, "upload-gone")
    assert running.uploads == []


def test_a_tenant_has_its_share_of_the_queue_and_its_jobs_to_itself(running: Service, mined: dict[str, Any]) -> None:
    keyed = Keyed(running)
    small = keyed.holder(keyed.token(Scope.MINE, tenant="small", max_jobs=1))
    large = keyed.holder(keyed.token(Scope.MINE, tenant="large"))
    reader = keyed.holder(keyed.token(Scope.READ, tenant="small"))
    with running.worker_paused():
        job = small.upload("mine", numbered("Haus", 5)).json()
        refused = problem(small.upload("more", numbered("Haus", 5)), 429, "too-many-jobs")
        assert "1 of your jobs" in refused["detail"]
        large.upload("mine", numbered("Haus", 5)).raise_for_status()
        assert listed(small) == [job["id"]] == listed(reader)
        for stranger, jobs in ((large, [job["id"], mined["id"]]), (small, [mined["id"]])):
            for job_id in jobs:
                for method, path in (
                    ("GET", ""), ("GET", "/events"), ("POST", "/cancel"), ("POST", "/retry"), ("DELETE", ""),
                ):  # fmt: skip
                    answer = stranger.http.request(method, f"/v1/jobs/{job_id}{path}")
                    problem(answer, 404, "job-not-found")
                assert job_id not in listed(stranger)
        for path in ("/cancel", "/retry"):
            problem(reader.http.post(f"/v1/jobs/{job['id']}{path}"), 403, "scope-missing")
        small.http.post(job["links"]["cancel"]).raise_for_status()
        small.upload("more", numbered("Haus", 5)).raise_for_status()
    key = {"Idempotency-Key": "shared"}
    ids = set()
    for holder in (small, large):
        query = {"name": "own", "lang": "de"}
        wait_until(lambda holder=holder: not listed(holder, state=["queued", "running"]), "its jobs are done")
        answer = holder.http.post("/v1/corpora", params=query, content=numbered("Haus", 5), headers=key)
        assert "idempotent-replayed" not in answer.raise_for_status().headers
        ids.add(answer.json()["id"])
        holder.ended(answer)
    assert len(ids) == 2, "a key is its tenant's own"
    for holder in (small, large, reader):
        holder.close()


def test_redis_that_does_not_answer_is_503_at_once(running: Service, api: Api, mined: dict[str, Any]) -> None:
    asks = (
        lambda: api.http.get("/v1/jobs"),
        lambda: api.http.get(mined["links"]["self"]),
        lambda: api.http.get(mined["links"]["events"]),
        lambda: api.mine("de", "en"),
        lambda: api.http.post(f"/v1/jobs/{mined['id']}/retry", headers={"Idempotency-Key": "hung"}),
        lambda: api.upload("hung", numbered("Haus", 5)),
    )
    running.valkey.send(signal.SIGSTOP)  # it takes connections and commands, and is silent
    try:
        for ask in asks:
            started = time.monotonic()
            problem(ask(), 503, "store-unavailable")
            assert time.monotonic() - started < 10
    finally:
        running.valkey.send(signal.SIGCONT)
    assert api.http.get(mined["links"]["self"]).status_code == 200


def test_a_record_of_an_older_version_is_shown(api: Api, running: Service, store: JobStore) -> None:
    """Without stages, version and all else that came later; with what is gone now."""
    with connect(running.valkey.url) as client, running.worker_paused():
        record = store.create(JobKind.MINE, {"src": "de", "tgt": "en"})
        old = (
            f'{{"id":"{record.id}","kind":"mine","spec":{{"src":"de"}},"state":"queued","created":"2026-01-01T00:00:00Z",'
            '"stage_seconds":{"embed-src":1.5},"attempts":0,"cancel_requested":false}'
        )
        client.set(f"bitextmine:job:{record.id}", old)
        assert api.job(record.id)["stages"] == []
        api.http.post(f"/v1/jobs/{record.id}/cancel").raise_for_status()
        assert api.job(record.id)["state"] == "cancelled"
