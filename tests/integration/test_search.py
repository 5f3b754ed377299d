"""POST /v1/search and the indexes behind it, against a running service."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.integration.service import ENCODER, Api, Service, numbered, problem, service, text_of

LARGE = 50_001


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with `de` and `en`, mined with each other, `fr` and `docs`, embedded, and `raw`, which is not."""
    with service(tmp_path_factory.mktemp("search")) as started:
        api = started.api
        for name, lang, content in (
            ("de", "deu", numbered("Haus", 40)),
            ("en", "eng", numbered("house", 50)),
            ("fr", "fra", numbered("gare", 30)),
            ("raw", "rus", numbered("книга", 20)),
        ):
            api.succeeded(api.upload(name, content, lang))
        records = [
            {"text": f"lake {n} museum", "doc_id": f"doc-{n % 3}", "meta": {"domain": "news" if n % 2 else "law"}}
            for n in range(30)
        ]
        lines = "".join(json.dumps(record) + "\n" for record in records)
        api.succeeded(api.upload("docs", lines.encode(), "eng", format="jsonl"))
        api.succeeded(api.mine("de", "en", threshold=0.0))
        for name in ("fr", "docs"):
            api.succeeded(index(api, name))
        yield started
        assert "Traceback" not in started.api.process.log + started.worker.log


@pytest.fixture(scope="module")
def api(running: Service) -> Api:
    return running.api


def index(api: Api, name: str, **wanted: Any) -> httpx.Response:
    return api.http.post(f"/v1/corpora/{name}/indexes", json={"encoder": ENCODER, **wanted})


def search(api: Api, *texts: str, **wanted: Any) -> httpx.Response:
    given = {"texts": list(texts)} if texts else {}
    return api.http.post("/v1/search", json={"encoder": ENCODER, **given, **wanted})


def found(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def hits(response: httpx.Response) -> list[dict[str, Any]]:
    (result,) = found(response)["results"]
    listed: list[dict[str, Any]] = result["hits"]
    assert [hit["rank"] for hit in listed] == list(range(1, len(listed) + 1))
    return listed


def test_a_search_gives_the_pairs_and_margins_of_a_mining_job(api: Api) -> None:
    (bitext,) = api.http.get("/v1/bitexts").json()["items"]
    pairs = api.http.get(f"/v1/bitexts/{bitext['id']}/pairs", params={"limit": 1000}).json()["items"]
    assert len(pairs) > 20
    for pair in pairs:
        answer = found(search(api, pair["src"], corpora=["en"], lang="de", k=4))
        assert answer["searched"] == [
            {
                "corpus": "en",
                "lang": "eng_Latn",
                "sentences": 50,
                "exact": True,
                "background": "de",
                "background_mined": True,
            }
        ]
        assert answer["order"] == "margin"
        mined = [hit for hit in answer["results"][0]["hits"] if hit["text"] == pair["tgt"]]
        assert mined or pair["src_rank"] is None
        for hit in mined:
            assert hit["margin"] == pytest.approx(pair["margin"], abs=1e-5)
            assert hit["cosine"] == pytest.approx(pair["cosine"], abs=1e-5)
            assert hit["query_mean"] == pytest.approx(pair["src_mean"], abs=1e-5)
            assert hit["hit_mean"] == pytest.approx(pair["tgt_mean"], abs=1e-5)
            assert (hit["row"], hit["line"]) == (pair["tgt_row"], pair["tgt_line"])


def test_a_hit_says_where_it_comes_from(api: Api) -> None:
    hit = hits(search(api, "lake 4 museum", corpora=["docs"], lang="de", k=1))[0]
    assert {name: hit[name] for name in ("text", "corpus", "lang", "row", "doc_id", "source", "line", "meta")} == {
        "text": "lake 4 museum",
        "corpus": "docs",
        "lang": "eng_Latn",
        "row": 4,
        "doc_id": "doc-1",
        "source": "docs",
        "line": 5,
        "meta": {"domain": "law"},
    }
    assert hit["cosine"] == pytest.approx(1, abs=1e-5)


def test_vectors_are_searched_as_the_texts_they_are_of(api: Api) -> None:
    texts = ["Haus 3", "  Haus 3 \n", "gare 7"]
    vectors = np.array(
        [
            each["embedding"]
            for each in api.http.post("/v1/embeddings", json={"model": ENCODER, "input": [texts[0], texts[2]]}).json()[
                "data"
            ]
        ],
        "<f4",
    )
    encoded = [base64.b64encode(vector.tobytes()).decode() for vector in vectors]
    by_text = found(search(api, *texts, corpora=["en"], lang="de"))["results"]
    by_number = found(search(api, vectors=vectors.tolist(), corpora=["en"], lang="de"))["results"]
    by_base64 = found(search(api, vectors=[encoded[0], (7 * vectors[1]).tolist()], corpora=["en"], lang="de"))[
        "results"
    ]
    assert by_text[0] == by_text[1]  # as a corpus would have cleaned them
    assert [by_text[0], by_text[2]] == by_number == by_base64


def test_hits_of_several_corpora_come_in_one_order(api: Api) -> None:
    answer = found(search(api, "Haus 3 station 10 museum 9", corpora=["en", "fr"], langs=["en"], lang="de", k=12))
    assert {each["corpus"] for each in answer["searched"]} == {"en", "fr", "docs"}
    listed = answer["results"][0]["hits"]
    assert len(listed) == 12
    assert {hit["corpus"] for hit in listed} >= {"en", "fr"}
    margins = [hit["margin"] for hit in listed]
    assert margins == sorted(margins, reverse=True)
    everywhere = [search(api, "Haus 3 station 10 museum 9", corpora=[name], lang="de", k=12) for name in ("en", "fr")]
    alone = [hit["margin"] for response in everywhere for hit in hits(response)]
    assert max(alone) == margins[0]


def test_without_a_background_hits_come_by_cosine_and_have_no_margin(api: Api) -> None:
    for wanted in ({}, {"lang": "th"}):
        answer = found(search(api, "house 3", corpora=["en"], **wanted))
        listed = answer["results"][0]["hits"]
        assert answer["order"] == "cosine"
        assert answer["searched"][0]["background"] is None
        assert {hit["margin"] for hit in listed} == {hit["hit_mean"] for hit in listed} == {None}
        assert [hit["cosine"] for hit in listed] == sorted((hit["cosine"] for hit in listed), reverse=True)
    refused = search(api, "house 3", corpora=["en"], min_margin=1.0)
    assert "lang" in problem(refused, 422, "background-needed")["detail"]
    absolute = hits(search(api, "house 3", corpora=["en"], margin="absolute", min_margin=0.2))
    assert all(hit["margin"] == hit["cosine"] >= 0.2 for hit in absolute)


def test_a_background_can_be_named(api: Api) -> None:
    answer = found(search(api, "Haus 3", corpora=["en"], background="fr"))
    assert answer["searched"][0]["background"] == "fr"
    assert not answer["searched"][0]["background_mined"]
    problem(search(api, "Haus 3", corpora=["en"], background="fr", lang="de"), 422, "background-language")
    problem(search(api, "Haus 3", corpora=["en"], background="en"), 422, "same-corpus")
    problem(search(api, "Haus 3", corpora=["en"], background="raw"), 409, "corpus-not-embedded")
    problem(search(api, "Haus 3", corpora=["en"], background="none"), 404, "corpus-not-found")


def test_filters_leave_all_that_passes(api: Api) -> None:
    def rows(**wanted: Any) -> set[int]:
        return {hit["row"] for hit in hits(search(api, "lake 4 museum", corpora=["docs"], k=100, filter=wanted))}

    assert rows(doc_ids=["doc-1"]) == set(range(1, 30, 3))
    assert rows(doc_ids=["doc-0", "doc-1", "gone"]) == set(range(30)) - set(range(2, 30, 3))
    assert rows(meta={"domain": "law"}) == set(range(0, 30, 2))
    assert rows(doc_ids=["doc-1"], meta={"domain": "law"}) == set(range(4, 30, 6))
    assert rows(meta={"domain": "Law"}) == rows(meta={"other": "law"}) == rows(doc_ids=["gone"]) == set()
    plain = {hit["row"]: hit for hit in hits(search(api, "lake 4 museum", corpora=["docs"], lang="de", k=30))}
    filtered = hits(search(api, "lake 4 museum", corpora=["docs"], lang="de", k=30, filter={"meta": {"domain": "law"}}))
    for hit in filtered:  # a filter decides what is shown, and no score
        assert {**hit, "rank": 0} == {**plain[hit["row"]], "rank": 0}


def test_hits_below_the_least_scores_are_dropped(api: Api) -> None:
    everything = hits(search(api, "Haus 3 station 10", corpora=["en"], lang="de", k=50))
    least = {"min_margin": everything[5]["margin"], "min_cosine": everything[9]["cosine"]}
    for name, value in least.items():
        field = name.removeprefix("min_")
        expected = [hit["row"] for hit in everything if hit[field] >= value - 1e-7]
        kept = hits(search(api, "Haus 3 station 10", corpora=["en"], lang="de", k=50, **{name: value - 1e-7}))
        assert [hit["row"] for hit in kept] == expected
        assert 0 < len(kept) < 50


def test_languages_leave_out_what_is_not_ready(api: Api) -> None:
    answer = found(search(api, "Haus 3", langs=["en", "rus"], lang="de"))
    assert answer["skipped"] == [{"corpus": "raw", "code": "corpus-not-embedded"}]
    assert {each["corpus"] for each in answer["searched"]} == {"en", "docs"}
    problem(search(api, "Haus 3", langs=["ru"]), 409, "corpus-not-embedded")
    problem(search(api, "Haus 3", langs=["tha"]), 404, "corpus-not-found")
    problem(search(api, "Haus 3", corpora=["en", "raw"]), 409, "corpus-not-embedded")


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


def test_a_vector_of_zeros_finds_something_of_no_meaning(api: Api) -> None:
    listed = hits(search(api, vectors=[[0.0] * 32], corpora=["en"], lang="de", k=3))
    assert [hit["cosine"] for hit in listed] == [0, 0, 0]


def test_an_index_job_says_what_it_made(api: Api) -> None:
    assert api.succeeded(index(api, "fr")) == {"corpus": "fr", "encoder": ENCODER, "sentences": 30, "indexed": False}
    assert api.http.get("/v1/corpora/fr/indexes").json() == {
        "items": [
            {
                "encoder": ENCODER,
                "sentences": 30,
                "dims": 32,
                "indexed": False,
                "searchable": True,
                "kind": None,
                "cells": None,
                "probes": None,
                "bytes": None,
            }
        ]
    }
    assert api.http.get("/v1/corpora/raw/indexes").json() == {"items": []}
    problem(api.http.get("/v1/corpora/none/indexes"), 404, "corpus-not-found")
    problem(index(api, "none"), 404, "corpus-not-found")
    problem(index(api, "en", encoder="labse"), 404, "encoder-not-installed")
    problem(index(api, "en", kind="flat"), 422, "invalid-request")


def test_a_language_that_the_encoder_does_not_know_is_indexed_on_request_only(api: Api) -> None:
    api.succeeded(api.upload("sw", numbered("nyumba", 10), "swh"))
    problem(index(api, "sw"), 422, "language-not-covered")
    api.succeeded(index(api, "sw", allow_uncovered_languages=True))
    assert hits(search(api, "nyumba 3", corpora=["sw"], lang="swh", allow_uncovered_languages=True, k=1))


def test_changes_of_a_corpus_are_noticed_at_once(api: Api) -> None:
    api.succeeded(api.upload("coming", numbered("See", 10), "deu"))
    problem(search(api, "See 3", corpora=["coming"]), 409, "corpus-not-embedded")
    api.succeeded(index(api, "coming"))
    assert len(hits(search(api, "See 3", corpora=["coming"], k=50))) == 10
    assert api.http.delete("/v1/corpora/coming").status_code == 204
    problem(search(api, "See 3", corpora=["coming"]), 404, "corpus-not-found")
    api.succeeded(api.upload("coming", numbered("Karte", 12), "deu"))
    problem(search(api, "Karte 3", corpora=["coming"]), 409, "corpus-not-embedded")
    api.succeeded(index(api, "coming"))
    listed = hits(search(api, "Karte 3", corpora=["coming"], k=50))
    assert len(listed) == 12
    assert all("Karte" in hit["text"] for hit in listed)


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


def test_many_clients_get_what_one_gets(api: Api) -> None:
    def ask(number: int) -> Any:
        return found(search(api, f"Haus {number % 10} station", corpora=["en", "fr"], lang="de", k=5))["results"]

    alone = [ask(number) for number in range(10)]
    with ThreadPoolExecutor(16) as clients:
        together = list(clients.map(ask, range(80)))
    for number, result in enumerate(together):
        expected = alone[number % 10]
        assert [hit["row"] for hit in result[0]["hits"]] == [hit["row"] for hit in expected[0]["hits"]]
        for hit, other in zip(result[0]["hits"], expected[0]["hits"], strict=True):
            assert hit["margin"] == pytest.approx(other["margin"], abs=1e-5)


def test_a_large_corpus_is_searched_by_its_index(running: Service, api: Api) -> None:
    rng = np.random.default_rng(3)
    words = ["museum", "lake", "map", "station", "weather", "book", "city", "plan", "today", "fine", "bought", "three"]
    texts = [f"{' '.join(rng.choice(words, 9))} {n}" for n in range(LARGE)]
    api.succeeded(api.upload("large", text_of(*texts), "eng"))
    with running.worker_paused():
        accepted = index(api, "large")
        assert accepted.status_code == 202
        assert accepted.headers["location"] == f"/v1/jobs/{accepted.json()['id']}"
        problem(api.http.delete("/v1/corpora/large"), 409, "corpus-in-use")
    result = api.succeeded(accepted)
    assert result["indexed"]
    assert result["sentences"] == LARGE
    (listed,) = api.http.get("/v1/corpora/large/indexes").json()["items"]
    assert listed["indexed"]
    assert listed["searchable"]
    assert listed["cells"] == result["cells"] > listed["probes"]
    assert listed["bytes"] == result["bytes"] > 0

    wanted = texts[::1000]
    quick = found(search(api, *wanted, corpora=["large"], lang="de", k=5))
    exact = found(search(api, *wanted, corpora=["large"], lang="de", k=5, exact=True))
    assert (quick["searched"][0]["exact"], exact["searched"][0]["exact"]) == (False, True)
    by_row = [
        [{hit["row"]: hit["cosine"] for hit in result["hits"]} for result in answer["results"]]
        for answer in (quick, exact)
    ]
    shared = [one.keys() & other.keys() for one, other in zip(*by_row, strict=True)]
    assert np.mean([len(rows) / 5 for rows in shared]) > 0.5  # vectors of 32 dimensions give codes of 4 bytes
    assert all(row * 1000 in other for row, other in enumerate(by_row[1]))
    assert np.mean([row * 1000 in one for row, one in enumerate(by_row[0])]) > 0.8
    for one, other, rows in zip(*by_row, shared, strict=True):
        assert all(one[row] == pytest.approx(other[row], abs=1e-6) for row in rows)
        assert max(one.values()) <= max(other.values())
    few = search(api, wanted[3], corpora=["large"], filter={"doc_ids": ["none"]})
    assert hits(few) == []
    problem(search(api, wanted[0], corpora=["de"], background="large", lang="de"), 422, "background-language")
    assert found(search(api, wanted[0], corpora=["de"], lang="en"))["searched"][0]["background"] == "en"  # it was mined
    assert found(search(api, wanted[0], corpora=["fr"], lang="en"))["searched"][0]["background"] == "large"

    artifacts = running.data_dir / "artifacts"
    assert all(any((artifacts / kind).iterdir()) for kind in ("search-index", "index", "index-training"))
    assert api.http.delete("/v1/corpora/large").status_code == 204
    assert not any(any((artifacts / kind).iterdir()) for kind in ("search-index", "index", "index-training"))
    wait_for_files_to_go(api, running.data_dir)


def wait_for_files_to_go(api: Api, data_dir: Path) -> None:
    """The API keeps no deleted file open for longer than some seconds of requests."""
    deadline = time.monotonic() + 30
    process = Path(f"/proc/{api.process.pid}/maps")
    while "(deleted)" in process.read_text(encoding="utf-8", errors="replace") and time.monotonic() < deadline:
        hits(search(api, "Haus 3", corpora=["en"], k=1))
        time.sleep(0.2)
    lines = process.read_text(encoding="utf-8", errors="replace").splitlines()
    assert not [line for line in lines if "(deleted)" in line and str(data_dir) in line]
