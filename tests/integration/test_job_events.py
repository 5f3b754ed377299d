"""A job's events as an application follows them: live, after a break, with Redis killed, with the service stopping."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
import redis

from bitextmine.errors import ConflictError, NotFoundError
from bitextmine.jobs.names import events_key, job_key
from bitextmine.jobs.queue import connect
from bitextmine.jobs.record import JobKind, JobProgress, JobState
from bitextmine.jobs.store import JobStore
from tests.integration.event_streams import Event, Events, events
from tests.integration.service import Api, Service, problem, service_with_corpora
from tests.integration.waiting import wait_until


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_with_corpora(tmp_path_factory.mktemp("events")) as started:
        yield started


@pytest.fixture
def api(running: Service) -> Api:
    return running.api


@pytest.fixture
def client(running: Service) -> Iterator[redis.Redis]:
    with connect(running.valkey.url) as client:
        yield client


@pytest.fixture
def store(client: redis.Redis, running: Service) -> Iterator[JobStore]:
    """The service's jobs, in the place of a worker, which rests meanwhile."""
    with running.worker_paused():
        yield JobStore(client)


@pytest.fixture
def job_id(store: JobStore) -> Iterator[str]:
    """A job that only the test works at."""
    record = store.create(JobKind.MINE, {"src": "de", "tgt": "en"})
    yield record.id
    with suppress(ConflictError, NotFoundError):  # it is over, or gone
        store.finish(record.id, JobState.CANCELLED)


def told(event: Event) -> tuple[str, Any]:
    return event.name, event.content.get("state") or event.content.get("done")


def at(done: int) -> JobProgress:
    return JobProgress(stage="search", done=done, total=9, rate=2.0, eta_seconds=1.0)


def test_a_real_job_from_beginning_to_end(api: Api, running: Service) -> None:
    accepted = api.mine("de", "en", k=3)
    with events(api.http, accepted.json()["id"]) as stream:
        headers = stream.response.headers
        everything = list(stream)
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["cache-control"] == "no-cache"
    assert headers["x-accel-buffering"] == "no"
    assert "content-length" not in headers
    assert stream.retry == 2000
    states = [event.content["state"] for event in everything if event.name == "job"]
    assert states[-2:] == ["running", "succeeded"]
    assert {event.name for event in everything} == {"job", "progress", "end"}
    stages = {event.content["stage"] for event in everything if event.name == "progress"}
    assert stages & {"embed-src", "search", "score"}
    numbers = [event.number for event in everything]
    assert numbers == sorted(numbers)
    *_, last, end = everything
    assert (end.name, end.content, end.number) == ("end", {"state": "succeeded"}, last.number)
    assert last.content == api.job(accepted.json()["id"])
    again = api.http.get(accepted.json()["links"]["events"], headers={"Last-Event-ID": str(end.number)})
    assert (again.status_code, again.content) == (204, b"")


def test_a_new_connection_begins_with_the_present_state(api: Api, store: JobStore, job_id: str) -> None:
    store.start(job_id, "w")
    store.progress(job_id, at(1), [])
    with events(api.http, job_id) as stream:
        first = stream.next("job")
        assert (first.content["state"], first.content["progress"]["done"]) == ("running", 1)
        store.progress(job_id, at(2), [])
        assert stream.next("progress").content == {
            "stage": "search", "done": 2, "total": 9, "rate": 2.0, "eta_seconds": 1.0,
        }  # fmt: skip
        store.request_cancel(job_id)
        assert stream.next("job").content["cancel_requested"] is True
        store.finish(job_id, JobState.CANCELLED)
        assert [told(event) for event in stream] == [("job", "cancelled"), ("end", "cancelled")]
    with events(api.http, job_id) as stream:
        assert [told(event) for event in stream] == [("job", "cancelled"), ("end", "cancelled")]


def test_a_connection_that_comes_back_gets_what_it_missed(api: Api, store: JobStore, job_id: str) -> None:
    with events(api.http, job_id) as stream:
        last = stream.next("job").number
    store.start(job_id, "w")
    for done in (1, 2, 3):
        store.progress(job_id, at(done), [])
    with events(api.http, job_id, last) as stream:
        found = [next(iter(stream)) for _ in range(4)]
        assert [told(event) for event in found] == [("job", "running"), *(("progress", done) for done in (1, 2, 3))]
    with events(api.http, job_id, found[2].number) as stream:
        assert told(next(iter(stream))) == ("progress", 3)
        store.finish(job_id, JobState.FAILED)
        assert [told(event) for event in stream] == [("job", "failed"), ("end", "failed")]
    with events(api.http, job_id, found[0].number) as stream:  # over, and not all of it seen
        rest = [told(event) for event in stream]
    assert rest == [("progress", 1), ("progress", 2), ("progress", 3), ("job", "failed"), ("end", "failed")]


@pytest.mark.parametrize("last", ["0", "1", "99999999999999", "nonsense", "-1", "1-1", "9" * 19, "²"])
def test_an_id_that_nobody_gave_gets_the_present_state(api: Api, store: JobStore, job_id: str, last: str) -> None:
    store.start(job_id, "w")
    headers = {"Last-Event-ID": last.encode()}
    with api.http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as response:
        stream = Events(response)
        assert told(next(iter(stream))) == ("job", "running")
        store.finish(job_id, JobState.FAILED)
        assert [told(event) for event in stream] == [("job", "failed"), ("end", "failed")]


def test_where_what_was_missed_is_gone_the_present_state_comes(
    api: Api, store: JobStore, job_id: str, client: redis.Redis
) -> None:
    with events(api.http, job_id) as stream:
        last = stream.next("job").number
    store.start(job_id, "w")
    for done in range(1, 4):
        store.progress(job_id, at(done), [])
    client.xtrim(events_key(job_id), maxlen=1, approximate=False)
    with events(api.http, job_id, last) as stream:
        first = next(iter(stream))
        assert (told(first), first.content["progress"]["done"]) == (("job", "running"), 3)
    store.finish(job_id, JobState.SUCCEEDED)
    client.delete(events_key(job_id))  # as an hour after the end
    for given in (last, None):
        with events(api.http, job_id, given) as stream:
            assert [told(event) for event in stream] == [("job", "succeeded"), ("end", "succeeded")]


def test_many_follow_one_job_and_each_gets_all(api: Api, store: JobStore, job_id: str) -> None:
    found: list[list[tuple[str, Any]]] = []
    followers = 20
    connected = threading.Barrier(followers + 1)

    def follow() -> None:
        with httpx.Client(base_url=api.url) as http, events(http, job_id) as stream:
            stream.next("job")
            connected.wait()
            found.append([told(event) for event in stream])

    threads = [threading.Thread(target=follow) for _ in range(followers)]
    for thread in threads:
        thread.start()
    connected.wait(40)
    store.start(job_id, "w")
    for done in range(1, 50):
        store.progress(job_id, at(done), [])
    store.finish(job_id, JobState.SUCCEEDED)
    for thread in threads:
        thread.join(40)
    expected = [("job", "running"), *(("progress", done) for done in range(1, 50)), ("job", "succeeded")]
    assert found == [[*expected, ("end", "succeeded")]] * followers


def test_redis_killed_in_the_middle_ends_no_stream(running: Service, api: Api, store: JobStore, job_id: str) -> None:
    with events(api.http, job_id) as stream:
        stream.next("job")
        running.valkey.kill()
        try:
            problem(api.http.get(f"/v1/jobs/{job_id}/events"), 503, "store-unavailable")
            stream.until_comment("does not answer")
        finally:
            running.valkey.start()
        store.start(job_id, "w")
        assert stream.next("job").content["state"] == "running"
        assert any("is back" in comment for comment in stream.comments)
        store.finish(job_id, JobState.SUCCEEDED)
        assert [told(event) for event in stream] == [("job", "succeeded"), ("end", "succeeded")]


def test_what_redis_forgot_is_noticed_when_it_is_back(
    running: Service, api: Api, store: JobStore, job_id: str, client: redis.Redis
) -> None:
    """The record has gone back, and its stream is lost: the present state comes, whatever its version."""
    earlier = client.get(job_key(job_id))
    assert earlier is not None
    store.start(job_id, "w")
    with events(api.http, job_id) as stream:
        assert stream.next("job").content["state"] == "running"
        running.valkey.kill()
        try:
            stream.until_comment("does not answer")
        finally:
            running.valkey.start()
        client.pipeline(transaction=True).set(job_key(job_id), earlier).delete(events_key(job_id)).execute()
        assert stream.next("job").content["state"] == "queued"


def test_a_job_that_is_forgotten_ends_its_streams(
    running: Service, api: Api, store: JobStore, job_id: str, client: redis.Redis
) -> None:
    with events(api.http, job_id) as stream:
        stream.next("job")
        running.valkey.kill()
        try:
            stream.until_comment("does not answer")
        finally:
            running.valkey.start()
        client.delete(job_key(job_id), events_key(job_id))
        client.srem("bitextmine:unfinished", job_id)
        assert [told(event) for event in stream] == [("end", None)]


def test_streams_are_bounded_and_those_that_end_make_room(running: Service, store: JobStore, job_id: str) -> None:
    api = running.start_api(max_event_streams="2")
    with httpx.Client(base_url=api.url) as http:
        with events(http, job_id) as first, events(http, job_id) as second:
            first.next("job"), second.next("job")
            problem(api.http.get(f"/v1/jobs/{job_id}/events"), 503, "too-many-streams")
        wait_until(lambda: _opens(api, job_id), "there is room again")


def _opens(api: Api, job_id: str) -> bool:
    with api.http.stream("GET", f"/v1/jobs/{job_id}/events") as response:
        return response.status_code == 200


def test_a_service_that_stops_ends_its_streams(running: Service, store: JobStore, job_id: str) -> None:
    api = running.start_api(shutdown_seconds="30")
    with events(api.http, job_id) as stream:
        stream.next("job")
        api.process.send(signal.SIGTERM)
        assert list(stream) == []
        assert "the service stops; connect again" in stream.comments
    wait_until(lambda: not api.process.running, "the API has stopped", seconds=20)
    assert "Traceback" not in api.process.log


@pytest.mark.parametrize("path", ["0" * 22, "nonsense", "%00", "..%2f..%2fetc"])
def test_a_job_that_is_not_there_is_404(api: Api, path: str) -> None:
    document = api.http.get(f"/v1/jobs/{path}/events")
    assert document.status_code == 404
    assert document.headers["content-type"] == "application/problem+json"


def test_what_happens_at_one_process_is_told_by_another(running: Service, api: Api, job_id: str) -> None:
    other = running.start_api()
    with events(other.http, job_id) as stream:
        last = stream.next("job").number
        api.http.post(f"/v1/jobs/{job_id}/cancel").raise_for_status()
        assert [told(event) for event in stream] == [("job", "cancelled"), ("end", "cancelled")]
    with events(api.http, job_id, last) as stream:  # and one goes on where the other was left
        assert [told(event) for event in stream] == [("job", "cancelled"), ("end", "cancelled")]


def test_a_quiet_stream_is_kept_alive(api: Api, store: JobStore, job_id: str) -> None:
    with events(api.http, job_id) as stream:
        stream.next("job")
        stream.until_comment("go on")  # after 15 s
        store.finish(job_id, JobState.FAILED)
        assert [told(event) for event in stream] == [("job", "failed"), ("end", "failed")]
