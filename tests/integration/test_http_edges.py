"""What is no request, or one too many, too large or too slow: each gets a problem document, and the service goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest

from tests.integration.raw_http import Connection, connected, request
from tests.integration.routes import ROUTES, Route
from tests.integration.service import Api, Service, numbered, problem, service
from tests.integration.waiting import wait_until

FAST = {"header_seconds": "0.5", "body_seconds": "0.5", "send_seconds": "1"}
JSON = "Content-Type: application/json"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("edges")) as started:
        started.api.succeeded(started.api.upload("de", numbered("Haus", 9), "de"))
        started.api.succeeded(started.api.upload("en", numbered("house", 9), "en"))
        yield started


@pytest.fixture(scope="module")
def impatient(running: Service) -> Api:
    return running.start_api(**FAST)


@pytest.fixture
def api(running: Service) -> Iterator[Api]:
    yield running.api
    assert running.api.http.get("/livez").status_code == 200
    assert "Traceback" not in running.api.process.log


NO_REQUESTS = [
    b"nonsense\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40 + b"\r\n\r\n",  # TLS
    b"GET /livez HTTP/1.1\r\n\r\n",  # no Host
    b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /li vez HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /livez\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost : localhost\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n",
    request("/v1/plan", "Content-Length: -1"),
    request("/v1/plan", "Content-Length: 1", "Content-Length: 2"),
    request("/v1/plan", "Content-Length: 0x1"),
    request("/v1/plan", "Content-Length: +1"),
    request("/v1/plan", "Content-Length: " + "9" * 40),
]


@pytest.mark.parametrize("sent", NO_REQUESTS)
def test_what_is_no_request_is_refused_and_the_connection_closed(api: Api, sent: bytes) -> None:
    with connected(api.url) as connection:
        connection.send(sent)
        answer = connection.answer()
        assert answer is not None
        answer.problem(400, "invalid-http")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert connection.closed()


SMUGGLED = request("/livez")
TWO_ENDS = [
    request("/v1/mining-jobs", "Content-Length: 4", "Transfer-Encoding: chunked", method="POST", body=b"0\r\n\r\n"),
    request("/v1/mining-jobs", "Transfer-Encoding: chunked", "Content-Length: 5", method="POST", body=b"0\r\n\r\n"),
    request("/v1/corpora?name=x&lang=de", "Content-Length: 9", "Transfer-Encoding: chunked", method="POST")
    + b"0\r\n\r\n",
    request("/v1/plan", "Transfer-Encoding: chunked", body=b"0\r\n\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"),
]


@pytest.mark.parametrize("sent", TWO_ENDS)
def test_a_body_that_ends_in_two_places_is_refused_and_nothing_after_it_is_read(api: Api, sent: bytes) -> None:
    with connected(api.url) as connection:
        connection.send(sent + SMUGGLED)
        answer = connection.answer()
        assert answer is not None
        answer.problem(400, "invalid-http")
        assert connection.answer() is None, "what followed was taken for a request"


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Transfer-Encoding: gzip, chunked", 501),
        ("Transfer-Encoding: identity", 501),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 501),
        ("Transfer-Encoding : chunked", 400),
        ("Transfer-Encoding:\x0bchunked", 400),
        ("Transfer-Encoding: xchunked", 501),
    ],
)
def test_other_ways_to_write_a_body_are_refused(api: Api, header: str, status: int) -> None:
    with connected(api.url) as connection:
        connection.send(request("/v1/mining-jobs", header, method="POST", body=b"0\r\n\r\n" + SMUGGLED))
        answer = connection.answer()
        assert answer is not None
        answer.problem(status, "invalid-http")
        assert connection.answer() is None


@pytest.mark.parametrize("chunk", [b"zz\r\n{}\r\n", b"-1\r\n", b"2\r\n{}xx\r\n", b"f" * 30 + b"\r\n{}\r\n"])
def test_a_chunk_that_is_none_is_refused(api: Api, chunk: bytes) -> None:
    with connected(api.url) as connection:
        connection.send(request("/v1/mining-jobs", JSON, "Transfer-Encoding: chunked", method="POST") + chunk)
        answer = connection.answer()
        assert answer is not None
        assert answer.problem(400, "invalid-http")["instance"] == "/v1/mining-jobs"


@pytest.mark.parametrize(
    "sent",
    [
        request("/" + "x" * 40_000),
        request("/livez?" + "x" * 40_000),
        request("/livez", "X: " + "x" * 40_000),
        request("/livez", *[f"X-{n}: {'x' * 100}" for n in range(400)]),
        request("/livez", "Cookie: " + "a=b; " * 8_000),
        b"GET /" + b"x" * 200_000,  # and no end
        request("/livez", "X: " + "x" * 200_000)[:-4],
        request("/livez", *["a:" for n in range(20_000)]),
    ],
)
@pytest.mark.parametrize("piece", [1 << 20, 4_000])
def test_large_heads_are_refused(api: Api, sent: bytes, piece: int) -> None:
    with connected(api.url) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):  # it may be refused before all is sent
            for start in range(0, len(sent), piece):
                connection.send(sent[start : start + piece])
        answer = connection.answer()
        assert answer is not None
        answer.problem(431, "headers-too-large")


def test_heads_up_to_the_limit_are_taken(api: Api) -> None:
    assert api.http.get("/livez", headers={"X": "x" * 30_000}).status_code == 200
    assert api.http.get("/v1/plan", params={"src": "x" * 30_000}).status_code == 422


@pytest.mark.parametrize("begun", [b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: 1", b"G"])
def test_heads_that_take_too_long_are_refused(impatient: Api, begun: bytes) -> None:
    with connected(impatient.url) as connection:
        connection.send(begun)
        answer = connection.answer()
        assert answer is not None
        answer.problem(408, "request-timeout")
        assert connection.closed()


def test_a_head_that_drips_is_refused_also_on_a_connection_in_use(impatient: Api) -> None:
    with connected(impatient.url) as connection:
        connection.send(request("/livez"))
        first = connection.answer()
        assert first is not None
        assert first.status == 200
        connection.socket.settimeout(0.05)
        connection.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")
        for _ in range(200):
            try:
                connection.send(b"X: 1\r\n")
                answer = connection.answer()
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                raise AssertionError("closed without an answer") from None
            break
        assert answer is not None
        answer.problem(408, "request-timeout")


def test_a_connection_that_says_nothing_is_closed(impatient: Api) -> None:
    with connected(impatient.url) as connection:
        assert connection.answer() is None


@pytest.mark.parametrize("header", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_bodies_that_drip_are_refused(impatient: Api, header: str) -> None:
    drop = b"1\r\nx\r\n" if "chunked" in header else b"x"
    with connected(impatient.url) as connection:
        connection.send(request("/v1/mining-jobs", JSON, header, method="POST"))
        connection.socket.settimeout(0.05)
        for _ in range(200):
            try:
                connection.send(drop)
                answer = connection.answer()
            except TimeoutError:
                continue
            break
        assert answer is not None
        answer.problem(408, "request-timeout")


def test_who_drips_on_after_a_refusal_is_cut_off(impatient: Api) -> None:
    """The rest of a refused upload is read, so that the refusal arrives, but not for ever."""
    with connected(impatient.url) as connection:
        connection.send(request("/v1/corpora?name=de&lang=de", "Content-Length: 100000000", method="POST", body=b"x"))
        answer = connection.answer()
        assert answer is not None
        answer.problem(409, "corpus-exists")
        connection.socket.settimeout(0.1)
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            try:
                connection.send(b"x")
                if connection.closed():
                    break
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                break
        else:
            raise AssertionError("it goes on for ever")


def test_the_rest_of_a_refused_body_does_not_become_a_request(api: Api) -> None:
    rest = request("/livez")
    length = f"Content-Length: {len(rest) + 1}"
    with connected(api.url) as connection:
        connection.send(request("/v1/corpora?name=de&lang=de", length, method="POST", body=b"x"))
        first = connection.answer()
        assert first is not None
        first.problem(409, "corpus-exists")
        connection.send(rest + request("/v1/plan"))
        second = connection.answer()
        assert second is not None
        second.problem(422, "invalid-parameter")  # of /v1/plan, not 200 of /livez


def test_a_client_that_reads_nothing_of_its_answers_is_dropped(impatient: Api) -> None:
    with connected(impatient.url) as connection:
        connection.socket.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                connection.socket.send(request("/openapi.json") * 50)
        wait_until(lambda: _is_reset(connection), "the connection is reset")


def _is_reset(connection: Connection) -> bool:
    try:
        connection.socket.send(b"x")
    except BlockingIOError:
        return False
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False


def test_connections_over_the_limit_get_503_and_probes_are_answered(running: Service) -> None:
    api = running.start_api(max_connections="4")
    with ExitStack() as stack:
        held = [stack.enter_context(connected(api.url)) for _ in range(6)]
        answers = []
        for connection in held:
            connection.send(request("/v1/encoders"))
            answers.append(connection.answer())
        statuses = [answer.status for answer in answers if answer]
        assert statuses == [200] * 4 + [503] * 2
        refused = answers[-1]
        assert refused is not None
        refused.problem(503, "overloaded")
        assert refused.headers["retry-after"] == "1"
        assert "x-request-id" in refused.headers
        with connected(api.url) as probe:
            probe.send(request("/livez"))
            answer = probe.answer()
            assert answer is not None
            assert answer.status == 200
        more = [stack.enter_context(connected(api.url)) for _ in range(20)]
        cut = sum(connection.answer() is None for connection in more[8:])
        assert cut == 12, "far too many are not served at all"
    wait_until(lambda: _status(api, "/v1/encoders") == 200, "there is room again")


def _status(api: Api, path: str) -> int:
    return httpx.get(f"{api.url}{path}").status_code


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
