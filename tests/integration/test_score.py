"""POST /v1/score against a running service: a mining job's scores for given pairs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.scored import (
    BACKGROUNDS,
    Pairs,
    assert_nothing_is_left,
    assert_same_scores,
    mined_pairs,
    score,
    scoring_service,
    texts,
)
from tests.integration.service import ENCODER, Api, Service, problem


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with scoring_service(tmp_path_factory.mktemp("score")) as started:
        yield started


@pytest.fixture(scope="module")
def api(running: Service) -> Api:
    return running.api


@pytest.fixture(scope="module")
def mined(api: Api) -> Pairs:
    return mined_pairs(api)


@pytest.fixture(autouse=True)
def _nothing_is_left(running: Service) -> Iterator[None]:
    yield
    assert_nothing_is_left(running)


def test_pairs_of_a_mining_job_get_its_scores_at_once(api: Api, mined: Pairs) -> None:
    for exact in (False, True):
        response = score(api, texts(mined), **BACKGROUNDS, exact=exact)
        assert response.status_code == 200, response.text
        answer = response.json()
        assert_same_scores(answer["scores"], mined)
        assert len(mined) > 30
        assert answer["src_background"] == {"corpus": "de", "sentences": 40, "exact": True}
        assert answer["tgt_background"] == {"corpus": "en", "sentences": 50, "exact": True}
        assert (answer["encoder"], answer["k"], answer["margin"], answer["truncated"]) == (ENCODER, 4, "ratio", 0)


def test_pairs_that_nothing_has_mined_are_scored_in_their_order(api: Api) -> None:
    pairs = [{"src": f" Haus {n} ", "tgt": "house 1 station"} for n in (3, 1, 2)]
    margins = {}
    for margin in ("ratio", "distance", "absolute"):
        answer = score(api, pairs, **BACKGROUNDS, margin=margin, k=2).raise_for_status().json()["scores"]
        margins[margin] = answer
        again = score(api, pairs[::-1], **BACKGROUNDS, margin=margin, k=2).raise_for_status().json()["scores"]
        assert_same_scores(again[::-1], answer)
    for ratio, distance, absolute in zip(*margins.values(), strict=True):
        mean = (ratio["src_mean"] + ratio["tgt_mean"]) / 2
        assert ratio["margin"] == pytest.approx(ratio["cosine"] / mean, abs=1e-5)
        assert distance["margin"] == pytest.approx(ratio["cosine"] - mean, abs=1e-5)
        assert absolute["margin"] == absolute["cosine"] == ratio["cosine"]


def test_a_cosine_needs_no_background(api: Api) -> None:
    answer = score(api, [{"src": "Haus", "tgt": "Haus"}], margin="absolute").raise_for_status().json()
    assert answer["scores"] == [{"margin": 1.0, "cosine": 1.0, "src_mean": None, "tgt_mean": None}]
    assert (answer["src_background"], answer["tgt_background"]) == (None, None)


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ({}, 422, "background-needed"),
        ({"src_background": "de"}, 422, "background-needed"),
        ({"src_background": "en", "tgt_background": "de"}, 422, "background-language"),
        ({**BACKGROUNDS, "tgt_background": "raw"}, 409, "corpus-not-embedded"),
        ({**BACKGROUNDS, "tgt_background": "nowhere"}, 404, "corpus-not-found"),
        ({**BACKGROUNDS, "tgt_background": "../en"}, 422, "invalid-request"),
        ({**BACKGROUNDS, "k": 41}, 422, "k-too-large"),
        ({**BACKGROUNDS, "k": 65}, 422, "invalid-request"),
        ({**BACKGROUNDS, "k": 0}, 422, "invalid-request"),
        ({**BACKGROUNDS, "k": "4"}, 422, "invalid-request"),
        ({**BACKGROUNDS, "margin": "max"}, 422, "invalid-request"),
        ({**BACKGROUNDS, "src_lang": "klingon"}, 422, "unknown-language"),
        ({**BACKGROUNDS, "src_lang": "cs"}, 422, "language-not-covered"),
        ({**BACKGROUNDS, "encoder": "nowhere"}, 404, "encoder-unknown"),
        ({**BACKGROUNDS, "pairs": []}, 422, "invalid-request"),
        ({**BACKGROUNDS, "pairs": [{"src": "a"}]}, 422, "invalid-request"),
        ({**BACKGROUNDS, "pairs": [{"src": "a", "tgt": " \n"}]}, 422, "invalid-request"),
        ({**BACKGROUNDS, "pairs": [{"src": "a", "tgt": "b", "x": 1}]}, 422, "invalid-request"),
        ({**BACKGROUNDS, "pairs": [{"src": "a", "tgt": "b"}] * 1001}, 422, "invalid-request"),
        ({**BACKGROUNDS, "surprise": 1}, 422, "invalid-request"),
    ],
)
def test_what_cannot_be_scored_at_once_says_why(api: Api, wanted: dict[str, Any], status: int, code: str) -> None:
    problem(score(api, wanted.pop("pairs", [{"src": "a", "tgt": "b"}]), **wanted), status, code)


def test_a_thousand_pairs_are_scored_and_overload_is_refused_at_once(running: Service) -> None:
    small = running.start_api(search_queue="10")
    pairs = [{"src": f"Haus {n}", "tgt": f"house {n}"} for n in range(1000)]
    with ThreadPoolExecutor(8) as threads:
        responses = list(threads.map(lambda _: score(small, pairs, **BACKGROUNDS), range(16)))
    assert {response.status_code for response in responses} <= {200, 429}
    answered = [response.json()["scores"] for response in responses if response.status_code == 200]
    assert answered
    assert all(len(scores) == 1000 for scores in answered)
    for response in responses:
        if response.status_code == 429:
            problem(response, 429, "queue-full")
