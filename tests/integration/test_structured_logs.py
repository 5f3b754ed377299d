"""The logs of a running service as JSON: one object a line, and each can be traced back to the request behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.service import ENCODER, Api, Process, Service, numbered, service
from tests.integration.waiting import wait_until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("logs")) as started:
        started.worker.kill()
        started.start_worker(log_format="json")
        yield started


@pytest.fixture(scope="module")
def api(running: Service) -> Api:
    return running.start_api(log_format="json", log_level="debug")


def records(process: Process) -> list[dict[str, Any]]:
    """All that was written, each line an object with what every record has."""
    found = []
    for line in process.log.splitlines():
        if not line.startswith("{"):
            continue  # of the worker before it was told to write JSON
        record = json.loads(line)
        assert {"time", "level", "logger", "message"} <= record.keys()
        assert record["time"].endswith("Z")
        found.append(record)
    return found


def of_request(api: Api, request_id: str) -> dict[str, Any]:
    """The one record of an answered request."""

    def found() -> list[dict[str, Any]]:
        return [
            record
            for record in records(api.process)
            if record["logger"] == "bitextmine.access" and record.get("request_id") == request_id
        ]

    wait_until(found, "the request is logged")
    (record,) = found()
    return record


def test_every_line_of_the_api_is_an_object(api: Api) -> None:
    api.http.get("/livez")
    api.http.post("/v1/embeddings", json={"model": ENCODER, "input": "eins"})
    lines = api.process.log.splitlines()
    assert len(lines) == len(records(api.process))
    assert {"uvicorn.error", "bitextmine.access"} <= {record["logger"] for record in records(api.process)}


def test_an_answer_has_the_id_and_the_log_has_the_rest(api: Api) -> None:
    headers = {"X-Request-ID": "mine-1", "traceparent": TRACEPARENT}
    answer = api.http.get("/v1/jobs/00?limit=3", headers=headers)
    assert answer.headers["x-request-id"] == "mine-1"
    record = of_request(api, "mine-1")
    assert record["milliseconds"] >= 0
    told = {name: record[name] for name in ("method", "route", "status", "bytes", "client", "trace_id", "span_id")}
    assert told == {
        "method": "GET",
        "route": "/v1/jobs/{job_id}",
        "status": 404,
        "bytes": len(answer.content),
        "client": "127.0.0.1",
        "trace_id": TRACE,
        "span_id": "00f067aa0ba902b7",
    }


@pytest.mark.parametrize("sent", [None, "", "a b", "x" * 129, "\xff", '{"level":"x"}'])
def test_an_id_that_is_not_sane_is_replaced(api: Api, sent: str | None) -> None:
    headers = [] if sent is None else [(b"X-Request-ID", sent.encode("latin-1"))]
    made = api.http.get("/livez", headers=headers).headers["x-request-id"]
    assert len(made) == 32
    assert of_request(api, made)["level"] == "DEBUG", "probes are not worth more"


@pytest.mark.parametrize(
    ("method", "path", "status", "route"),
    [
        ("GET", "/nothing/here", 404, "unmatched"),
        ("DELETE", "/livez", 405, "/livez"),
        ("POST", "/v1/embeddings", 422, "/v1/embeddings"),
        ("GET", "/openapi.json", 200, "/openapi.json"),
    ],
)
def test_whatever_is_answered_has_an_id_and_a_record(api: Api, method: str, path: str, status: int, route: str) -> None:
    answer = api.http.request(method, path)
    record = of_request(api, answer.headers["x-request-id"])
    assert (answer.status_code, record["status"], record["route"]) == (status, status, route)
    assert record["level"] == ("DEBUG" if route == "/livez" else "INFO")


def test_a_job_carries_the_id_of_its_request_to_its_own_process(running: Service, api: Api) -> None:
    headers = {"X-Request-ID": "upload-7", "traceparent": TRACEPARENT}
    for name, lang in (("eins", "de"), ("one", "en")):
        sent = api.http.post(
            "/v1/corpora", params={"name": name, "lang": lang}, content=numbered(name, 20), headers=headers
        )
        job_id = api.ended(sent)["id"]
    mined = api.http.post(
        "/v1/mining-jobs", json={"src": "eins", "tgt": "one", "encoder": ENCODER}, headers={"X-Request-ID": "mine-7"}
    )
    api.succeeded(mined)
    found = records(running.worker)
    assert {record["logger"] for record in found if record.get("job_id") == job_id} >= {"bitextmine_indexer.attempt"}
    for record in found:
        if record.get("job_id") == job_id:
            assert (record["request_id"], record["trace_id"], record["tenant"]) == ("upload-7", TRACE, "default")
    of_mining = [record for record in found if record.get("job_id") == mined.json()["id"]]
    assert {record["request_id"] for record in of_mining} == {"mine-7"}
    plan, worker = "bitextmine_indexer.kinds.mine", "bitextmine_indexer.job"
    assert {plan, worker} <= {record["logger"] for record in of_mining}, "the job's process and the worker"


def test_no_secret_is_logged(api: Api) -> None:
    headers = {"Authorization": "Bearer s3cret-key", "X-Request-ID": "secret-1", "Cookie": "s3cret"}
    api.http.get("/v1/jobs?token=s3cret-token&cursor=s3cret", headers=headers)
    api.http.get("/s3cret/path", headers=headers)
    api.http.post("/v1/embeddings?api_key=s3cret", json={"model": "no s3cret", "input": ["s3cret"]}, headers=headers)
    api.http.get("/livez", headers={"X-Request-ID": "after"})
    of_request(api, "after")
    assert "s3cret" not in api.process.log


def test_a_client_that_leaves_is_logged_once(api: Api) -> None:
    def half() -> Iterator[bytes]:
        yield b"x" * 100
        raise ConnectionError("unplugged")

    with pytest.raises(ConnectionError):
        api.http.post(
            "/v1/corpora", params={"name": "half", "lang": "de"}, content=half(), headers={"X-Request-ID": "half-1"}
        )
    assert of_request(api, "half-1")["status"] in (400, 499)


def test_text_is_for_people(running: Service) -> None:
    running.api.http.get("/v1/jobs", headers={"X-Request-ID": "text-1"})
    wait_until(lambda: "text-1" in running.api.process.log, "it is logged")
    (line,) = (line for line in running.api.process.log.splitlines() if "text-1" in line)
    assert "INFO bitextmine.access: method=GET route=/v1/jobs status=200" in line
    assert line.endswith("[request_id=text-1]")
