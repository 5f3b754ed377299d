"""Uploads in pieces, to a real service: what tus clients rely on, and what must not happen whatever they send."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.integration.service import Api, Service, numbered, problem, service
from tests.integration.waiting import wait_until

VERSION = {"Tus-Resumable": "1.0.0"}
PIECE = {**VERSION, "Content-Type": "application/offset+octet-stream"}
CONTENT = numbered("Haus", 400)
HALF = len(CONTENT) // 2
MEBIBYTE = 1 << 20


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


def begun(api: Api, length: int = len(CONTENT), **headers: str) -> str:
    """The path of a new upload."""
    answer = api.http.post("/v1/uploads", headers={**VERSION, "Upload-Length": str(length), **headers})
    assert answer.status_code == 201, answer.text
    assert answer.headers["upload-offset"] == "0"
    return answer.headers["location"]


def send(api: Api, path: str, offset: int, piece: object, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.http.patch(path, content=piece, headers={**PIECE, "Upload-Offset": str(offset), **named})  # type: ignore[arg-type]


def offset_of(api: Api, path: str) -> int:
    answer = api.http.head(path, headers=VERSION)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return int(answer.headers["upload-offset"])


def uploaded(api: Api, content: bytes = CONTENT, **headers: str) -> str:
    """The id of a finished upload."""
    path = begun(api, len(content), **headers)
    assert send(api, path, 0, content).status_code == 204
    return path.rpartition("/")[2]


def use(api: Api, name: str, upload: str, **query: str) -> httpx.Response:
    return api.http.post("/v1/corpora", params={"name": name, "lang": "de", "upload": upload, **query})


# --- the protocol


def test_a_client_learns_what_is_spoken(api: Api, strict: Api) -> None:
    answer = strict.http.options("/v1/uploads")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == answer.headers["tus-resumable"] == "1.0.0"
    assert answer.headers["tus-extension"] == "creation,expiration,checksum,termination"
    assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256,md5"
    assert answer.headers["tus-max-size"] == str(4 * MEBIBYTE)


def test_a_file_in_pieces_becomes_a_corpus_without_a_copy(running: Service, api: Api) -> None:
    filename = base64.b64encode(b"zeitung.txt").decode()
    path = begun(api, **{"Upload-Metadata": f"filename {filename},other"})
    assert offset_of(api, path) == 0
    first = send(api, path, 0, CONTENT[:HALF])
    assert (first.status_code, first.headers["upload-offset"]) == (204, str(HALF))
    assert parsedate_to_datetime(first.headers["upload-expires"]).timestamp() > time.time() + 80_000
    assert offset_of(api, path) == HALF
    assert api.http.head(path, headers=VERSION).headers["upload-metadata"] == f"filename {filename},other"
    upload = path.rpartition("/")[2]
    detail = problem(use(api, "pieces", upload), 409, "upload-incomplete")["detail"]
    assert f"{HALF:,} of {len(CONTENT):,} bytes" in detail
    inode = (running.data_dir / "uploads" / upload).stat().st_ino
    with running.worker_paused():
        assert send(api, path, HALF, CONTENT[HALF:]).status_code == 204
        assert api.http.head(path, headers=VERSION).headers["upload-length"] == str(len(CONTENT))
        job = use(api, "pieces", upload)
        assert job.status_code == 202
        assert "upload" not in job.json()["request"]
        assert (running.data_dir / "uploads" / upload).stat().st_ino == inode
        problem(api.http.delete(path, headers=VERSION), 409, "upload-in-use")
        problem(use(api, "pieces-again", upload), 409, "upload-in-use")
    result = api.succeeded(job)
    assert (result["sentences"], result["version"]) == (400, 1)
    assert api.http.get("/v1/corpora/pieces").json()["source"] == "zeitung.txt"
    assert running.uploads == []
    assert api.http.head(path, headers=VERSION).status_code == 404


def test_an_upload_is_appended_too(running: Service, api: Api) -> None:
    api.succeeded(api.upload("grows", numbered("Haus", 10)))
    upload = uploaded(api, numbered("Haus", 25))
    result = api.succeeded(api.http.post("/v1/corpora/grows/append", params={"upload": upload}))
    assert (result["sentences"], result["duplicates"], result["version"]) == (25, 10, 2)
    assert running.uploads == []


def test_a_piece_elsewhere_is_a_conflict(api: Api) -> None:
    path = begun(api)
    send(api, path, 0, CONTENT[:10])
    for offset in (0, 9, 11, len(CONTENT)):
        problem(send(api, path, offset, b"x"), 409, "upload-offset")
    assert offset_of(api, path) == 10
    assert send(api, path, 10, b"").status_code == 204


def test_more_than_was_announced_is_refused(api: Api) -> None:
    path = begun(api, 10)
    problem(send(api, path, 0, b"x" * 11), 413, "upload-too-large")
    assert offset_of(api, path) == 0, "the length of the body tells at once"
    problem(send(api, path, 0, iter([b"x" * MEBIBYTE, b"x" * MEBIBYTE])), 413, "upload-too-large")
    assert send(api, path, 0, b"x" * 10).status_code == 204
    problem(send(api, path, 10, b"x"), 413, "upload-too-large")


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
def test_a_piece_with_a_wrong_checksum_is_not_kept(api: Api, algorithm: str) -> None:
    path = begun(api)
    digests = [
        f"{algorithm} {base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"
        for content in (CONTENT[:HALF], CONTENT)
    ]
    assert send(api, path, 0, CONTENT[:HALF], Upload_Checksum=digests[0]).status_code == 204
    problem(send(api, path, HALF, CONTENT[HALF:], Upload_Checksum=digests[1]), 460, "upload-checksum-mismatch")
    assert offset_of(api, path) == HALF


@pytest.mark.parametrize(
    ("header", "status", "code"),
    [
        ("crc32 AAAA", 400, "checksum-unsupported"),
        ("", 400, "checksum-unsupported"),
        ("sha1", 422, "invalid-upload-checksum"),
        ("sha1 AAAA", 422, "invalid-upload-checksum"),
        ("sha1 not base64", 422, "invalid-upload-checksum"),
        ("x" * 500, 422, "invalid-request"),
    ],
)
def test_a_bad_checksum_is_refused_before_anything_is_written(api: Api, header: str, status: int, code: str) -> None:
    path = begun(api)
    problem(send(api, path, 0, CONTENT, Upload_Checksum=header), status, code)
    assert offset_of(api, path) == 0


def test_an_upload_is_deleted(running: Service, api: Api) -> None:
    path = begun(api)
    send(api, path, 0, b"x")
    answer = api.http.delete(path, headers=VERSION)
    assert (answer.status_code, answer.headers["tus-resumable"]) == (204, "1.0.0")
    assert running.uploads == []
    problem(api.http.delete(path, headers=VERSION), 404, "upload-not-found")
    problem(send(api, path, 1, b"x"), 404, "upload-not-found")


@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE"])
def test_another_version_of_the_protocol_is_refused(api: Api, method: str) -> None:
    path = "/v1/uploads" if method == "POST" else begun(api)
    headers = {**PIECE, "Tus-Resumable": "0.2.2", "Upload-Length": "1", "Upload-Offset": "0"}
    answer = api.http.request(method, path, headers=headers)
    assert (answer.status_code, answer.headers["tus-version"]) == (412, "1.0.0")
    del headers["Tus-Resumable"]
    assert api.http.request(method, path, headers=headers).status_code == 422


@pytest.mark.parametrize("length", ["", "-1", "x", "1.5", str(1 << 60), "١"])
def test_a_length_that_is_none_is_refused(api: Api, length: str) -> None:
    headers = {**VERSION, "Upload-Length": length.encode()}
    problem(api.http.post("/v1/uploads", headers=headers), 422, "invalid-request")  # type: ignore[arg-type]


def test_too_much_is_refused_at_once(strict: Api) -> None:
    headers = {**VERSION, "Upload-Length": str(4 * MEBIBYTE + 1)}
    problem(strict.http.post("/v1/uploads", headers=headers), 413, "upload-too-large")
    begun(strict, 4 * MEBIBYTE)
    begun(strict)
    problem(strict.http.post("/v1/uploads", headers={**VERSION, "Upload-Length": "1"}), 429, "too-many-uploads")


def test_other_bodies_are_refused(api: Api) -> None:
    path = begun(api)
    for kind in ("application/octet-stream", "multipart/form-data; boundary=x", ""):
        answer = api.http.patch(path, content=b"x", headers={**PIECE, "Content-Type": kind, "Upload-Offset": "0"})
        problem(answer, 415, "unsupported-media-type")
    answer = api.http.post("/v1/uploads", headers={**VERSION, "Upload-Length": "1", "Upload-Metadata": "a b c"})
    problem(answer, 422, "invalid-upload-metadata")


@pytest.mark.parametrize("name", ["0" * 32, "x" * 32, "../corpora", "%2e%2e%2fcorpora", "a" * 33, "A" * 32])
def test_other_ids_name_nothing(api: Api, name: str) -> None:
    answer = api.http.delete(f"/v1/uploads/{name}", headers=VERSION)
    assert answer.status_code in (404, 405, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_expired_upload_is_gone_and_the_worker_removes_it(running: Service, api: Api) -> None:
    upload = uploaded(api)
    os.utime(running.data_dir / "uploads" / upload, (1, 1))
    os.utime(running.data_dir / "uploads" / f"{upload}.json", (1, 1))
    answer = api.http.delete(f"/v1/uploads/{upload}", headers=VERSION)
    assert answer.status_code in (404, 410)
    assert use(api, "expired", upload).status_code in (404, 410)
    wait_until(lambda: running.uploads == [], "the worker removes it")


def test_exactly_one_file_must_be_given(api: Api) -> None:
    upload = uploaded(api)
    answer = api.http.post("/v1/corpora", params={"name": "two", "lang": "de", "upload": upload}, content=b"Haus\n")
    problem(answer, 422, "invalid-parameter")
    problem(use(api, "two", upload, path="/x"), 422, "invalid-parameter")
    problem(use(api, "two", "0" * 32), 404, "upload-not-found")
    problem(use(api, "two", "../corpora/x"), 422, "invalid-request")
    assert api.failed(use(api, "nothing", uploaded(api, b"")))["code"] == "empty-corpus"


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
