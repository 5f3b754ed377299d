"""Paths, JSON and types made to hurt, over every route: refused with a problem document, never a 500."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.integration.routes import ROUTES, Route
from tests.integration.service import Api, Service, numbered, problem, service


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("inputs")) as started:
        started.api.succeeded(started.api.upload("de", numbered("Haus", 9), "de"))
        yield started


@pytest.fixture
def api(running: Service) -> Iterator[Api]:
    yield running.api
    assert running.api.http.get("/livez").status_code == 200
    assert "Traceback" not in running.api.process.log


TRICKS = [
    "..",
    "%2e%2e",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2fx",
    "..%252f..%252fx",
    "%2fetc%2fpasswd",
    "..%5c..%5cx",
    "%00",
    "de%00",
    "de%0d%0aX-Injected:%201",
    "%ff%fe",
    "%c0%ae%c0%ae",
    "x" * 5_000,
    "~root",
    ".hidden",
    "de.json",
    "CON",
    "%F0%9F%92%A9",
    "*",
    "%25",
    "-",
    "de;x=y",
    "a%2Fb",
]


@pytest.mark.parametrize("route", [route for route in ROUTES if route.parameters], ids=str)
def test_no_path_leads_out_of_where_it_should(running: Service, api: Api, route: Route) -> None:
    before = sorted(path for path in running.data_dir.rglob("*") if path.is_file() and "valkey" not in path.parts)
    for trick in TRICKS:
        path = route.at(dict.fromkeys(route.parameters, trick))
        built = api.http.build_request(
            route.method, api.url, json={} if route.method in ("POST", "PUT", "PATCH") else None
        )
        built.url = built.url.copy_with(raw_path=path.encode())
        answer = api.http.send(built)
        assert answer.status_code in (400, 404, 405, 409, 413, 415, 422, 428), (path, answer.status_code, answer.text)
        assert answer.headers["content-type"] == "application/problem+json", path
        assert "x-injected" not in answer.headers
    after = sorted(path for path in running.data_dir.rglob("*") if path.is_file() and "valkey" not in path.parts)
    assert after == before


NESTED = [
    "[" * 100_000 + "]" * 100_000,
    '{"a":' * 100_000 + "1" + "}" * 100_000,
    '{"src":' + "[" * 50_000 + "]" * 50_000 + "}",
    '{"k":' + "9" * 100_000 + "}",
    '{"k": 1e400}',
    '{"threshold": -1e400}',
    '{"src": "\\ud800"}',
    '{"src": "de", "src": "en", "tgt": null}',
    '{"' + "a" * 100_000 + '": 1}',
    "{" + ",".join(f'"a{n}": 1' for n in range(50_000)) + "}",
    "\ufeff{}",
    '{"src": "de"} {"src": "de"}',
    "NaN",
]


@pytest.mark.parametrize("route", [route for route in ROUTES if route.method == "POST"], ids=str)
def test_json_that_is_made_to_hurt_is_refused(api: Api, route: Route) -> None:
    path = route.at(dict.fromkeys(route.parameters, "0" * 22))
    for body in NESTED:
        answer = api.http.post(
            path, content=body.encode("utf-8", "surrogatepass"), headers={"Content-Type": "application/json"}
        )
        assert 400 <= answer.status_code < 500, (path, body[:40], answer.status_code, answer.text[:300])
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.content) < 100_000 or answer.status_code != 422, (
            "an answer is not as large as what it refuses"
        )


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/xml", "multipart/form-data; boundary=x", "", "*/*"],
)
def test_bodies_of_other_types_are_refused(api: Api, kind: str) -> None:
    body = json.dumps({"src": "de", "tgt": "en"}).encode()
    answer = api.http.post("/v1/mining-jobs", content=body, headers={"Content-Type": kind})
    problem(answer, 422, "invalid-request")
