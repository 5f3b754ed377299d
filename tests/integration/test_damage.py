"""What happens to files behind the service's back: it says what to do, that helps, and nothing else suffers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.service import Api, Service, numbered, problem, service_with_corpora

ADVICE = "delete corpus 'victim' over the API and upload it again"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_with_corpora(tmp_path_factory.mktemp("damage")) as started:
        yield started


@pytest.fixture(scope="module")
def api(running: Service) -> Api:
    return running.api


def _listed(api: Api) -> list[str]:
    return [corpus["name"] for corpus in api.http.get("/v1/corpora").raise_for_status().json()["items"]]


DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "name": lambda name, artifact: name.write_text("{"),
    "lost": lambda name, artifact: shutil.rmtree(artifact),
    "truncated": lambda name, artifact: os.truncate(artifact / "sentences.arrow", 10),
    "manifest": lambda name, artifact: (artifact / "manifest.json").write_text("[]"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_corpus_says_how_to_repair_it_and_hides_no_other(running: Service, api: Api, damage: str) -> None:
    corpus = api.succeeded(api.upload("victim", numbered("Baum", 20)))
    artifact = running.data_dir / "artifacts" / "corpus" / corpus["digest"]
    DAMAGES[damage](running.data_dir / "corpora" / "victim.json", artifact)
    assert _listed(api) == ["de", "en"]
    for answer in (api.http.get("/v1/corpora/victim"), api.mine("victim", "en")):
        assert problem(answer, 500, "artifact-damaged")["detail"].endswith(ADVICE)
    problem(api.upload("victim", numbered("Baum", 20)), 409, "corpus-exists")
    api.succeeded(api.upload("other", numbered("Strauch", 20)))
    assert api.http.delete("/v1/corpora/other").status_code == 204
    assert api.http.delete("/v1/corpora/victim").status_code == 204
    problem(api.http.get("/v1/corpora/victim"), 404, "corpus-not-found")
    assert api.succeeded(api.upload("victim", numbered("Baum", 20)))["digest"] == corpus["digest"]
    assert _listed(api) == ["de", "en", "victim"]
    assert api.http.delete("/v1/corpora/victim").status_code == 204


def test_a_corpus_that_is_damaged_before_its_job_runs_fails_it_with_the_advice(running: Service, api: Api) -> None:
    corpus = api.succeeded(api.upload("victim", numbered("Baum", 20)))
    with running.worker_paused():
        accepted = api.mine("victim", "en")
        os.truncate(running.data_dir / "artifacts" / "corpus" / corpus["digest"] / "sentences.arrow", 10)
    error = api.failed(accepted)
    assert error["code"] == "artifact-damaged"
    assert error["detail"].endswith(ADVICE)
    assert api.http.delete("/v1/corpora/victim").status_code == 204


def test_a_list_holds_while_corpora_come_and_go(running: Service, api: Api) -> None:
    api.succeeded(api.upload("victim", numbered("Baum", 20)))
    name = running.data_dir / "corpora" / "victim.json"
    content = name.read_bytes()
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(lambda: [api.http.get("/v1/corpora").status_code for _ in range(200)])
        while not answers.done():
            name.unlink()
            name.write_bytes(content)
    assert set(answers.result()) == {200}
    assert api.http.delete("/v1/corpora/victim").status_code == 204


@pytest.mark.parametrize("scrambled", [True, False])
def test_a_damaged_bitext_is_a_problem_and_is_deleted_and_mined_again(
    running: Service, api: Api, scrambled: bool
) -> None:
    mined = api.succeeded(api.mine("de", "en", k=3))
    sound = api.succeeded(api.mine("de", "en", k=2))
    path = f"/v1/bitexts/{mined['bitext']}"
    pairs = running.data_dir / "artifacts" / "bitext" / mined["bitext"] / "pairs.parquet"
    if scrambled:
        pairs.write_bytes(bytes(pairs.stat().st_size))
    else:
        os.truncate(pairs, 10)
    for form in ("tsv", "jsonl"):
        problem(api.http.get(f"{path}/download", params={"format": form}), 500, "artifact-damaged")
    problem(api.http.get(f"{path}/pairs"), 500, "artifact-damaged")
    listed = [bitext["id"] for bitext in api.http.get("/v1/bitexts").raise_for_status().json()["items"]]
    assert sound["bitext"] in listed
    assert (mined["bitext"] in listed) == scrambled, "what has its size is believed until it is read"
    assert api.http.delete(path).status_code == 204
    assert api.succeeded(api.mine("de", "en", k=3))["bitext"] == mined["bitext"]
    assert api.http.get(f"{path}/download").text.count("\n") == mined["pairs"]
