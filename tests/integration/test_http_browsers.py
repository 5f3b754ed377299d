"""What browsers are told, and which web pages may use the service."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.raw_http import connected, request
from tests.integration.service import Api, Service, numbered, problem, service


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("browsers")) as started:
        started.api.succeeded(started.api.upload("de", numbered("Haus", 9), "de"))
        yield started


@pytest.fixture
def api(running: Service) -> Iterator[Api]:
    yield running.api
    assert running.api.http.get("/livez").status_code == 200
    assert "Traceback" not in running.api.process.log


def test_answers_say_what_browsers_and_caches_may_do_with_them(api: Api) -> None:
    for path in ("/livez", "/v1/corpora", "/v1/nothing", "/v1/corpora/de", "/docs", "/openapi.json"):
        headers = api.http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert ("default-src 'none'" in headers["content-security-policy"]) == (path != "/docs")
        assert (headers.get("cache-control") == "no-store") == path.startswith("/v1/")
        assert "server" not in headers


def test_pages_of_other_origins_get_nothing_by_default(api: Api) -> None:
    evil = {"Origin": "https://evil.example"}
    problem(api.http.get("/v1/corpora", headers=evil), 403, "origin-refused")
    problem(api.http.post("/v1/corpora?name=x&lang=de", content=b"x", headers=evil), 403, "origin-refused")
    problem(api.http.get("/v1/corpora", headers={"Origin": "null"}), 403, "origin-refused")
    preflight = {**evil, "Access-Control-Request-Method": "DELETE"}
    problem(api.http.options("/v1/corpora/de", headers=preflight), 403, "origin-refused")
    answer = api.http.get("/v1/corpora", headers={"Origin": api.url})
    assert answer.status_code == 200, "the service's own page may ask"
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_without_keys_only_this_machines_names_are_answered_to(api: Api) -> None:
    for host in (
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "10.0.0.1",
        "[::2]",
        "1",
        "",
    ):
        with connected(api.url) as connection:
            connection.send(request().replace(b"localhost", host.encode()))
            answer = connection.answer()
            assert answer is not None
            answer.problem(421, "host-refused")
    for host in ("localhost", "LOCALHOST:8000", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:8000"):
        with connected(api.url) as connection:
            connection.send(request().replace(b"localhost", host.encode()))
            answer = connection.answer()
            assert answer is not None
            assert answer.status == 200, host


def test_origins_that_are_allowed_are(running: Service) -> None:
    api = running.start_api(cors_origins="https://a.example, http://localhost:5173")
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type, idempotency-key",
    }
    for origin in ("https://a.example", "http://localhost:5173"):
        preflight = api.http.options("/v1/mining-jobs", headers={"Origin": origin, **asked})
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == origin
        assert "POST" in preflight.headers["access-control-allow-methods"]
        answer = api.http.get("/v1/corpora", headers={"Origin": origin})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == origin
        assert "access-control-allow-credentials" not in answer.headers
        assert "Retry-After" in answer.headers["access-control-expose-headers"]
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    for origin in ("https://b.example", "http://a.example", "https://a.example.evil.example", "null"):
        refused = problem(
            api.http.options("/v1/mining-jobs", headers={"Origin": origin, **asked}), 403, "origin-refused"
        )
        assert "origin" in refused["detail"]
        problem(api.http.get("/v1/corpora", headers={"Origin": origin}), 403, "origin-refused")
