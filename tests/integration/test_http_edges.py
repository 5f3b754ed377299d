"""What is no request, ends in two places or is too large: a problem document, and the service goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.integration.raw_http import connected, request
from tests.integration.service import Api, Service, numbered, service

JSON = "Content-Type: application/json"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("edges")) as started:
        started.api.succeeded(started.api.upload("de", numbered("Haus", 9), "de"))
        yield started


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
