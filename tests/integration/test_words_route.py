"""POST /v1/word-alignments, over real connections to a real uvicorn in this process, held up where a test wants it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from bitextmine.encoders import Encoder
from bitextmine.word_alignment import WordAlignment, align_words
from bitextmine_service.routes import words
from tests.integration.service import problem
from tests.integration.test_embeddings_route import Server
from tests.integration.waiting import PATIENCE, wait_until
from tests.tiny_encoder import build_tiny_encoder

PAIRS = [{"src": "the old map", "tgt": "map old the"}]
SHARED_THREADS = 40  # that synchronous routes have together


class Held:
    """A served API whose alignments wait until they are let go."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = threading.Event()
        self.begun: list[int] = []

        def held_up(encoder: Encoder, pairs: list[tuple[str, str]]) -> list[WordAlignment]:
            self.begun.append(len(pairs))
            assert self.go.wait(PATIENCE)
            return align_words(encoder, pairs)

        monkeypatch.setattr(words, "align_words", held_up)
        build_tiny_encoder(folder / "encoders" / "tiny")
        self.server = Server(folder)
        self.clients = ThreadPoolExecutor(2 * SHARED_THREADS)

    def post(self, **wanted: Any) -> httpx.Response:
        return self.server.http.post("/v1/word-alignments", json={"encoder": "tiny", "pairs": PAIRS, **wanted})

    def post_later(self) -> Future[httpx.Response]:
        return self.clients.submit(self.post)

    def close(self) -> None:
        self.go.set()
        self.clients.shutdown()
        self.server.close()


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    held = Held(tmp_path, monkeypatch)
    yield held
    held.close()


def test_links_words_and_refuses_what_it_cannot(held: Held) -> None:
    held.go.set()
    answer = held.post().json()
    assert answer["encoder"] == "tiny"
    (found,) = answer["alignments"]
    assert found["src_words"] == found["tgt_words"] == [[0, 3], [4, 7], [8, 11]]
    assert found["links"] == [[0, 2], [1, 1], [2, 0]]
    problem(held.post(encoder="nobody"), 404, "encoder-unknown")
    problem(held.post(pairs=[]), 422, "invalid-request")
    problem(held.post(pairs=PAIRS * 33), 422, "invalid-request")


def test_those_that_wait_hold_up_no_other_route(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_WAIT_SECONDS", PATIENCE)
    asked = [held.post_later() for _ in range(SHARED_THREADS + 10)]
    served = 1 + words._MOST_WAITING
    wait_until(lambda: sum(each.done() for each in asked) == len(asked) - served, "those that are too many are refused")
    assert held.server.http.get("/livez").status_code == 200
    assert sum(each.done() for each in asked) == len(asked) - served
    assert len(held.begun) == 1
    held.go.set()
    answers = [each.result() for each in asked]
    assert sorted(each.status_code for each in answers) == [200] * served + [429] * (len(asked) - served)
    refused = [each for each in answers if each.status_code == 429]
    for each in refused:
        problem(each, 429, "queue-full")
        assert each.headers["Retry-After"] == "1"


def test_nobody_waits_for_long(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    first = held.post_later()
    wait_until(lambda: held.begun, "it is being worked on")
    monkeypatch.setattr(words, "_WAIT_SECONDS", 0.1)
    problem(held.post(), 429, "queue-full")
    held.go.set()
    assert first.result().status_code == 200
    assert held.post().status_code == 200
