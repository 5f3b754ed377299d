"""Matrix runs as jobs: what they make, what is refused, and their report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bitextmine.client import Client
from tests.integration.service import ENCODER, Api, Service, numbered, problem, service

WORDS = {"de": "Haus", "en": "house", "fr": "maison", "ru": "дом"}
PAIRS = 6


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("matrix")) as started:
        for lang, word in WORDS.items():
            started.api.succeeded(started.api.upload(f"m-{lang}", numbered(word, 40), lang))
        yield started
        assert "Traceback" not in started.api.process.log + started.worker.log


@pytest.fixture(scope="module")
def api(running: Service) -> Api:
    return running.api


def matrix(api: Api, **wanted: Any) -> Any:
    body = {"corpora": [f"m-{lang}" for lang in WORDS], "encoder": ENCODER, **wanted}
    return api.http.post("/v1/matrix-jobs", json=body)


def test_a_job_mines_all_pairs_and_its_report_names_the_bitexts(api: Api) -> None:
    job = api.ended(matrix(api, filters="none"))
    assert job["state"] == "succeeded", job
    assert job["plan"]["pairs"] == PAIRS
    found = api.http.get(job["links"]["report"]).raise_for_status().json()
    assert found["matrix"] == job["result"]["matrix"]
    assert found["counts"]["done"] == PAIRS
    for pair in found["pairs"]:
        bitext = api.http.get(f"/v1/bitexts/{pair['result']['bitext']}").raise_for_status().json()
        assert bitext["pairs"] == pair["result"]["pairs"] > 20
    page = api.http.get(f"{job['links']['report']}.html")
    assert page.headers["content-type"].startswith("text/html")
    assert "Pairs of sentences that were kept" in page.text
    assert "script" not in page.headers["content-security-policy"]


def test_a_job_takes_a_pivot_and_a_list(api: Api) -> None:
    pivoted = api.succeeded(matrix(api, pivots=["m-en"], filters="none"))
    assert {(pair["src"], pair["tgt"]) for pair in pivoted["bitexts"]} == {
        (f"m-{lang}", "m-en") for lang in WORDS if lang != "en"
    }
    listed = api.succeeded(matrix(api, pairs=[["m-ru", "m-de"], ["m-fr", "m-de"]], first=[["m-fr", "m-de"]]))
    assert [(pair["src"], pair["tgt"]) for pair in listed["bitexts"]] == [("m-fr", "m-de"), ("m-ru", "m-de")]


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ({"corpora": ["m-de", "nothing"]}, 404, "corpus-not-found"),
        ({"corpora": ["m-de"]}, 422, "invalid-request"),
        ({"corpora": ["m-de", "m-de"]}, 422, "invalid-name"),
        ({"pivots": ["ja"]}, 422, "unknown-corpus"),
        ({"pivots": ["nowhere"]}, 422, "unknown-language"),
        ({"pairs": [["m-de", "m-en", "m-fr"]]}, 422, "invalid-request"),
        ({"pairs": [["m-de", "m-de"]]}, 422, "same-language"),
        ({"pairs": []}, 422, "no-pairs"),
        ({"pairs": [["m-de", "m-en"]], "pivots": ["m-en"]}, 422, "invalid-parameter"),
        ({"precision": 1.0}, 422, "invalid-request"),
        ({"threshold": 2.0, "ceiling": 1.0}, 422, "invalid-threshold"),
        ({"filters": "many"}, 422, "invalid-filters"),
        ({"filters": {"copy": {"mots": 1}}}, 422, "invalid-filters"),
        ({"k": 1024}, 422, "k-too-large"),
        ({"encoder": "none"}, 404, "encoder-unknown"),
        ({"unknown": 1}, 422, "invalid-request"),
    ],
)
def test_what_cannot_be_mined_is_refused_at_once(api: Api, wanted: dict[str, Any], status: int, code: str) -> None:
    problem(matrix(api, **wanted), status, code)


def test_other_jobs_have_no_report(api: Api) -> None:
    other = api.http.get("/v1/jobs", params={"kind": "ingest"}).json()["items"][0]["id"]
    for end in ("report", "report.html"):
        problem(api.http.get(f"/v1/matrix-jobs/{other}/{end}"), 404, "matrix-not-found")
        problem(api.http.get(f"/v1/matrix-jobs/{'0' * 22}/{end}"), 404, "job-not-found")


def test_a_corpus_of_a_waiting_matrix_is_in_use(running: Service, api: Api) -> None:
    with running.worker_paused():
        waiting = matrix(api, filters="none", k=3).json()
        problem(api.http.delete("/v1/corpora/m-ru"), 409, "corpus-in-use")
        problem(api.http.get(f"/v1/matrix-jobs/{waiting['id']}/report"), 404, "matrix-not-found")
        api.http.post(f"/v1/jobs/{waiting['id']}/cancel").raise_for_status()


def test_what_a_killed_process_left_of_a_cancelled_job_is_stopped(running: Service, api: Api) -> None:
    done = api.succeeded(matrix(api, filters="none", k=2))
    path = running.data_dir / "matrices" / done["matrix"] / "report.json"
    left = json.loads(path.read_text()) | {"finished": None}
    left["pairs"][0]["state"] = "running"
    path.write_text(json.dumps(left))
    with running.worker_paused():
        again = matrix(api, filters="none", k=2).json()
        assert api.http.get(again["links"]["report"]).json()["stopped"] is False
        api.http.post(f"/v1/jobs/{again['id']}/cancel").raise_for_status()
        found = api.http.get(again["links"]["report"]).json()
        page = api.http.get(f"{again['links']['report']}.html").text
    assert (found["stopped"], found["counts"]["running"], found["counts"]["waiting"]) == (True, 0, 1)
    assert "Stopped before all was done" in page


def test_the_client_mines_a_matrix(api: Api) -> None:
    with Client(api.url) as client:
        job = client.jobs.wait(client.mine_matrix(["m-de", "m-en"], encoder=ENCODER, filters="none"))
        found = client.matrix_report(job.id)
    assert [pair.state for pair in found.pairs] == ["done"]
