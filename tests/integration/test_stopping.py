"""An API that is told to stop: it is avoided first, ends what it has begun, and then goes."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.service import ENCODER, Api, Service, numbered, service
from tests.integration.waiting import wait_until


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("stopping")) as started:
        yield started


def ready(api: Api) -> bool:
    return api.http.get("/readyz").status_code == 200


def stopped(api: Api) -> None:
    wait_until(lambda: not api.process.running, "the process has ended")
    assert "Traceback" not in api.process.log


def accepts(api: Api) -> bool:
    host, port = api.url.removeprefix("http://").split(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return False
    return True


def test_it_goes_on_answering_while_load_balancers_notice(running: Service) -> None:
    api = running.start_api(drain_seconds="3600")
    wait_until(lambda: ready(api), "it is ready")
    api.process.send(signal.SIGTERM)
    wait_until(lambda: not ready(api), "it says that it stops")
    failing = [check["name"] for check in api.http.get("/readyz").json()["checks"] if not check["ok"]]
    assert failing == ["stopping"]
    answer = api.http.post("/v1/embeddings", json={"model": ENCODER, "input": "still"})
    assert answer.status_code == 200
    assert answer.headers["connection"] == "close"
    with httpx.Client(base_url=api.url) as fresh:  # a new connection
        assert fresh.get("/livez").status_code == 200
    assert api.process.running
    api.process.send(signal.SIGTERM)  # it has drained for long enough
    stopped(api)


def test_by_itself_it_ends_when_the_time_to_drain_is_over(running: Service) -> None:
    api = running.start_api(drain_seconds="0.5")
    api.process.send(signal.SIGTERM)
    stopped(api)
    assert "Application shutdown complete" in api.process.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_upload_and_a_download_that_have_begun_are_ended(running: Service, number: signal.Signals) -> None:
    """The upload's last part is sent, and most of the download read, once the socket is closed already."""
    for name, word in (("left", "Haus"), ("right", "house")):
        if running.api.http.get(f"/v1/corpora/{name}").status_code == 404:
            running.api.succeeded(running.api.upload(name, numbered(word, 400), "de" if name == "left" else "en"))
    bitext = running.api.succeeded(running.api.mine("left", "right", threshold=None))["bitext"]
    api = running.start_api(shutdown_seconds="60")
    expected = api.http.get(f"/v1/bitexts/{bitext}/download").content
    go_on = threading.Event()
    answers: list[httpx.Response] = []

    def body() -> Iterator[bytes]:
        yield numbered("erst", 10)
        go_on.wait(60)
        yield numbered("dann", 10)

    def upload() -> None:
        answers.append(api.upload(f"late-{number.name.lower()}", body()))

    uploading = threading.Thread(target=upload)
    uploading.start()
    wait_until(lambda: running.uploads, "the upload has begun")
    with httpx.stream("GET", f"{api.url}/v1/bitexts/{bitext}/download") as download:
        chunks = download.iter_raw(100)
        received = next(chunks)
        api.process.send(number)
        wait_until(lambda: not accepts(api), "it takes no more connections")
        time.sleep(0.5)  # during which it must not end
        assert api.process.running
        received += b"".join(chunks)
    assert received == expected
    go_on.set()
    uploading.join()
    stopped(api)
    assert answers[0].status_code == 202
    result = running.api.succeeded(answers[0])
    assert result["lines"] == 20


def test_a_request_that_never_ends_is_cut_when_its_time_is_over(running: Service) -> None:
    api = running.start_api(shutdown_seconds="0.5")
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as stuck:
        stuck.sendall(
            b"POST /v1/corpora?name=stuck&lang=de HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nxyz"
        )
        wait_until(lambda: running.uploads, "the upload has begun")
        api.process.send(signal.SIGTERM)
        wait_until(lambda: not api.process.running, "it has ended all the same")
    wait_until(lambda: not running.uploads, "nothing is left of it")


def test_the_application_knows_when_to_end_what_would_go_on(tmp_path: Path) -> None:
    """`app.state.stopping`, for streams of events: set when draining is over, not before."""
    import asyncio

    import uvicorn
    from fastapi import FastAPI

    from bitextmine_service.server import Server, set_up

    app = FastAPI()
    set_up(app.state)
    seen: list[tuple[bool, bool]] = []

    async def scenario() -> None:
        config = uvicorn.Config(app, port=0, log_config=None, lifespan="off")
        server = Server(config, app.state, drain_seconds=0.5)
        serving = asyncio.create_task(server._serve())
        while not server.started:
            await asyncio.sleep(0.01)
        seen.append((app.state.draining, app.state.stopping.is_set()))
        server.handle_exit(signal.SIGTERM, None)
        await asyncio.sleep(0)
        seen.append((app.state.draining, app.state.stopping.is_set()))
        await asyncio.wait_for(app.state.stopping.wait(), 20)
        seen.append((app.state.draining, app.state.stopping.is_set()))
        await serving

    asyncio.run(scenario())
    assert seen == [(False, False), (True, False), (True, True)]
