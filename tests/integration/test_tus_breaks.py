"""Uploads in pieces that break off, of a real service, and what becomes of their files."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.service import Api, Service, numbered, problem, service
from tests.integration.tus import CONTENT, MEBIBYTE, PIECE, VERSION, begun, offset_of, send, uploaded, use
from tests.integration.waiting import wait_until


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("tus")) as started:
        yield started
        assert "Traceback" not in started.api.process.log + started.worker.log


@pytest.fixture(scope="module")
def api(running: Service) -> Api:
    return running.api


@pytest.fixture(scope="module")
def strict(running: Service) -> Api:
    """An API on the same data that has little patience."""
    return running.start_api(upload_stall_seconds="0.5", max_upload_bytes=str(4 * MEBIBYTE), max_unfinished_uploads="2")


@pytest.fixture(autouse=True)
def _nothing_is_left(running: Service) -> Iterator[None]:
    yield
    for path in running.uploads:
        path.unlink()


# --- breaking off


def head(path: str, offset: int, length: int, netloc: str, extra: str = "") -> bytes:
    lines = [f"PATCH {path} HTTP/1.1", f"Host: {netloc}", f"Content-Length: {length}", f"Upload-Offset: {offset}"]
    lines += [f"{name}: {value}" for name, value in PIECE.items()]
    return ("\r\n".join(lines) + f"\r\n{extra}\r\n").encode()


def test_what_came_before_a_client_went_away_is_kept(api: Api) -> None:
    path, place = begun(api, 2 * MEBIBYTE), urlsplit(api.url)
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(head(path, 0, 2 * MEBIBYTE, place.netloc) + b"x" * (MEBIBYTE + 5))
    wait_until(lambda: offset_of(api, path) == MEBIBYTE + 5, "what came is kept")
    wait_until(lambda: send(api, path, MEBIBYTE + 5, b"x").status_code == 204, "the lock is given back")


def test_a_stalled_piece_ends_with_408_and_what_came_is_kept(strict: Api) -> None:
    path, place = begun(strict, 100), urlsplit(strict.url)
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.settimeout(30)
        connection.sendall(head(path, 0, 100, place.netloc) + b"x" * 7)
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"upload-stalled" in answer
    assert offset_of(strict, path) == 7


def test_a_stalled_corpus_ends_with_408_and_nothing_is_kept(running: Service, strict: Api) -> None:
    place = urlsplit(strict.url)
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.settimeout(30)
        line = (
            f"POST /v1/corpora?name=stalled&lang=de HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: 99\r\n\r\nHaus"
        )
        connection.sendall(line.encode())
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert running.uploads == []
    assert strict.http.get("/v1/corpora/stalled").status_code == 404


def test_two_writers_on_two_processes_are_told_apart(api: Api, strict: Api) -> None:
    path, place = begun(api, 100), urlsplit(api.url)
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(head(path, 0, 100, place.netloc) + b"x" * 7)
        time.sleep(1)  # the writer comes first, for the other would keep it out as well
        wait_until(lambda: send(strict, path, 99, b"y").status_code == 423, "the other process is writing")
        problem(strict.http.delete(path, headers=VERSION), 423, "upload-locked")
        assert offset_of(strict, path) == 0, "what has not been written in blocks is not counted"
    wait_until(lambda: offset_of(strict, path) == 7, "what came is kept")


@pytest.mark.parametrize("checked", [True, False])
def test_an_api_that_is_killed_loses_nothing_that_it_acknowledged(running: Service, api: Api, checked: bool) -> None:
    victim = running.start_api()
    content = numbered("Haus", 60_000)
    path, place = begun(victim, len(content)), urlsplit(victim.url)
    assert send(victim, path, 0, content[:1000]).status_code == 204
    extra = f"Upload-Checksum: sha1 {base64.b64encode(bytes(20)).decode()}\r\n" if checked else ""
    file = running.data_dir / "uploads" / Path(path).name
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(head(path, 1000, len(content) - 1000, place.netloc, extra) + content[1000:-1000])
        wait_until(lambda: file.stat().st_size > MEBIBYTE, "some of the second piece is written")
        victim.process.kill()
    after = running.start_api()
    offset = offset_of(after, path)
    assert offset == 1000 if checked else offset > MEBIBYTE
    assert send(after, path, offset, content[offset:]).status_code == 204
    assert file.read_bytes() == content
    result = after.succeeded(use(after, f"killed-{checked}".lower(), file.name))
    assert result["sentences"] == 60_000


# --- what becomes of the file


def test_a_failed_job_keeps_its_file_for_another_try(running: Service, api: Api) -> None:
    """Here the name is taken meanwhile, which is not the file's fault."""
    api.succeeded(api.upload("wanted", numbered("Wort", 3)))
    api.http.delete("/v1/corpora/wanted").raise_for_status()
    upload = uploaded(api)
    with running.worker_paused():
        late = use(api, "wanted", upload)
        names = running.data_dir / "corpora"
        (names / "wanted.json").write_text("{")
    assert api.failed(late)["code"] == "artifact-damaged"
    assert offset_of(api, f"/v1/uploads/{upload}") == len(CONTENT)
    (names / "wanted.json").unlink()
    again = api.http.post(f"/v1/jobs/{late.json()['id']}/retry")
    assert api.succeeded(again)["sentences"] == 400
    assert running.uploads == []


def test_a_job_without_its_file_says_so(running: Service, api: Api) -> None:
    upload = uploaded(api)
    with running.worker_paused():
        job = use(api, "without", upload)
        for path in running.uploads:
            path.unlink()
    assert api.failed(job)["code"] == "upload-gone"


def test_a_cancelled_job_leaves_an_upload_in_pieces_for_the_next(running: Service, api: Api) -> None:
    upload = uploaded(api)
    with running.worker_paused():
        job = use(api, "cancelled", upload)
        whole = api.upload("cancelled-too", CONTENT)
        for accepted in (job, whole):
            cancelled = api.http.post(accepted.json()["links"]["cancel"])
            assert cancelled.json()["state"] == "cancelled"
    assert sorted(path.name for path in running.uploads) == [upload, f"{upload}.json"]
    assert api.succeeded(use(api, "second", upload))["sentences"] == 400


def test_a_file_at_fault_is_deleted(running: Service, api: Api) -> None:
    upload = uploaded(api, b"\xff\n\xff\n")
    assert api.failed(use(api, "fault", upload))["code"] == "empty-corpus"
    wait_until(lambda: running.uploads == [], "the file is deleted")
