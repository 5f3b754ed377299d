"""What the client makes of answers and of their absence: repeats, pauses, errors. Both clients do the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from bitextmine.client import ServiceError, answers
from bitextmine.client.steps import Call, Repeats, Send, Sleep
from bitextmine.errors import ParameterError
from tests.either_client import MODES, asked
from tests.scripted_server import Reply, ScriptedServer, Seen, refusal, scripted_server

JOB = {"id": "a" * 22, "kind": "mine", "state": "queued", "request": {}, "created": "2026-01-02T03:04:05Z"}
ALIVE = {"live": True, "version": "1"}
CORPUS = {
    "name": "a",
    "lang": "deu_Latn",
    "digest": "0",
    "source": "a.txt",
    "created": "2026-01-02T03:04:05Z",
    "lines": 1,
    "sentences": 1,
    "duplicates": 0,
    "refused": {},
    "invented_later": [1],
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "FIRST_PAUSE", 0.01)
    monkeypatch.delenv("BITEXTMINE_KEY", raising=False)


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as started:
        yield started


def refused(mode: str, server: ScriptedServer, ask: Any, **options: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        asked(mode, server.url, ask, **options)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("mode", MODES)
def test_a_busy_service_is_asked_again_when_it_says(mode: str, server: ScriptedServer) -> None:
    server.says(refusal(429, "queue-full", Retry_After="0"), refusal(503, "overloaded"), Reply(200, CORPUS))
    assert asked(mode, server.url, lambda client: client.corpora.get("a")).name == "a"
    assert [seen.path for seen in server.seen] == ["/v1/corpora/a"] * 3


@pytest.mark.parametrize("mode", MODES)
def test_a_service_that_stays_busy_is_an_error_in_the_end(mode: str, server: ScriptedServer) -> None:
    server.says(refusal(429, "queue-full", Retry_After="0"))
    error = refused(mode, server, lambda client: client.embed("a"), repeats=2)
    assert (error.code, error.status, error.retry_after, str(error)) == ("queue-full", 429, 0, "it is queue-full")
    assert not error.is_refusal
    assert len(server.seen) == 3


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 500, 507])
def test_other_errors_are_not_asked_again(mode: str, status: int, server: ScriptedServer) -> None:
    server.says(refusal(status, "some-code"))
    error = refused(mode, server, lambda client: client.corpora.get("a"))
    assert (error.code, error.status, error.is_refusal) == ("some-code", status, status < 500)
    assert len(server.seen) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_request_that_makes_a_job_keeps_its_key(mode: str, server: ScriptedServer) -> None:
    server.says(Reply(cut=0), refusal(503, "store-unavailable", Retry_After="0"), Reply(202, JOB))
    assert asked(mode, server.url, lambda client: client.mine("a", "b")).state == "queued"
    keys = {seen.headers["Idempotency-Key"] for seen in server.seen}
    assert len(server.seen) == 3
    assert len(keys) == 1
    server.says(Reply(cut=0), refusal(409, "idempotency-key-in-use"), Reply(202, JOB))
    asked(mode, server.url, lambda client: client.mine("a", "b"))
    assert len(server.seen) == 3
    assert server.seen[-1].headers["Idempotency-Key"] not in keys


@pytest.mark.parametrize("mode", MODES)
def test_an_upload_is_sent_from_its_beginning_again(mode: str, server: ScriptedServer, tmp_path: Path) -> None:
    file = tmp_path / "news.de.txt"
    file.write_bytes(b"Guten Tag\n" * 100_000)
    server.says(Reply(cut=0), Reply(202, JOB))
    told: list[tuple[str, int, int | None]] = []
    asked(
        mode,
        server.url,
        lambda client: client.corpora.upload(file, name="a", lang="de", progress=lambda *news: told.append(news)),
    )
    assert [len(seen.body) for seen in server.seen] == [1_000_000] * 2
    assert server.seen[1].body == file.read_bytes()
    assert "source=news.de.txt" in server.seen[1].path
    assert told[-1] == ("upload", 1_000_000, 1_000_000)


@pytest.mark.parametrize("mode", MODES)
def test_a_pipe_is_sent_once(mode: str, server: ScriptedServer) -> None:
    class Pipe:
        def __init__(self) -> None:
            self.blocks = [b"one\n", b"two\n"]

        def seekable(self) -> bool:
            return False

        def read(self, size: int = -1) -> bytes:
            return self.blocks.pop(0) if self.blocks else b""

    server.says(Reply(202, JOB))
    asked(mode, server.url, lambda client: client.corpora.upload(Pipe(), name="a", lang="de"))
    assert server.seen[0].body == b"one\ntwo\n"
    server.says(Reply(cut=0), Reply(202, JOB))
    error = refused(mode, server, lambda client: client.corpora.upload(Pipe(), name="a", lang="de"))
    assert error.code == "service-unreachable"
    assert len(server.seen) == 1


@pytest.mark.parametrize("mode", MODES)
def test_what_was_deleted_before_its_answer_was_lost_is_deleted(mode: str, server: ScriptedServer) -> None:
    server.says(Reply(cut=0), refusal(404, "corpus-not-found"))
    assert asked(mode, server.url, lambda client: client.corpora.delete("a")) is None
    server.says(refusal(404, "corpus-not-found"))
    assert refused(mode, server, lambda client: client.corpora.delete("a")).code == "corpus-not-found"


@pytest.mark.parametrize("mode", MODES)
def test_nobody_there_is_one_line(mode: str) -> None:
    with pytest.raises(ServiceError, match=r"http://127\.0\.0\.1:9 cannot be reached") as caught:
        asked(mode, "http://127.0.0.1:9", lambda client: client.corpora.get("a"), repeats=1)
    assert (caught.value.code, caught.value.status) == ("service-unreachable", None)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<html>Welcome</html>"),
        Reply(200, {"name": "a"}),
        Reply(200, b""),
        Reply(302, b"", {"Location": "http://127.0.0.1:9/login"}),
        Reply(502, b"<html>Bad Gateway</html>"),
        Reply(404, {"code": 7}),
        Reply(403, [1]),
    ],
)
def test_what_is_no_answer_of_a_service_says_so(mode: str, reply: Reply, server: ScriptedServer) -> None:
    server.says(reply)
    error = refused(mode, server, lambda client: client.corpora.get("a"))
    assert error.code == "unexpected-answer"
    assert error.status == reply.status
    assert server.url in str(error)


@pytest.mark.parametrize("mode", MODES)
def test_pages_are_one_list(mode: str, server: ScriptedServer) -> None:
    def page(seen: Seen) -> Reply:
        name, following = (
            ("b", None) if "cursor=next%20one" in seen.path or "cursor=next+one" in seen.path else ("a", "next one")
        )
        return Reply(200, {"items": [{**CORPUS, "name": name}], "next_cursor": following})

    server.says(page)
    assert [corpus.name for corpus in asked(mode, server.url, lambda client: client.corpora.list())] == ["a", "b"]
    assert len(server.seen) == 2


@pytest.mark.parametrize("mode", MODES)
def test_a_download_that_breaks_off_leaves_what_was_there(mode: str, server: ScriptedServer, tmp_path: Path) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_text("before")
    server.says(Reply(200, b"x" * 100_000, cut=50_000))
    error = refused(mode, server, lambda client: client.bitexts.download("b", file))
    assert error.code == "service-unreachable"
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]
    server.says(Reply(200, b"x" * 100_000))
    assert asked(mode, server.url, lambda client: client.bitexts.download("b", file)) == 100_000
    assert file.read_bytes() == b"x" * 100_000


@pytest.mark.parametrize("mode", MODES)
def test_a_download_that_is_refused_writes_nothing(mode: str, server: ScriptedServer, tmp_path: Path) -> None:
    server.says(refusal(404, "bitext-not-found"))
    error = refused(mode, server, lambda client: client.bitexts.download("b", tmp_path / "pairs.tsv"))
    assert (error.code, error.status) == ("bitext-not-found", 404)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ParameterError) as caught:
        asked(mode, server.url, lambda client: client.bitexts.download("b", tmp_path / "nowhere" / "pairs.tsv"))
    assert caught.value.code == "output-not-writable"


@pytest.mark.parametrize("mode", MODES)
def test_the_key_is_sent_and_is_the_environments_by_default(
    mode: str, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.says(Reply(200, ALIVE))
    monkeypatch.setenv("BITEXTMINE_KEY", "btm_environment")
    for options in ({}, {"key": "btm_given"}, {"key": ""}):
        asked(mode, server.url, lambda client: client.alive(), **options)
    sent = [seen.headers.get("Authorization") for seen in server.seen]
    assert sent == ["Bearer btm_environment", "Bearer btm_given", None]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "url", ["", "localhost:8000", "ftp://a", "http://", "http://a:b", "http://a?b=c", "http://[::1"]
)
def test_what_is_no_url_is_refused(mode: str, url: str) -> None:
    with pytest.raises(ParameterError, match="no URL"):
        asked(mode, url, lambda client: client.alive())


@pytest.mark.parametrize("key", ["a\nb", " a", "schlüssel", "a\x00"])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(ParameterError, match="key"):
        asked("sync", "http://127.0.0.1:9", lambda client: client.alive(), key=key)


@pytest.mark.parametrize("mode", MODES)
def test_many_sentences_are_embedded_in_several_requests(mode: str, server: ScriptedServer) -> None:
    import base64
    import json

    import numpy as np

    def vectors(seen: Seen) -> Reply:
        assert len(seen.body) < 1 << 20
        texts = json.loads(seen.body)["input"]
        rows = [base64.b64encode(np.array([float(text[1:5]), 0], "<f4").tobytes()).decode() for text in texts]
        listed = [{"index": index, "embedding": row} for index, row in enumerate(rows)]
        return Reply(200, {"data": listed[::-1], "usage": {"total_tokens": len(texts)}, "truncated": 1})

    server.says(vectors)
    texts = [f"\n{number:04}{'ü' * 1000}" for number in range(1500)]
    found = asked(mode, server.url, lambda client: client.embed(texts, encoder="tiny"))
    assert found.vectors[:, 0].tolist() == list(range(1500))
    assert (found.tokens, found.truncated, found.encoder) == (1500, len(server.seen), "tiny")
    assert len(server.seen) == 4


@pytest.mark.parametrize("mode", MODES)
def test_vectors_that_are_missing_are_noticed(mode: str, server: ScriptedServer) -> None:
    server.says(Reply(200, {"data": [], "usage": {"total_tokens": 0}}))
    assert refused(mode, server, lambda client: client.embed(["a", "b"])).code == "unexpected-answer"


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("100000", 60.0)])
def test_the_pause_is_as_long_as_the_service_asks(header: str, seconds: float) -> None:
    flow = answers.answered(Call("GET", "/"))
    assert isinstance(next(flow), Repeats)
    assert isinstance(flow.send(3), Send)
    assert flow.send(httpx.Response(503, headers={"Retry-After": header})) == Sleep(seconds)
    assert isinstance(flow.send(None), Send)


def test_pauses_grow_and_have_an_end() -> None:
    pauses = [[answers.pause(attempt) for _ in range(50)] for attempt in range(20)]
    assert max(map(max, pauses)) <= 12.5
    assert max(pauses[0]) < min(pauses[4])
    assert len(set(pauses[3])) > 1


def test_retry_after_is_seconds_or_a_date() -> None:
    def wait(value: str) -> float | None:
        return answers.retry_after(httpx.Response(429, headers={"Retry-After": value}))

    assert wait("7") == 7
    assert wait("-1") is None
    assert wait("soon") is None
    assert wait("") is None
    assert wait("nan") is None
    assert 25 < (wait(format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)) or 0) <= 30
    assert wait(format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)) == 0
