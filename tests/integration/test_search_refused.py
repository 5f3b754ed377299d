"""POST /v1/search against a running service: what it refuses, and when it is too busy."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tests.integration.searching import found, hits, search, searchable_service
from tests.integration.service import ENCODER, Api, Service, problem


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with searchable_service(tmp_path_factory.mktemp("search")) as started:
        yield started


@pytest.fixture(scope="module")
def api(running: Service) -> Api:
    return running.api


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ({"corpora": ["none"]}, 404, "corpus-not-found"),
        ({"corpora": ["en"], "encoder": "labse"}, 404, "encoder-not-installed"),
        ({"corpora": ["en"], "encoder": "nothing"}, 404, "encoder-unknown"),
        ({"corpora": ["en"], "encoder": "../tiny"}, 422, "invalid-parameter"),
        ({"corpora": ["en"], "lang": "klingon"}, 422, "unknown-language"),
        ({"corpora": ["en"], "lang": "sw"}, 422, "language-not-covered"),
        ({"langs": ["xx-nonsense"]}, 422, "unknown-language"),
        ({}, 422, "invalid-request"),
        ({"corpora": []}, 422, "invalid-request"),
        ({"corpora": ["EN"]}, 422, "invalid-request"),
        ({"corpora": ["../en"]}, 422, "invalid-request"),
        ({"corpora": ["en"], "k": 0}, 422, "invalid-request"),
        ({"corpora": ["en"], "k": 101}, 422, "invalid-request"),
        ({"corpora": ["en"], "k": "3"}, 422, "invalid-request"),
        ({"corpora": ["en"], "neighborhood": 0}, 422, "invalid-request"),
        ({"corpora": ["en"], "probes": 0}, 422, "invalid-request"),
        ({"corpora": ["en"], "exact": 1}, 422, "invalid-request"),
        ({"corpora": ["en"], "min_cosine": 1.5}, 422, "invalid-request"),
        ({"corpora": ["en"], "margin": "best"}, 422, "invalid-request"),
        ({"corpora": ["en"], "filter": {"doc_ids": []}}, 422, "invalid-request"),
        ({"corpora": ["en"], "filter": {"meta": {"a": 1}}}, 422, "invalid-request"),
        ({"corpora": ["en"], "filter": {"rows": [1]}}, 422, "invalid-request"),
        ({"corpora": ["en"], "vectors": [[1.0] * 32]}, 422, "invalid-request"),
        ({"corpora": ["en"], "top": 3}, 422, "invalid-request"),
    ],
)
def test_what_cannot_be_searched_is_refused(api: Api, wanted: dict[str, Any], status: int, code: str) -> None:
    problem(search(api, "Haus 3", **wanted), status, code)


@pytest.mark.parametrize(
    ("vectors", "code"),
    [
        ([[1.0] * 31], "vectors-mismatch"),
        ([[1.0] * 32, [1.0] * 31], "vectors-mismatch"),
        (["AAAA" * 4], "vectors-mismatch"),
        (["AAAAAAAAA!"], "vectors-mismatch"),
        (["AAAAAAAA" + "é"], "vectors-mismatch"),
        ([base64.b64encode(np.full(32, np.nan, "<f4").tobytes()).decode()], "vectors-mismatch"),
        ([["1"] * 32], "invalid-request"),
        ([[]], "invalid-request"),
        ([[1e31] * 32], "invalid-request"),
        ([[True] * 32], "invalid-request"),
        ([], "invalid-request"),
        ("AAAA", "invalid-request"),
    ],
)
def test_vectors_that_are_none_are_refused(api: Api, vectors: Any, code: str) -> None:
    problem(search(api, vectors=vectors, corpora=["en"]), 422, code)


@pytest.mark.parametrize("texts", [[""], ["  \t"], ["a"] * 65, ["x" * 32_769], "Haus", [None], [3]])
def test_texts_that_are_none_are_refused(api: Api, texts: Any) -> None:
    response = api.http.post("/v1/search", json={"encoder": ENCODER, "texts": texts, "corpora": ["en"]})
    problem(response, 422, "invalid-request")


def test_past_its_bound_the_queue_is_full_at_once_and_the_service_goes_on(running: Service) -> None:
    bounded = running.start_api(search_queue="2", search_threads="1")
    assert len(hits(search(bounded, "Haus 3", corpora=["en"], k=1))) == 1
    texts = [f"Haus {n}" for n in range(64)]
    with ThreadPoolExecutor(16) as clients:
        sent = [clients.submit(search, bounded, *texts, corpora=["en"], lang="de") for _ in range(64)]
        answers = [each.result() for each in sent]
    statuses = {answer.status_code for answer in answers}
    assert statuses == {200, 429}
    for answer in answers:
        if answer.status_code == 429:
            assert "queries" in problem(answer, 429, "queue-full")["detail"]
    assert len(hits(search(bounded, "Haus 3", corpora=["en"], k=1))) == 1  # the places were given back
    assert bounded.http.get("/livez").status_code == 200


def test_one_request_too_large_for_the_queue_is_taken_when_nothing_else_is_there(running: Service) -> None:
    bounded = running.start_api(search_queue="1")
    answer = found(search(bounded, *[f"Haus {n}" for n in range(64)], corpora=["en"], k=1))
    assert len(answer["results"]) == 64
    assert all(len(result["hits"]) == 1 for result in answer["results"])
