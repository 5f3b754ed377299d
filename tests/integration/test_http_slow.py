"""Clients that are too slow, or too many: each is told so, where it listens, and holds nothing for long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest

from tests.integration.raw_http import Connection, connected, request
from tests.integration.service import Api, Service, numbered, service
from tests.integration.waiting import wait_until

FAST = {"header_seconds": "0.5", "body_seconds": "0.5", "send_seconds": "1"}
JSON = "Content-Type: application/json"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("slow")) as started:
        started.api.succeeded(started.api.upload("de", numbered("Haus", 9), "de"))
        yield started


@pytest.fixture(scope="module")
def impatient(running: Service) -> Api:
    return running.start_api(**FAST)


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
