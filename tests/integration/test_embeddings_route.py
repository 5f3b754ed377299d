"""POST /v1/embeddings, over real connections to a real uvicorn in this process, whose encoder the tests can hold up."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from numpy.typing import NDArray

from bitextmine.encoders import Encoder
from bitextmine.encoders.card import MODEL
from bitextmine.encoders.tokenizer import Tokens
from bitextmine_service.app import create_app
from bitextmine_service.settings import ServiceSettings
from tests.integration.service import problem
from tests.integration.waiting import PATIENCE, wait_until
from tests.tiny_encoder import build_tiny_encoder

TEXTS = ["the museum opens at nine", "Wo ist der Bahnhof?", "خريطة", "🙂"]


class Gate:
    """While it is closed nothing is encoded. Remembers what was tokenised, and the sentences of each batch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._open = threading.Event()
        self.open()
        self.tokenized: list[str] = []
        self.batches: list[int] = []
        tokenize, encode_here = Encoder.tokenize, Encoder.encode_here

        def remembered(encoder: Encoder, sentences: Sequence[str]) -> Tokens:
            self.tokenized += sentences
            return tokenize(encoder, sentences)

        def held_up(encoder: Encoder, tokens: Tokens) -> NDArray[np.float32]:
            self.batches.append(len(tokens.lengths))
            assert self._open.wait(PATIENCE)
            return encode_here(encoder, tokens)

        monkeypatch.setattr(Encoder, "tokenize", remembered)
        monkeypatch.setattr(Encoder, "encode_here", held_up)

    def open(self) -> None:
        self._open.set()

    def close(self) -> None:
        self._open.clear()


class Server:
    """The API, served."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.app = create_app(
            ServiceSettings(
                redis_url="redis://127.0.0.1:1",  # nothing here asks it
                data_dir=folder / "data",
                encoders_dir=folder / "encoders",
                **settings,
            )
        )
        self.server = uvicorn.Server(uvicorn.Config(self.app, port=0, log_level="warning"))
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        wait_until(lambda: self.server.started, "the server listens")
        self.port: int = self.server.servers[0].sockets[0].getsockname()[1]
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=PATIENCE)
        self.clients = ThreadPoolExecutor(32)

    def post(self, body: Any = None, **wanted: Any) -> httpx.Response:
        return self.http.post("/v1/embeddings", json=body or {"model": "tiny", **wanted})

    def post_later(self, sentence: str) -> Future[httpx.Response]:
        return self.clients.submit(self.post, input=sentence)

    @property
    def tokens(self) -> int:
        """Estimated tokens that wait or are worked on."""
        return sum(opened.pool.tokens for opened in self.app.state.service.encoders._opened.values())

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()

    def close(self) -> None:
        self.stop()
        self.clients.shutdown()
        self.http.close()


@contextmanager
def serving(folder: Path, gate: Gate, **settings: Any) -> Iterator[Server]:
    server = Server(folder, **settings)
    try:
        yield server
    finally:
        gate.open()
        server.close()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    build_tiny_encoder(tmp_path / "encoders" / "tiny")
    return tmp_path


@pytest.fixture
def server(folder: Path, gate: Gate) -> Iterator[Server]:
    with serving(folder, gate, embed_threads=1) as server:
        wait_until(lambda: gate.batches and not server.tokens, "the word that readiness has embedded is done")
        gate.batches.clear()
        gate.tokenized.clear()
        yield server


def vectors_of(response: httpx.Response) -> NDArray[np.float32]:
    assert response.status_code == 200, response.text
    return np.array([item["embedding"] for item in response.json()["data"]], np.float32)


def test_the_answer_has_the_shape_of_openais_and_the_encoders_vectors(server: Server, folder: Path) -> None:
    encoder = Encoder.open(folder / "encoders" / "tiny")
    answer = server.post(input=TEXTS).json()
    tokens = int(encoder.tokenize(TEXTS).lengths.sum())
    data = answer.pop("data")
    assert answer == {
        "object": "list",
        "model": "tiny",
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        "truncated": 0,
    }
    assert [(item["object"], item["index"]) for item in data] == [("embedding", n) for n in range(len(TEXTS))]
    np.testing.assert_allclose([item["embedding"] for item in data], encoder.encode(TEXTS), atol=1e-6)


def test_one_sentence_may_be_a_string(server: Server) -> None:
    assert np.array_equal(vectors_of(server.post(input=TEXTS[0])), vectors_of(server.post(input=TEXTS[:1])))


def test_base64_holds_the_same_numbers(server: Server) -> None:
    answer = server.post(input=TEXTS, encoding_format="base64").json()
    decoded = [np.frombuffer(base64.b64decode(item["embedding"]), "<f4") for item in answer["data"]]
    assert np.array_equal(decoded, vectors_of(server.post(input=TEXTS)))


def test_many_sentences_come_back_in_their_order(server: Server, folder: Path) -> None:
    texts = [f"museum {'station ' * (n % 11)}{n}" for n in range(2048)]
    expected = Encoder.open(folder / "encoders" / "tiny").encode(texts)
    np.testing.assert_allclose(vectors_of(server.post(input=texts)), expected, atol=1e-6)


def test_what_is_too_long_is_cut_and_counted(server: Server) -> None:
    answer = server.post(input=["museum " * 1000, "x"]).json()
    assert answer["truncated"] == 1
    assert answer["usage"]["prompt_tokens"] == 64 + 4


@pytest.mark.parametrize(
    ("wanted", "where"),
    [
        ({"input": ""}, "body.input"),
        ({"input": []}, "body.input"),
        ({"input": ["x", ""]}, "body.input"),
        ({"input": 5}, "body.input"),
        ({"input": [1, 2]}, "body.input"),
        ({"input": None}, "body.input"),
        ({"input": "x" * 32_769}, "body.input"),
        ({"input": ["x"] * 2049}, "body.input"),
        ({"input": "\ud800"}, "body.input"),
        ({}, "body.input"),
        ({"input": "x", "model": ""}, "body.model"),
        ({"input": "x", "model": 3}, "body.model"),
        ({"input": "x", "encoding_format": "hex"}, "body.encoding_format"),
        ({"input": "x", "dimensions": 0}, "body.dimensions"),
    ],
    ids=str,
)
def test_what_is_no_request_is_refused(server: Server, wanted: dict[str, Any], where: str) -> None:
    content = json.dumps({"model": "tiny", **wanted})
    response = server.http.post("/v1/embeddings", content=content, headers={"Content-Type": "application/json"})
    document = problem(response, 422, "invalid-request")
    assert any(error["where"].startswith(where) for error in document["errors"]), document


def test_a_body_over_the_limit_is_refused(server: Server) -> None:
    problem(server.post(input=["x" * 30_000] * 40), 413, "body-too-large")


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("no-such-encoder", 404, "encoder-unknown"),
        ("muse", 404, "encoder-not-installed"),
        ("../tiny", 422, "invalid-parameter"),
    ],
)
def test_an_encoder_that_is_not_there(server: Server, model: str, status: int, code: str) -> None:
    for _ in range(2):
        problem(server.post(input="x", model=model), status, code)


def test_a_damaged_encoder_says_so_and_works_once_repaired(folder: Path, gate: Gate) -> None:
    path = folder / "encoders" / "tiny" / MODEL
    model = path.read_bytes()
    path.write_bytes(model[:-1])
    with serving(folder, gate) as server:
        problem(server.post(input="x"), 422, "encoder-unusable")
        path.write_bytes(model)
        assert server.post(input="x").status_code == 200


def test_the_list_of_encoders_says_what_runs_on_what(server: Server) -> None:
    def providers() -> dict[str, str | None]:
        return {each["name"]: each["provider"] for each in server.http.get("/v1/encoders").json()["items"]}

    server.post(input="x")
    assert providers()["tiny"] == "CPUExecutionProvider"
    assert providers()["muse"] is None


def test_requests_that_come_together_are_encoded_together(server: Server, gate: Gate, folder: Path) -> None:
    gate.close()
    texts = [f"station {n}" for n in range(21)]
    first = server.post_later(texts[0])
    wait_until(lambda: gate.batches, "the first is being encoded")
    cost = server.tokens
    others = [server.post_later(text) for text in texts[1:]]
    wait_until(lambda: server.tokens >= 20 * cost, "the others wait")
    assert server.http.get("/livez").status_code == 200
    gate.open()
    found = np.concatenate([vectors_of(future.result(PATIENCE)) for future in (first, *others)])
    np.testing.assert_allclose(found, Encoder.open(folder / "encoders" / "tiny").encode(texts), atol=1e-6)
    assert gate.batches[0] == 1
    assert sum(gate.batches) == 21
    assert len(gate.batches) <= 4


def test_beyond_the_bound_requests_are_refused_at_once(folder: Path, gate: Gate) -> None:
    with serving(folder, gate, embed_threads=1, embed_queue_tokens=10) as server:
        assert server.post(input="x").status_code == 200
        gate.close()
        first = server.post_later("x")
        wait_until(lambda: server.tokens, "the first is there")
        started = time.monotonic()
        refused = server.post(input="museum " * 10)
        problem(refused, 429, "queue-full")
        assert refused.headers["retry-after"] == "1"
        assert time.monotonic() - started < 2
        gate.open()
        assert first.result(PATIENCE).status_code == 200
        assert server.post(input="museum " * 10).status_code == 200


def test_a_request_whose_client_has_left_is_never_encoded(server: Server, gate: Gate) -> None:
    gate.close()
    first = server.post_later("the first")
    wait_until(lambda: gate.batches, "the first is being encoded")
    before = server.tokens
    body = json.dumps({"model": "tiny", "input": "the one that left"})
    head = f"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    head += "Content-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as leaving:
        leaving.sendall(f"{head}\r\n{body}".encode())
        wait_until(lambda: server.tokens > before, "its request waits")
    (opened,) = server.app.state.service.encoders._opened.values()
    wait_until(opened.pool._waiting[0].future.cancelled, "it is taken back")
    later = server.post_later("the last")
    gate.open()
    for future in (first, later):
        assert future.result(PATIENCE).status_code == 200
    assert gate.tokenized == ["the first", "the last"]
    assert server.tokens == 0


def test_stopping_answers_what_was_asked(server: Server, gate: Gate) -> None:
    gate.close()
    futures = [server.post_later(f"station {n}") for n in range(5)]
    wait_until(lambda: server.tokens >= 5 * 6, "all are there")
    server.server.should_exit = True
    gate.open()
    assert [future.result(PATIENCE).status_code for future in futures] == [200] * 5
    server.stop()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pool-")]
