"""Corpora over HTTP: appended to, measured, imported, and kept from deletion while something needs them."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.catalog import Catalog
from bitextmine.corpus.statistics import KIND as STATISTICS
from tests.integration.service import Api, Service, numbered, problem, service, text_of
from tests.integration.waiting import wait_until

GERMAN = [f"Das Wetter ist heute schön, und wir fahren zum {n}. Mal an den großen See." for n in range(60)]
FRENCH = [f"Il fait très beau aujourd'hui et nous allons au lac pour la {n}e fois." for n in range(60)]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("corpora")) as started:
        yield started
        assert "Traceback" not in started.api.process.log + started.worker.log


@pytest.fixture(scope="module")
def api(running: Service) -> Api:
    return running.api


@pytest.fixture(autouse=True)
def _nothing_is_left(running: Service) -> Iterator[None]:
    yield
    assert running.uploads == []


def append(api: Api, name: str, content: Any, **query: str) -> httpx.Response:
    return api.http.post(f"/v1/corpora/{name}/append", params=query, content=content)


def corpus(api: Api, name: str) -> dict[str, Any]:
    found: dict[str, Any] = api.http.get(f"/v1/corpora/{name}").raise_for_status().json()
    return found


def catalog(running: Service) -> Catalog:
    return Catalog(running.data_dir / "corpora", ArtifactStore(running.data_dir / "artifacts"))


# --- append


def test_an_appended_corpus_is_that_of_the_files_in_a_row(running: Service, api: Api) -> None:
    files = [numbered("Haus", 30), b"\n\xff\n" + numbered("Haus", 40), gzip.compress(numbered("Wort", 5))]
    api.succeeded(api.upload("grown", files[0], source="a.txt"))
    second = api.succeeded(append(api, "grown", files[1], source="b.txt"))
    assert (second["version"], second["lines"], second["sentences"], second["duplicates"]) == (2, 72, 40, 30)
    third = api.succeeded(append(api, "grown", files[2], source="c.gz"))
    assert third["version"] == 3
    whole = api.succeeded(api.upload("whole", files[0] + files[1] + gzip.decompress(files[2])))
    assert {name: third[name] for name in ("lines", "sentences", "duplicates", "refused")} == {
        name: whole[name] for name in ("lines", "sentences", "duplicates", "refused")
    }
    shown = corpus(api, "grown")
    assert shown["version"] == 3
    assert shown["digest"] == third["digest"]
    assert shown["files"] == [
        {"source": "a.txt", "lines": 30, "sentences": 30},
        {"source": "b.txt", "lines": 42, "sentences": 10},
        {"source": "c.gz", "lines": 5, "sentences": 5},
    ]
    assert shown["created"] < shown["updated"]
    refused = api.http.get("/v1/corpora/grown/refused").json()["items"]
    assert [(line["source"], line["line"]) for line in refused] == [("b.txt", 1), ("b.txt", 2)]
    ours, theirs = (catalog(running).open(name) for name in ("grown", "whole"))
    assert [shard.digest for shard in ours.shards] == [shard.digest for shard in theirs.shards]
    rows = np.arange(len(ours))
    for column in ("text", "id"):
        assert ours.take(column, rows).equals(theirs.take(column, rows))


def test_a_job_that_was_sent_before_works_on_the_version_that_there_was(running: Service, api: Api) -> None:
    api.succeeded(api.upload("src", numbered("Haus", 20)))
    api.succeeded(api.upload("tgt", numbered("house", 20), "en"))
    before = corpus(api, "src")["digest"]
    with running.worker_paused():
        mining = api.mine("src", "tgt")
        appending = append(api, "src", numbered("Wort", 5))
    mined = api.succeeded(mining)
    api.succeeded(appending)
    again = api.succeeded(api.mine("src", "tgt"))
    after = corpus(api, "src")["digest"]
    store = ArtifactStore(running.data_dir / "artifacts")
    inputs = [store.open("bitext", job["bitext"]).manifest["inputs"] for job in (mined, again)]  # type: ignore[union-attr]
    assert [before in each.values() for each in inputs] == [True, False]
    assert [after in each.values() for each in inputs] == [False, True]
    files = [api.http.get(f"/v1/bitexts/{job['bitext']}").json()["src_files"] for job in (mined, again)]
    assert files == [
        [{"source": "src", "first_row": 0}],
        [{"source": "src", "first_row": 0}, {"source": "src", "first_row": 20}],
    ]


def test_files_that_are_appended_at_once_are_all_there(running: Service, api: Api) -> None:
    """The worker does two jobs at a time."""
    api.succeeded(api.upload("busy", numbered("Haus", 5)))
    accepted = [append(api, "busy", numbered(f"Wort{n}", 10), source=f"{n}.txt") for n in range(8)]
    versions = sorted(api.succeeded(each)["version"] for each in accepted)
    assert versions == list(range(2, 10))
    shown = corpus(api, "busy")
    assert (shown["version"], shown["sentences"]) == (9, 85)
    assert {file["source"] for file in shown["files"][1:]} == {f"{n}.txt" for n in range(8)}
    named = {version.digest for entry in catalog(running).list() for version in entry.versions}
    store = ArtifactStore(running.data_dir / "artifacts")
    assert {artifact.digest for artifact in store.list("corpus")} == named, "nothing that lost a race stays"


def test_an_append_goes_on_after_its_worker_was_killed_and_is_done_once(running: Service, api: Api) -> None:
    api.succeeded(api.upload("killed", numbered("Haus", 5)))
    with running.worker_paused():
        accepted = append(api, "killed", numbered("Wort", 60_000))
    wait_until(lambda: api.job(accepted.json()["id"])["state"] == "running", "it runs")
    running.worker.kill()
    running.start_worker()
    result = api.succeeded(accepted)
    assert (result["version"], result["sentences"], result["duplicates"]) == (2, 60_005, 0)
    assert corpus(api, "killed")["version"] == 2


def test_appending_needs_a_corpus(api: Api) -> None:
    problem(append(api, "none", b"Haus\n"), 404, "corpus-not-found")
    problem(append(api, "NONE", b"Haus\n"), 422, "invalid-request")
    api.succeeded(api.upload("some", text_of("Haus")))
    problem(append(api, "some", b""), 422, "empty-corpus")
    problem(api.http.post("/v1/corpora/some/append", files={"file": ("a", b"Haus")}), 422, "unsupported-input")
    assert api.failed(append(api, "some", b"\n"))["code"] == "empty-corpus"
    assert corpus(api, "some")["version"] == 1


def test_a_corpus_deleted_under_an_append_fails_it_and_leaves_nothing(running: Service, api: Api) -> None:
    api.succeeded(api.upload("doomed", numbered("Haus", 5)))
    with running.worker_paused():
        accepted = append(api, "doomed", numbered("Wort", 5))
        catalog(running).delete("doomed")  # as another service on the same data would
    assert api.failed(accepted)["code"] == "corpus-not-found"
    for path in running.uploads:
        path.unlink()


# --- delete


def test_a_corpus_stays_while_a_job_of_any_kind_needs_it(running: Service, api: Api) -> None:
    for name, lang in (("one", "de"), ("two", "en")):
        api.succeeded(api.upload(name, numbered(name, 20), lang))
    with running.worker_paused():
        jobs = [api.mine("one", "two"), append(api, "one", numbered("Wort", 3))]
        jobs.append(api.http.post("/v1/corpora/two/indexes", json={"encoder": "tiny"}))
        assert [job.status_code for job in jobs] == [202] * 3
        for name in ("one", "two"):
            detail = problem(api.http.delete(f"/v1/corpora/{name}"), 409, "corpus-in-use")["detail"]
            assert any(job.json()["id"] in detail for job in jobs)
        api.http.post(jobs[0].json()["links"]["cancel"])
        api.http.post(jobs[1].json()["links"]["cancel"])
        assert api.http.delete("/v1/corpora/one").status_code == 204
        assert jobs[2].json()["id"] in problem(api.http.delete("/v1/corpora/two"), 409, "corpus-in-use")["detail"]
    api.succeeded(jobs[2])
    assert api.http.delete("/v1/corpora/two").status_code == 204


def test_deleting_a_corpus_deletes_all_that_is_of_its_versions(running: Service, api: Api) -> None:
    store = ArtifactStore(running.data_dir / "artifacts")
    kinds = ("corpus", STATISTICS, "embeddings")
    before = {kind: {artifact.digest for artifact in store.list(kind)} for kind in kinds}
    api.succeeded(api.upload("gone", numbered("gehen", 12)))
    api.succeeded(append(api, "gone", numbered("kommen", 12)))
    assert len(store.list(STATISTICS)) == len(before[STATISTICS]) + 2
    assert api.http.delete("/v1/corpora/gone").status_code == 204
    assert {kind: {artifact.digest for artifact in store.list(kind)} for kind in kinds} == before


# --- statistics


def test_statistics_tell_lengths_languages_scripts_and_lines(api: Api) -> None:
    api.succeeded(api.upload("stats", text_of(*GERMAN, GERMAN[0], "", "x" * 20_000)))
    found = api.http.get("/v1/corpora/stats/statistics").json()
    assert (found["lines"], found["sentences"], found["duplicates"]) == (63, 60, 1)
    assert found["refused"] == {"empty": 1, "too-long": 1}
    lengths = [len(sentence) for sentence in GERMAN]
    assert found["characters"]["unit"] == "characters"
    assert (found["characters"]["least"], found["characters"]["most"]) == (min(lengths), max(lengths))
    assert found["characters"]["mean"] == pytest.approx(sum(lengths) / 60, abs=0.01)
    assert found["words"]["unit"] == "words"
    assert found["words"]["quantiles"]["0.5"] == len(GERMAN[0].split())
    assert sum(bucket["count"] for bucket in found["words"]["histogram"]) == 60
    assert found["languages"]["sample"] == 60
    assert found["languages"]["agree"] == 1.0
    assert found["languages"]["shares"] == {"deu": 1.0}
    assert found["scripts"] == {"Latn": 1.0}
    assert found["warnings"] == corpus(api, "stats")["warnings"] == []


def test_a_corpus_in_another_language_than_declared_is_warned_of(api: Api) -> None:
    result = api.succeeded(api.upload("wrong", text_of(*FRENCH, *GERMAN[:20]), "de"))
    [warning] = corpus(api, "wrong")["warnings"]
    assert result["warnings"] == [warning]
    assert "another language than deu: 75% of 80 sampled ones like fra, 25% like deu" in warning
    listed = {entry["name"]: entry["warnings"] for entry in api.http.get("/v1/corpora").json()["items"]}
    assert listed["wrong"] == [warning]
    api.succeeded(append(api, "wrong", text_of(*(f"{text} Das stimmt." for text in GERMAN))))
    assert corpus(api, "wrong")["warnings"] == []


def test_a_language_that_the_identifier_does_not_know_is_said_so(api: Api) -> None:
    api.succeeded(api.upload("unknown", text_of(*GERMAN), "wol"))
    languages = api.http.get("/v1/corpora/unknown/statistics").json()["languages"]
    assert (languages["declared_is_known"], languages["agree"]) == (False, None)
    assert corpus(api, "unknown")["warnings"] == []


def test_words_are_characters_where_there_are_no_spaces(api: Api) -> None:
    api.succeeded(api.upload("thai", text_of("วันนี้อากาศดี", "ไปทะเลสาบกัน"), "th"))
    found = api.http.get("/v1/corpora/thai/statistics").json()
    assert found["words"] == found["characters"]
    assert found["scripts"] == {"Thai": 1.0}


def test_statistics_of_a_corpus_without_them_are_made_when_asked_for(running: Service, api: Api) -> None:
    digest = api.succeeded(api.upload("old", text_of(*GERMAN, "alt")))["digest"]
    before = api.http.get("/v1/corpora/old/statistics").json()
    store = ArtifactStore(running.data_dir / "artifacts")
    for artifact in store.list(STATISTICS):
        if artifact.manifest["inputs"]["corpus"] == digest:
            store.delete(STATISTICS, artifact.digest)
    assert corpus(api, "old")["warnings"] == []
    assert api.http.get("/v1/corpora/old/statistics").json() == before
    problem(api.http.get("/v1/corpora/none/statistics"), 404, "corpus-not-found")


# --- metadata


def records(*metas: Any) -> bytes:
    lines = ({"text": f"Satz {n}", "meta": meta} for n, meta in enumerate(metas))
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def test_metadata_is_kept_and_what_is_none_refuses_its_line(running: Service, api: Api) -> None:
    good: list[Any] = [{"year": "2024", "genre": "Zeitung"}, {}, None]
    bad: list[Any] = [
        *([], "text", 1, True, {"a": 1}, {"a": None}, {"a": ["b"]}, {"a": "x" * 257}, {"x" * 65: "a"}),
        *({str(n): "x" for n in range(17)}, {"a": "b\tc"}, {"": "a"}, {"a": "\ud800"}),
    ]
    result = api.succeeded(api.upload("meta", records(*good, *bad), format="jsonl"))
    assert (result["sentences"], result["refused"]) == (3, {"bad-record": len(bad)})
    refused = api.http.get("/v1/corpora/meta/refused").json()["items"]
    assert all('"meta"' in line["detail"] and len(line["detail"]) < 200 for line in refused)
    kept = catalog(running).open("meta").take("meta", np.arange(3)).to_pylist()
    assert kept == ['{"genre": "Zeitung", "year": "2024"}', None, None]


def test_many_readers_of_statistics_that_are_not_there_get_them_or_are_told_to_wait(running: Service, api: Api) -> None:
    digest = api.succeeded(api.upload("crowd", numbered("Haus", 40_000)))["digest"]
    store = ArtifactStore(running.data_dir / "artifacts")
    for artifact in store.list(STATISTICS):
        if artifact.manifest["inputs"]["corpus"] == digest:
            store.delete(STATISTICS, artifact.digest)
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(httpx.get(f"{api.url}/v1/corpora/crowd/statistics").status_code))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) <= {200, 429}
    assert 200 in answers
