"""POST /v1/search against a running service: what it finds, with which scores."""

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


def test_a_vector_of_zeros_finds_something_of_no_meaning(api: Api) -> None:
    listed = hits(search(api, vectors=[[0.0] * 32], corpora=["en"], lang="de", k=3))
    assert [hit["cosine"] for hit in listed] == [0, 0, 0]


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
