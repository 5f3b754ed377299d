"""Mining jobs with filters over HTTP: what comes out, what was dropped and why, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bitextmine.client import Client
from tests.integration.service import ENCODER, Api, Service, problem, service_with_corpora, text_of

NUMBERS = {"defaults": False, "numbers": {"least": 1}}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_with_corpora(tmp_path_factory.mktemp("filtering")) as started:
        # The first half is what `de` has too; the other half has numbers that `de` has not.
        numbers = (n if n < 15 else n + 40 for n in range(30))
        texts = [f"house {n} station {n * 37 % 101} museum {n * n % 997}" for n in numbers]
        started.api.succeeded(started.api.upload("plain", text_of(*texts), "en"))
        yield started


@pytest.fixture(scope="module")
def api(running: Service) -> Api:
    return running.api


@pytest.fixture(scope="module")
def filtered(api: Api) -> dict[str, Any]:
    """The result of a job with a filter."""
    return api.succeeded(api.mine("de", "plain", filters=NUMBERS))


def pages(api: Api, path: str, limit: int = 1000, **query: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        params = {"limit": limit, **query} | ({"cursor": cursor} if cursor else {})
        page = api.http.get(path, params=params).raise_for_status().json()
        items += page["items"]
        if (cursor := page["next_cursor"]) is None:
            assert page["total"] == len(items)
            return items


def test_a_job_with_filters_makes_a_filtered_bitext(api: Api, filtered: dict[str, Any]) -> None:
    source, bitext = (api.http.get(f"/v1/bitexts/{filtered[name]}").json() for name in ("filtered_from", "bitext"))
    assert (source["filtered_from"], source["filters"], source["unfiltered_pairs"]) == (None, [], None)
    assert (bitext["filtered_from"], bitext["unfiltered_pairs"]) == (source["id"], source["pairs"])
    assert bitext["filtered_by"] == {"defaults": False, "numbers": {"least": 1.0, "most": None}}
    for name in ("src_lang", "tgt_lang", "encoder", "k", "margin", "src_files", "src_sentences", "made_by", "search"):
        assert bitext[name] == source[name], name
    (count,) = bitext["filters"]
    assert count == {
        "name": "numbers",
        "dropped": source["pairs"] - bitext["pairs"],
        "alone": count["dropped"],
        "learnt": {},
    }
    assert filtered["filters"] == [count]
    assert 0 < bitext["pairs"] < source["pairs"]
    assert bitext["seconds"].keys() == source["seconds"].keys() | {"filter"}
    before, after = (pages(api, f"/v1/bitexts/{each['id']}/pairs") for each in (source, bitext))
    rejected = pages(api, f"/v1/bitexts/{bitext['id']}/rejected")
    assert {each["filter"] for each in rejected} == {"numbers"}
    assert all("numbers disagree" in each["reason"] for each in rejected)
    left = [{name: each[name] for name in before[0]} for each in rejected]
    assert sorted(after + left, key=str) == sorted(before, key=str)
    assert api.http.get(f"/v1/bitexts/{source['id']}/rejected").json() == {"items": [], "total": 0, "next_cursor": None}
    tsv = api.http.get(f"/v1/bitexts/{bitext['id']}/download").text
    assert len(tsv.splitlines()) == bitext["pairs"]


def test_the_same_job_again_finds_what_is_there(api: Api, filtered: dict[str, Any]) -> None:
    again = api.succeeded(api.mine("de", "plain", filters=NUMBERS))
    assert again == filtered
    assert api.succeeded(api.mine("de", "plain"))["bitext"] == filtered["filtered_from"]
    assert api.succeeded(api.mine("de", "plain", filters="none"))["bitext"] == filtered["filtered_from"]


def test_rejected_pairs_come_in_pages_and_by_filter(api: Api, filtered: dict[str, Any]) -> None:
    path = f"/v1/bitexts/{filtered['bitext']}/rejected"
    whole = pages(api, path)
    assert pages(api, path, limit=3) == pages(api, path, limit=3, filter="numbers") == whole
    assert api.http.get(path, params={"filter": "copy"}).json() == {"items": [], "total": 0, "next_cursor": None}
    cursor = api.http.get(path, params={"limit": 1}).json()["next_cursor"]
    problem(api.http.get(path, params={"cursor": cursor, "filter": "numbers"}), 422, "invalid-cursor")
    problem(api.http.get(path, params={"cursor": "1"}), 422, "invalid-cursor")
    refused = problem(api.http.get(path, params={"filter": "number"}), 422, "invalid-filters")
    assert "unknown filter 'number'; there are: length-ratio, " in refused["detail"]
    problem(api.http.get(f"/v1/bitexts/{'0' * 32}/rejected"), 404, "bitext-not-found")


@pytest.mark.parametrize(
    ("filters", "code"),
    [
        ({"lenght-ratio": True}, "invalid-filters"),
        ({"copy": {"most": -1, "least": 1}}, "invalid-filters"),
        ({"ceiling": True}, "invalid-filters"),
        ({"defaults": {"most": 1}}, "invalid-filters"),
        ({"copy": {"upper": 1}}, "invalid-request"),
        ({"copy": "yes"}, "invalid-request"),
        ({"copy": 1}, "invalid-request"),
        ({"copy": {"most": "1"}}, "invalid-request"),
        ({"copy": {"most": 1e99}}, "invalid-request"),
        ({"copy": None}, "invalid-request"),
        ("all", "invalid-request"),
        (["copy"], "invalid-request"),
        (None, "invalid-request"),
        ({f"{n}": True for n in range(33)}, "invalid-request"),
    ],
)
def test_filters_that_cannot_be_are_refused_before_any_work(api: Api, filters: Any, code: str) -> None:
    problem(api.mine("de", "en", filters=filters), 422, code)


def test_the_client_asks_for_filters_and_reads_what_they_did(api: Api, filtered: dict[str, Any]) -> None:
    with Client(str(api.http.base_url)) as client:
        job = client.jobs.wait(client.mine("de", "plain", encoder=ENCODER, filters=NUMBERS))
        bitext = client.bitexts.get(job)
        assert bitext.id == filtered["bitext"]
        assert bitext.filters[0].dropped == len(list(client.bitexts.rejected(job))) > 0
        assert [each.reason for each in client.bitexts.rejected(job, filter="numbers")]
        assert list(client.bitexts.rejected(job, filter="copy")) == []


def test_a_filtered_bitext_is_deleted_alone(api: Api) -> None:
    result = api.succeeded(api.mine("de", "plain", filters="default", threshold=0.5))
    assert [count["name"] for count in result["filters"]][:2] == ["length-ratio", "punctuation"]
    assert api.http.delete(f"/v1/bitexts/{result['filtered_from']}").status_code == 204
    assert api.http.get(f"/v1/bitexts/{result['bitext']}").status_code == 200
    assert api.http.get(f"/v1/bitexts/{result['bitext']}/pairs").status_code == 200
    assert api.http.delete(f"/v1/bitexts/{result['bitext']}").status_code == 204
    problem(api.http.get(f"/v1/bitexts/{result['bitext']}/rejected"), 404, "bitext-not-found")
