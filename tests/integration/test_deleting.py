"""What accumulates can be deleted: jobs, bitexts, corpora; and what nobody can name does not stay."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.catalog import Catalog
from bitextmine.corpus import CorpusFile, ingest
from tests.integration.service import Api, Service, numbered, problem, service_with_corpora, text_of
from tests.integration.waiting import wait_until


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_with_corpora(tmp_path_factory.mktemp("deleting")) as started:
        yield started


@pytest.fixture(scope="module")
def api(running: Service) -> Api:
    return running.api


def test_a_job_that_is_over_is_deleted_and_what_it_made_stays(running: Service, api: Api) -> None:
    with running.worker_paused():
        accepted = api.mine("de", "en", k=3)
        path = accepted.headers["location"]
        problem(api.http.delete(path), 409, "job-unfinished")
    job = api.ended(accepted)
    assert api.http.delete(path).status_code == 204
    problem(api.http.get(path), 404, "job-not-found")
    problem(api.http.delete(path), 404, "job-not-found")
    assert job["id"] not in [listed["id"] for listed in api.http.get("/v1/jobs").json()["items"]]
    assert api.http.get(job["links"]["bitext"]).status_code == 200


def test_bitexts_come_newest_first_in_pages_and_are_deleted(api: Api) -> None:
    ids = [api.succeeded(api.mine("de", "en", threshold=1 + n / 100))["bitext"] for n in range(5)]
    listed: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = api.http.get("/v1/bitexts", params={"limit": 2, **cursor}).json()
        listed += [bitext["id"] for bitext in page["items"]]
        if page["next_cursor"] is None:
            break
        if not cursor:  # what comes or goes meanwhile moves nothing from page to page
            api.succeeded(api.mine("de", "en", threshold=0.5))
            assert api.http.delete(f"/v1/bitexts/{ids[4]}").status_code == 204
        cursor = {"cursor": page["next_cursor"]}
    assert listed[:5] == ids[::-1]
    assert len(listed) == len(set(listed))
    problem(api.http.delete(f"/v1/bitexts/{ids[4]}"), 404, "bitext-not-found")
    problem(api.http.get(f"/v1/bitexts/{ids[4]}/download"), 404, "bitext-not-found")
    assert api.succeeded(api.mine("de", "en", threshold=1.04))["bitext"] == ids[4]


def test_a_corpus_that_loses_the_race_for_its_name_does_not_stay(running: Service, api: Api, tmp_path) -> None:
    store = ArtifactStore(running.data_dir / "artifacts")
    (tmp_path / "first").write_bytes(text_of("Der Erste"))
    with running.worker_paused():
        late, shared = (
            api.upload("raced", text_of("Der Zweite")),
            api.upload("again", numbered("Haus", 30), source="de"),
        )
        first = ingest(CorpusFile(tmp_path / "first", "deu_Latn"), store)
        for name in ("raced", "again"):
            Catalog(running.data_dir / "corpora", store).add(name, first)
    for accepted in (late, shared):
        assert api.failed(accepted)["code"] == "corpus-exists"
    assert api.http.get("/v1/corpora/raced").json()["sentences"] == 1
    assert api.http.get("/v1/corpora/de").json()["sentences"] == 30, "it has the content that came too late"
    named = {entry["digest"] for entry in api.http.get("/v1/corpora").json()["items"]}
    assert {artifact.digest for artifact in store.list("corpus")} == named
    kept = {path.name for path in running.uploads}
    assert len(kept) == 2, "the jobs can be tried again once the name is free"
    api.http.delete("/v1/corpora/raced").raise_for_status()
    assert api.succeeded(api.http.post(f"/v1/jobs/{late.json()['id']}/retry"))["sentences"] == 1
    assert len(running.uploads) == 1


def test_a_job_that_needs_more_memory_than_the_worker_gives_says_so(running: Service, api: Api) -> None:
    running.worker.kill()
    running.start_worker(memory="20kB")
    try:
        error = api.failed(api.mine("de", "en", k=2))
        assert error["code"] == "memory-too-small"
    finally:
        running.worker.kill()
        running.start_worker()
        wait_until(lambda: api.http.get("/readyz").status_code == 200, "the worker is back")
