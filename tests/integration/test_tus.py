"""Uploads in pieces, to a real service: what tus clients rely on, and what must not happen whatever they send."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest

from tests.integration.service import Api, Service, numbered, problem, service
from tests.integration.tus import CONTENT, HALF, MEBIBYTE, PIECE, VERSION, begun, offset_of, send, uploaded, use
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
