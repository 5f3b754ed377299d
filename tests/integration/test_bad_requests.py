"""Requests that are wrong: each gets a problem document with its own stable code, and the service goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.service import ENCODER, Api, Service, numbered, problem, service, text_of

JOB = {"src": "de", "tgt": "en", "encoder": ENCODER}
UNKNOWN = "0" * 32


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("requests")) as started:
        api = started.api
        accepted = [
            api.upload("de", numbered("Haus", 9), "de"),
            api.upload("en", numbered("house", 8), "en"),
            api.upload("one", text_of("Nur ein Satz"), "de"),
            api.upload("cs", numbered("dům", 9), "cs"),
        ]
        for answer in accepted:
            api.succeeded(answer)
        yield started


@pytest.fixture
def api(running: Service) -> Iterator[Api]:
    jobs = running.api.http.get("/v1/jobs").json()
    yield running.api
    assert running.api.http.get("/v1/jobs").json() == jobs, "what is refused makes no job"
    assert "Traceback" not in running.api.process.log
    assert running.uploads == []


@pytest.mark.parametrize(
    ("change", "status", "code", "said"),
    [
        ({"src": "nowhere"}, 404, "corpus-not-found", "'nowhere'"),
        ({"encoder": "nothing"}, 404, "encoder-unknown", "muse"),
        ({"encoder": "muse"}, 404, "encoder-not-installed", "bitextmine encoders pull muse"),
        ({"encoder": "../tiny"}, 422, "invalid-parameter", "'../tiny'"),
        ({"src": "cs"}, 422, "language-not-covered", "tiny does not cover ces_Latn"),
        ({"k": 9}, 422, "k-too-large", "k=9 is more than the 8 sentences of en (eng_Latn); use k=8 or less"),
        ({"src": "one", "k": 1}, 422, "corpus-too-small", "one (deu_Latn) has 1 sentence"),
        ({"threshold": 2, "ceiling": 1.5}, 422, "invalid-threshold", "threshold 2 is above the ceiling 1.5"),
    ],
)
def test_mining_that_cannot_work_is_refused(
    api: Api, change: dict[str, Any], status: int, code: str, said: str
) -> None:
    refused = problem(api.http.post("/v1/mining-jobs", json={**JOB, **change}), status, code)
    assert said in refused["detail"]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"src": "../de"}, "body.src"),
        ({"src": None}, "body.src"),
        ({"k": "4"}, "body.k"),
        ({"k": True}, "body.k"),
        ({"k": 4.5}, "body.k"),
        ({"k": 0}, "body.k"),
        ({"k": 1025}, "body.k"),
        ({"k": 10**30}, "body.k"),
        ({"threshold": "1.1"}, "body.threshold"),
        ({"threshold": True}, "body.threshold"),
        ({"threshold": float("nan")}, "body.threshold"),
        ({"ceiling": float("-inf")}, "body.ceiling"),
        ({"ceiling": 1e300}, "body.ceiling"),
        ({"margin": "cosine"}, "body.margin"),
        ({"retrieval": 1}, "body.retrieval"),
        ({"allow_uncovered_languages": 1}, "body.allow_uncovered_languages"),
        ({"encoder": ""}, "body.encoder"),
        ({"encoder": "x" * 65}, "body.encoder"),
        ({"treshold": 1.1}, "body.treshold"),
        ({"\ud800\n": 1}, "body"),
    ],
)
def test_a_field_that_is_wrong_is_named(api: Api, change: dict[str, Any], where: str) -> None:
    body = json.dumps({**JOB, **change})
    answer = api.http.post("/v1/mining-jobs", content=body, headers={"Content-Type": "application/json"})
    refused = problem(answer, 422, "invalid-request")
    assert [error["where"].startswith(where) for error in refused["errors"]] == [True]


@pytest.mark.parametrize(
    "body", ["", "{", "nonsense", "[]", "null", "1", '"text"', "{}", b"\xff", '{"src": "de"}', "[" * 200_000]
)
def test_a_body_that_is_no_request_is_refused(api: Api, body: str | bytes) -> None:
    answer = api.http.post("/v1/mining-jobs", content=body, headers={"Content-Type": "application/json"})
    problem(answer, 422, "invalid-request")


def test_a_body_of_another_type_is_refused(api: Api) -> None:
    body = json.dumps(JOB).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        problem(api.http.post("/v1/mining-jobs", content=body, headers={"Content-Type": kind}), 422, "invalid-request")


@pytest.mark.parametrize("announced", [True, False])
def test_a_huge_body_is_refused(api: Api, announced: bool) -> None:
    body = json.dumps({**JOB, "note": "x" * (4 << 20)}).encode()
    content = body if announced else (body[start : start + 65536] for start in range(0, len(body), 65536))
    answer = api.http.post("/v1/mining-jobs", content=content, headers={"Content-Type": "application/json"})
    assert "1,048,576 bytes" in problem(answer, 413, "body-too-large")["detail"]


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/v1/corpora/nowhere", "corpus-not-found"),
        ("GET", "/v1/corpora/nowhere/refused", "corpus-not-found"),
        ("DELETE", "/v1/corpora/nowhere", "corpus-not-found"),
        ("GET", f"/v1/jobs/{UNKNOWN}", "job-not-found"),
        ("GET", "/v1/jobs/a%00b%ff", "job-not-found"),
        ("POST", f"/v1/jobs/{UNKNOWN}/cancel", "job-not-found"),
        ("DELETE", f"/v1/jobs/{UNKNOWN}", "job-not-found"),
        ("DELETE", f"/v1/bitexts/{UNKNOWN}", "bitext-not-found"),
        ("DELETE", "/v1/bitexts/%2e%2e", "bitext-not-found"),
        ("GET", f"/v1/bitexts/{UNKNOWN}", "bitext-not-found"),
        ("GET", "/v1/bitexts/%2e%2e", "bitext-not-found"),
        ("GET", f"/v1/bitexts/{UNKNOWN}/pairs", "bitext-not-found"),
        ("GET", f"/v1/bitexts/{UNKNOWN}/download", "bitext-not-found"),
        ("GET", "/v1/corpora/a/b", "not-found"),
        ("GET", "/v1/corpora/%2e%2e%2fx", "not-found"),
        ("GET", "/v1/corpora/", "not-found"),
        ("GET", "/v1/nothing", "not-found"),
    ],
)
def test_what_is_not_there_is_404(api: Api, method: str, path: str, code: str) -> None:
    request = api.http.build_request(method, api.url)
    request.url = request.url.copy_with(raw_path=path.encode())  # as it stands: no client tidies it up
    problem(api.http.send(request), 404, code)


@pytest.mark.parametrize("name", ["%2e%2e", "..%5cx", ".x", "Haus", "%C3%A4", "a%00", "a" * 64 + "b"])
def test_a_name_that_no_corpus_can_have_is_refused(api: Api, name: str) -> None:
    for method, path in (("GET", ""), ("GET", "/refused"), ("DELETE", "")):
        request = api.http.build_request(method, api.url)
        request.url = request.url.copy_with(raw_path=f"/v1/corpora/{name}{path}".encode())
        problem(api.http.send(request), 422, "invalid-request")


FAR = {"/v1/jobs": "0" * 22, "/v1/bitexts": f"0-{UNKNOWN}"}  # before the first
LISTS = ["/v1/corpora", "/v1/corpora/de/refused", "/v1/jobs", "/v1/bitexts"]


@pytest.mark.parametrize("path", LISTS)
def test_a_bad_cursor_or_limit_is_refused(api: Api, path: str) -> None:
    for cursor in ("", "!", "nonsense!", "cC0x", "x" * 100, "ä", "cDk5OTk5OTk5OTk5OTk5OTk5OTk5"):
        problem(api.http.get(path, params={"cursor": cursor}), 422, "invalid-cursor")
    for limit in ("0", "-1", "1001", "ten", "", "1.5", "9" * 30):
        refused = problem(api.http.get(path, params={"limit": limit}), 422, "invalid-request")
        assert refused["errors"][0]["where"] == "query.limit"
    far = FAR.get(path, "cDk5OTk5OTk5OTk5OTk5OTk5OQ")  # position 99999999999999999
    assert api.http.get(path, params={"cursor": far}).json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/corpora", {"GET", "POST"}),
        ("POST", "/v1/corpora/de", {"GET", "DELETE"}),
        ("GET", "/v1/mining-jobs", {"POST"}),
        ("DELETE", "/v1/jobs", {"GET"}),
        ("POST", "/livez", {"GET"}),
    ],
)
def test_another_method_is_405_and_says_which_are_allowed(api: Api, method: str, path: str, allowed: set[str]) -> None:
    answer = api.http.request(method, path)
    problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["allow"].split(", ")) == allowed


def test_bad_requests_are_answered_fast(api: Api) -> None:
    started = time.monotonic()
    for _ in range(50):
        problem(api.http.post("/v1/mining-jobs", json={}), 422, "invalid-request")
    assert time.monotonic() - started < 5
