"""Uploads that cannot be used: each has its own problem, and none leaves a file behind."""

from __future__ import annotations

import gzip
import re
import socket
import zlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.integration.service import Api, Service, numbered, problem, service, text_of
from tests.integration.waiting import wait_until

UPLOAD_LIMIT = 100_000
EXPANDED_LIMIT = 200_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("uploads")) as started:
        yield started


@pytest.fixture(scope="module")
def api(running: Service) -> Api:
    return running.api


@pytest.fixture(scope="module")
def strict(running: Service) -> Api:
    """An API on the same data that takes little."""
    return running.start_api(max_upload_bytes=str(UPLOAD_LIMIT), max_expanded_bytes=str(EXPANDED_LIMIT))


@pytest.fixture(autouse=True)
def _nothing_is_left(running: Service) -> Iterator[None]:
    yield
    assert running.uploads == []
    assert "Traceback" not in running.api.process.log + running.worker.log


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        (
            "text",
            b"gut",
            [
                (b"caf\xe9", "not-utf8", "not UTF-8: byte 0xe9 at position 3"),
                (b"a\x00b", "control-character", "control character U+0000 at position 1"),
                (b"x" * 10_000_000, "too-long", "10,000 characters"),
                (b"x" * 10_001, "too-long", "10,001 characters"),
            ],
        ),
        (
            "jsonl",
            b'{"text": "gut"}',
            [
                (b'{"text": 1}', "bad-record", 'not an object with a string "text"'),
                (b'{"text": "gut", "id": []}', "bad-record", '"id" is neither a string nor an integer'),
                (b"gut", "bad-record", "not JSON: "),
                (b"[" * 9_999, "bad-record", "not JSON: "),
                (b'{"text": "\\ud800"}', "control-character", "control character U+D800 at position 0"),
            ],
        ),
        ("id-tsv", b"1\tgut", [(b"no tab", "bad-record", "no tab between id and sentence")]),
    ],
)
def test_bad_lines_are_refused_and_the_others_are_used(
    api: Api, form: str, good: bytes, bad: list[tuple[bytes, str, str]]
) -> None:
    result = api.succeeded(api.upload(form, b"\n".join([good, *(line for line, _, _ in bad)]), format=form))
    assert (result["sentences"], sum(result["refused"].values())) == (1, len(bad))
    refused = api.http.get(f"/v1/corpora/{form}/refused").json()["items"]
    assert [(line["line"], line["reason"]) for line in refused] == [
        (number, reason) for number, (_, reason, _) in enumerate(bad, start=2)
    ]
    for line, (_, _, detail) in zip(refused, bad, strict=True):
        assert detail in line["detail"]
        assert len(line["detail"]) < 200


def _bomb(megabytes: int) -> bytes:
    """Zeros by the megabyte, a thousandth of their size."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(megabytes)) + packer.flush()


UNUSABLE = [
    (gzip.compress(numbered("Haus", 5000), mtime=0)[:-500], "truncated-input", "bad.gz is truncated"),
    (gzip.compress(b"Haus\n", mtime=0) + b"\x1f\x8bnonsense", "corrupt-input", "bad.gz is damaged"),
    (b"\x28\xb5\x2f\xfdnonsense", "corrupt-input", "bad.gz is damaged"),
    (_bomb(200), "decompression-bomb", "bad.gz expands more than 250 times"),
    (b"\n \n\xff\n", "empty-corpus", "bad.gz holds no usable sentence: 3 lines, all refused (2 empty, 1 not-utf8)"),
    (gzip.compress(b"", mtime=0), "empty-corpus", "bad.gz is empty"),
]


def test_a_file_that_cannot_be_used_fails_its_job(api: Api) -> None:
    accepted = [api.upload(f"bad-{n}", content, source="bad.gz") for n, (content, _, _) in enumerate(UNUSABLE)]
    for number, (answer, (_, code, detail)) in enumerate(zip(accepted, UNUSABLE, strict=True)):
        error = api.failed(answer)
        assert error["code"] == code
        assert error["detail"].startswith(detail)
        problem(api.http.get(f"/v1/corpora/bad-{number}"), 404, "corpus-not-found")


def test_text_that_expands_beyond_the_limit_fails_its_job(strict: Api) -> None:
    error = strict.failed(strict.upload("bad", gzip.compress(numbered("Haus", 20_000)[: EXPANDED_LIMIT + 1])))
    assert error["code"] == "input-too-large"
    assert "200,000" in error["detail"]


def test_a_form_is_refused_with_a_hint(api: Api) -> None:
    form = {"file": ("news.de", b"Haus\n")}
    answer = api.http.post("/v1/corpora", params={"name": "form", "lang": "de"}, files=form)
    assert "use -T FILE or --data-binary @FILE" in problem(answer, 422, "unsupported-input")["detail"]


def test_an_empty_upload_is_refused(api: Api) -> None:
    problem(api.upload("nothing", b""), 422, "empty-corpus")
    problem(api.upload("nothing", iter([b""])), 422, "empty-corpus")


@pytest.mark.parametrize("size", [UPLOAD_LIMIT + 1, 100 << 20])
@pytest.mark.parametrize("announced", [True, False])
def test_an_upload_over_the_limit_is_refused(strict: Api, size: int, announced: bool) -> None:
    """Also to a client that sends all of a large file before it looks for an answer."""
    content = (b"x" * (64 << 10) for _ in range(size // (64 << 10) + 1))
    headers = {"Content-Length": str(size)} if announced else {}
    body = _exactly(content, size) if announced else content
    query = {"name": "large", "lang": "de"}
    refusal = problem(
        strict.http.post("/v1/corpora", params=query, content=body, headers=headers), 413, "upload-too-large"
    )
    assert "100,000" in refusal["detail"]
    assert strict.http.get("/livez").status_code == 200


def _exactly(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[:size]
        size -= len(chunk)
        if size <= 0:
            return


@pytest.mark.parametrize("lang", ["", "xx-nonsense", "klingonisch", "und", "../x", "d\x00e"])
def test_an_unknown_language_is_refused(api: Api, lang: str) -> None:
    problem(api.upload("lang", b"Haus", lang), 422, "unknown-language")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", ".hidden", "Haus", "ä", "a b", "a\n", "a\x00", "a" * 65]
)
def test_a_name_that_could_be_a_path_is_refused(api: Api, running: Service, name: str) -> None:
    before = sorted(running.data_dir.rglob("*"))
    refused = problem(api.upload(name, b"Haus"), 422, "invalid-request")
    assert refused["errors"][0]["where"] == "query.name"
    assert sorted(running.data_dir.rglob("*")) == before


@pytest.mark.parametrize(
    "query", ["lang=de", "name=x", "name=x&lang=de&format=docx", f"name=x&lang=de&source={'s' * 201}"]
)
def test_a_missing_or_wrong_parameter_is_named(api: Api, query: str) -> None:
    problem(api.http.post(f"/v1/corpora?{query}", content=b"Haus"), 422, "invalid-request")


def test_a_taken_name_is_refused_from_the_first_moment(running: Service, api: Api) -> None:
    with running.worker_paused():
        first = api.upload("taken", text_of("eins"))
        problem(api.upload("taken", text_of("zwei")), 409, "corpus-exists")
    api.succeeded(first)
    problem(api.upload("taken", text_of("zwei")), 409, "corpus-exists")


@pytest.mark.parametrize("sent", [b"", b"Haus\n", b"Haus\n" * 600_000])
def test_a_client_that_goes_away_leaves_nothing(running: Service, api: Api, sent: bytes) -> None:
    jobs = len(api.http.get("/v1/jobs").json()["items"])
    place = urlsplit(api.url)
    with socket.create_connection((place.hostname, place.port)) as connection:
        head = f"POST /v1/corpora?name=left&lang=de HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: 9000000\r\n\r\n"
        connection.sendall(head.encode() + sent)
        wait_until(lambda: running.uploads, "the upload begins")
    wait_until(lambda: not running.uploads, "the upload is removed")
    assert len(api.http.get("/v1/jobs").json()["items"]) == jobs
    assert not re.search(r"ERROR|Exception", api.process.log)
