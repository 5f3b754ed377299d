"""What an application does with a running service: upload, mine, read, download, cancel, delete."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from backports import zstd

from tests.integration.service import ENCODER, Api, Service, numbered, problem, service, text_of
from tests.integration.waiting import wait_until

GERMAN = numbered("Bahnhof", 60)
ENGLISH = numbered("station", 50)
LARGE = 60_000  # sentences that keep a worker busy for long enough


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("service")) as started:
        yield started


@pytest.fixture(scope="module")
def api(running: Service) -> Api:
    return running.api


@pytest.fixture(scope="module")
def corpora(api: Api) -> tuple[str, str]:
    """A German and an English corpus that tests may mine and not delete."""
    accepted = [api.upload("de", GERMAN, "de", source="news.de"), api.upload("en", ENGLISH, "en", source="news.en")]
    for answer in accepted:
        api.succeeded(answer)
    return "de", "en"


@pytest.fixture(scope="module")
def mined(api: Api, corpora: tuple[str, str]) -> dict[str, Any]:
    """The job that mined them."""
    job = api.ended(api.mine(*corpora))
    assert job["state"] == "succeeded", job
    return job


def pages(api: Api, path: str, limit: int) -> list[dict[str, Any]]:
    """All items of a list, by its cursors; no page but the last is short."""
    items: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": limit}
    while True:
        page = api.http.get(path, params=query).raise_for_status().json()
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        assert len(page["items"]) == limit
        query["cursor"] = page["next_cursor"]


def test_an_upload_is_accepted_as_a_job_and_becomes_a_corpus(api: Api, running: Service) -> None:
    text = b"\xef\xbb\xbfeins\r\n\nzwei\neins\nbad \xff byte\nnul \x00\n" + b"drei"
    accepted = api.upload("counts", text, "deu", source="news.txt")
    job = accepted.json()
    assert accepted.headers["location"] == f"/v1/jobs/{job['id']}" == job["links"]["self"]
    assert job["kind"] == "ingest"
    assert job["request"] == {
        "name": "counts", "lang": "deu_Latn", "format": "text", "source": "news.txt",
        "sha256": job["request"]["sha256"], "path": None, "append": False,
    }  # fmt: skip
    result = api.succeeded(accepted)
    refused = {"empty": 1, "not-utf8": 1, "control-character": 1}
    assert (result["lines"], result["sentences"], result["duplicates"], result["refused"]) == (7, 3, 1, refused)
    corpus = api.http.get(api.job(job["id"])["links"]["corpus"]).json()
    assert corpus == {
        "name": "counts", "lang": "deu_Latn", "source": "news.txt", "lines": 7, "sentences": 3, "duplicates": 1,
        "refused": refused, "digest": result["digest"], "created": corpus["created"], "updated": corpus["created"],
        "version": 1, "files": [{"source": "news.txt", "lines": 7, "sentences": 3}], "warnings": corpus["warnings"],
    }  # fmt: skip
    assert datetime.fromisoformat(corpus["created"]).tzinfo
    lines = pages(api, "/v1/corpora/counts/refused", 2)
    assert [(line["line"], line["reason"]) for line in lines] == [
        (2, "empty"), (5, "not-utf8"), (6, "control-character"),
    ]  # fmt: skip
    assert "0xff at position 4" in lines[1]["detail"]
    assert running.uploads == []


def _jsonl(sentences: bytes) -> bytes:
    lines = enumerate(sentences.decode().splitlines())
    return "".join(
        json.dumps({"text": text, "id": f"s-{n}", "doc_id": f"d-{n // 10}"}) + "\n" for n, text in lines
    ).encode()


@pytest.mark.parametrize("source", ["news.jsonl", "News.NDJSON.gz", "news.de.jsonl.zst"])
def test_the_format_is_told_by_the_files_name(api: Api, source: str) -> None:
    accepted = api.upload(f"told-{source.lower()}", _jsonl(GERMAN), source=source)
    assert accepted.json()["request"]["format"] == "jsonl"
    assert api.succeeded(accepted)["sentences"] == 60


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("jsonl", _jsonl(GERMAN), "jsonl"),
        ("text.gz", gzip.compress(GERMAN, mtime=0), "text"),
        ("text.zst", zstd.compress(GERMAN), "text"),
        ("jsonl.gz", gzip.compress(_jsonl(GERMAN), mtime=0), "jsonl"),
        ("id-tsv", b"".join(b"s-%d\t%s\n" % line for line in enumerate(GERMAN.splitlines())), "id-tsv"),
    ],
)
def test_uploads_in_other_forms(api: Api, name: str, content: bytes, form: str) -> None:
    result = api.succeeded(api.upload(name, content, format=form))
    assert (result["corpus"], result["lines"], result["sentences"], result["refused"]) == (name, 60, 60, {})


def test_corpora_are_listed_in_pages_and_deleted(api: Api) -> None:
    names = [f"list-{n}" for n in range(3)]
    for name in names:
        api.succeeded(api.upload(name, text_of(f"Satz von {name}")))
    listed = [corpus["name"] for corpus in pages(api, "/v1/corpora", 2)]
    assert listed == sorted(listed)
    assert set(names) <= set(listed)
    assert api.http.get("/v1/corpora/list-1").json()["sentences"] == 1
    assert api.http.delete("/v1/corpora/list-1").status_code == 204
    problem(api.http.delete("/v1/corpora/list-1"), 404, "corpus-not-found")
    problem(api.http.get("/v1/corpora/list-1"), 404, "corpus-not-found")
    assert "list-1" not in [corpus["name"] for corpus in pages(api, "/v1/corpora", 2)]
    api.succeeded(api.upload("list-1", text_of("Die Namen sind wieder frei")))


def test_the_pages_of_pairs_joined_are_the_download(api: Api, mined: dict[str, Any]) -> None:
    bitext = mined["links"]["bitext"]
    pairs = pages(api, f"{bitext}/pairs", 7)
    assert len(pairs) == mined["result"]["pairs"] == api.http.get(bitext).json()["pairs"] > 40
    download = api.http.get(f"{bitext}/download", params={"format": "jsonl"})
    assert [json.loads(line) for line in download.text.splitlines()] == pairs
    assert download.headers["content-type"].startswith("application/jsonl")
    assert download.headers["content-disposition"].endswith('.jsonl"')
    tsv = api.http.get(f"{bitext}/download")
    rows = [line.split("\t") for line in tsv.text.splitlines()]
    assert [(float(margin), src, tgt) for margin, src, tgt in rows] == [
        (pair["margin"], pair["src"], pair["tgt"]) for pair in pairs
    ]
    margins = [pair["margin"] for pair in pairs]
    assert margins == sorted(margins, reverse=True)
    best = pairs[0]
    assert GERMAN.decode().splitlines()[best["src_line"] - 1] == best["src"]
    assert ENGLISH.decode().splitlines()[best["tgt_line"] - 1] == best["tgt"]


def test_a_mining_job_tells_what_it_did(api: Api, mined: dict[str, Any]) -> None:
    assert mined["request"]["src"] == "de"
    assert mined["request"]["k"] == 4
    assert mined["attempts"] == 1
    assert {"embed-src", "embed-tgt", "score"} <= set(mined["stage_seconds"])
    assert "cancel" not in mined["links"]
    bitext = api.http.get(mined["links"]["bitext"]).json()
    assert (bitext["src_source"], bitext["tgt_lang"], bitext["src_sentences"]) == ("news.de", "eng_Latn", 60)
    assert (bitext["encoder"], bitext["margin"], bitext["threshold"]) == (ENCODER, "ratio", None)
    assert bitext["id"] in [listed["id"] for listed in pages(api, "/v1/bitexts", 1)]


def test_mining_again_reuses_what_is_there(api: Api, mined: dict[str, Any], corpora: tuple[str, str]) -> None:
    before = len(pages(api, "/v1/bitexts", 10))
    again = api.succeeded(api.mine(*corpora))
    assert again["bitext"] == mined["result"]["bitext"]
    assert len(pages(api, "/v1/bitexts", 10)) == before
    other = api.succeeded(api.mine(*corpora, retrieval="intersection", threshold=1, ceiling=2.5))
    assert other["bitext"] != mined["result"]["bitext"]


def test_bitexts_outlive_their_corpora(api: Api) -> None:
    api.succeeded(api.upload("gone-de", numbered("Haus", 9), "de"))
    api.succeeded(api.upload("gone-en", numbered("house", 9), "en"))
    job = api.ended(api.mine("gone-de", "gone-en", k=2))
    for name in ("gone-de", "gone-en"):
        assert api.http.delete(f"/v1/corpora/{name}").status_code == 204
    assert len(pages(api, f"{job['links']['bitext']}/pairs", 5)) == job["result"]["pairs"]


def test_jobs_come_newest_first_in_pages(api: Api, mined: dict[str, Any]) -> None:
    jobs = pages(api, "/v1/jobs", 2)
    identifiers = [job["id"] for job in jobs]
    assert mined["id"] in identifiers
    assert len(identifiers) == len(set(identifiers))
    assert identifiers == sorted(identifiers, reverse=True)
    assert jobs[identifiers.index(mined["id"])] == mined


def test_a_waiting_job_is_cancelled_at_once(running: Service, api: Api, corpora: tuple[str, str]) -> None:
    with running.worker_paused():
        mining, upload = api.mine(*corpora, k=3), api.upload("unwanted", GERMAN)
        for accepted in (mining, upload):
            cancelled = api.http.post(accepted.json()["links"]["cancel"])
            assert cancelled.status_code == 202
            assert cancelled.json()["state"] == "cancelled"
        assert running.uploads == []
    problem(api.http.post(f"/v1/jobs/{mining.json()['id']}/cancel"), 409, "job-finished")
    assert api.ended(mining)["result"] is None
    problem(api.http.get("/v1/corpora/unwanted"), 404, "corpus-not-found")


def test_large_work_blocks_nobody(running: Service, api: Api) -> None:
    """While a large upload arrives and a large job runs, the API answers, and the job can be cancelled."""
    text = numbered("Haus", LARGE)
    slowest, result = _slowest_livez(api, lambda: api.upload("large-de", _slowly(text * 20), "de"))
    assert slowest < 2
    api.succeeded(result)
    api.succeeded(api.upload("large-en", numbered("house", LARGE), "en"))
    accepted = api.mine("large-de", "large-en")
    job_id = accepted.json()["id"]
    wait_until(lambda: api.job(job_id)["progress"], "the job is at work")
    progress = api.job(job_id)["progress"]
    assert progress["total"] is None or 0 <= progress["done"] <= progress["total"]
    problem(api.http.delete("/v1/corpora/large-en"), 409, "corpus-in-use")
    slowest, _ = _slowest_livez(api, lambda: time.sleep(1))
    assert slowest < 2
    assert api.http.post(f"/v1/jobs/{job_id}/cancel").json()["cancel_requested"]
    assert api.ended(accepted)["state"] == "cancelled"
    assert api.http.delete("/v1/corpora/large-en").status_code == 204


def _slowly(content: bytes) -> Iterator[bytes]:
    """In chunks, as a network brings it."""
    for start in range(0, len(content), 1 << 20):
        yield content[start : start + (1 << 20)]
        time.sleep(0.02)


def _slowest_livez(api: Api, work: Callable[[], Any]) -> tuple[float, Any]:
    """The longest that /livez took while the work was done in another thread, and what came of it."""
    slowest = 0.0
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        while not future.done():
            started = time.monotonic()
            assert api.http.get("/livez").json()["live"]
            slowest = max(slowest, time.monotonic() - started)
            time.sleep(0.01)
    return slowest, future.result()


def test_the_root_is_the_web_page_and_leads_to_the_description(api: Api) -> None:
    page = api.http.get("/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert 'href="./docs"' in page.text
    assert api.http.get("/docs").status_code == 200


def test_encoders_are_listed_installed_or_not(api: Api) -> None:
    found = {encoder["name"]: encoder for encoder in api.http.get("/v1/encoders").json()["items"]}
    assert found[ENCODER]["installed"]
    assert found[ENCODER]["dims"] == 32
    assert "deu_Latn" in found[ENCODER]["languages"]
    assert not found["muse"]["installed"]


def test_readiness_names_what_is_missing(tmp_path_factory: pytest.TempPathFactory) -> None:
    with service(tmp_path_factory.mktemp("ready")) as own:
        ready = own.api.http.get("/readyz")
        assert {check["name"]: check["ok"] for check in ready.json()["checks"]} == {
            "redis": True, "workers": True, "encoders": True, "disk": True,
        }  # fmt: skip
        own.worker.kill()
        wait_until(lambda: own.api.http.get("/readyz").status_code == 503, "the worker is missed")
        assert _missing(own.api) == {"workers": "no worker has been heard of lately"}
        own.start_worker()
        wait_until(lambda: own.api.http.get("/readyz").status_code == 200, "the new worker is seen")
        own.valkey.kill()
        missing = _missing(own.api)
        assert set(missing) == {"redis", "workers"}
        assert "does not answer" in missing["redis"]
        assert own.api.http.get("/livez").status_code == 200
        crowded = own.start_api(min_free_bytes=str(1 << 60), encoders_dir="/nonexistent")
        assert set(_missing(crowded)) == {"redis", "workers", "encoders", "disk"}


def _missing(api: Api) -> dict[str, str]:
    answer = api.http.get("/readyz")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert not answer.json()["ready"]
    return {check["name"]: check["detail"] for check in answer.json()["checks"] if not check["ok"]}


def test_pairs_of_identical_sentences_are_dropped_on_demand(running: Service, api: Api) -> None:
    shared = [f"Satz Nummer {n} steht so auf beiden Seiten" for n in range(30)]
    for name, lang in (("copies-de", "de"), ("copies-en", "en")):
        lines = [*shared, *(f"{lang} line {n} of its own" for n in range(40))]
        api.succeeded(api.upload(name, "\n".join(lines).encode(), lang))
    kept = api.succeeded(api.mine("copies-de", "copies-en"))
    dropped = api.succeeded(api.mine("copies-de", "copies-en", drop_identical=True))
    assert kept["identical_pairs"] > 0
    pairs = api.http.get(f"/v1/bitexts/{dropped['bitext']}/pairs").json()["items"]
    assert pairs
    assert all(pair["src"] != pair["tgt"] for pair in pairs)
