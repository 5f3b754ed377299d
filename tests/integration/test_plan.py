"""Plans and methods as people meet them: on the command line, in mining, and over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bitextmine.calibration
from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import Bitext
from bitextmine.cli import run
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, ingest
from bitextmine.encoders import Encoder
from bitextmine.errors import MismatchError, ParameterError
from bitextmine.mining import MiningParameters, find_neighbors, mine, plan_mining
from bitextmine.planner import Plan
from bitextmine.resources import Resources
from bitextmine.search.index_spec import choose_spec
from bitextmine.search.method import Method
from tests.integration.service import Api, numbered, problem, service

SENTENCES = 300


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return ArtifactStore(tmp_path_factory.mktemp("data") / "artifacts")


@pytest.fixture(scope="module")
def sides(store: ArtifactStore) -> tuple[Corpus, Corpus]:
    corpora = []
    for lang, word in (("deu_Latn", "Haus"), ("eng_Latn", "house")):
        path = store.root.parent / f"{lang}.txt"
        path.write_bytes(numbered(word, SENTENCES))
        corpora.append(ingest(CorpusFile(path, lang, CorpusFormat.TEXT), store))
    return corpora[0], corpora[1]


def mined(
    sides: tuple[Corpus, Corpus], encoders: Path, store: ArtifactStore, limits: Resources, **wanted: Any
) -> Bitext:
    encoder, parameters = Encoder.open(encoders / "tiny"), MiningParameters(**wanted)
    plan = plan_mining(*sides, encoder, parameters, resources=limits)
    return mine(*sides, encoder, store, parameters, plan=plan)


def test_each_method_has_neighbours_of_its_own_and_threads_and_memory_change_nothing(
    sides: tuple[Corpus, Corpus], encoders: Path, store: ArtifactStore
) -> None:
    wide, narrow = Resources(2, 8 << 30), Resources(1, 2 << 30)
    exact = mined(sides, encoders, store, wide)
    assert mined(sides, encoders, store, narrow).digest == exact.digest  # auto is exact
    assert mined(sides, encoders, store, narrow, method=Method.EXACT, target_recall=0.9).digest == exact.digest
    cells = mined(sides, encoders, store, wide, method=Method.IVF)
    assert mined(sides, encoders, store, narrow, method=Method.IVF).digest == cells.digest != exact.digest
    other = mined(sides, encoders, store, wide, method=Method.IVF, target_recall=0.8)
    indexes = mined(sides, encoders, store, wide, method=Method.IVFPQ)
    assert mined(sides, encoders, store, narrow, method=Method.IVFPQ, target_recall=0.8).digest == indexes.digest
    assert len({exact.digest, cells.digest, other.digest, indexes.digest}) == 4
    found = [artifact.parameters for artifact in store.list("neighbors")]
    assert found[:3] == [
        {"k": 4, "method": "exact"},
        {"k": 4, "method": "ivf", "target_recall": 0.99},
        {"k": 4, "method": "ivf", "target_recall": 0.8},
    ]
    assert (len(found), found[3]["method"], len(found[3]["indexes"])) == (4, "ivfpq", 2)
    assert not store.list("candidates"), "they are for going on after a crash"
    assert len(store.list("index")) == 2
    assert 0 < indexes.summary["search"]["quality"][0]["after"]["value"] <= 1
    assert exact.summary["plan"]["method"] == "exact"
    assert exact.summary["search"]["wrong"] == [0, 0]
    assert cells.summary["plan"]["method"] == "ivf"
    report = cells.summary["search"]
    assert 0 <= report["recall_low"] <= report["recall"] <= report["recall_high"] + 1e-9
    for artifact in store.list("neighbors"):
        assert {"search", "plan", "src_rows", "tgt_rows"} <= artifact.summary.keys()


def test_the_indexes_that_are_planned_are_those_that_are_built(
    sides: tuple[Corpus, Corpus], encoders: Path, tmp_path: Path
) -> None:
    """With whatever memory the search is then done: what it alone would hold would be smaller indexes."""
    encoder, parameters = Encoder.open(encoders / "tiny"), MiningParameters(method=Method.IVFPQ)
    plan = plan_mining(*sides, encoder, parameters, resources=Resources(1, 8 << 30))
    scarce = replace(plan, memory_bytes=100_000)
    assert choose_spec(SENTENCES, encoder.dims, scarce.memory_bytes) != plan.specs[0]
    trained = []
    for number, each in enumerate((plan, scarce)):
        store = ArtifactStore(tmp_path / str(number) / "artifacts")
        mine(*sides, encoder, store, parameters, plan=each)
        trained.append([store.digests("index-training"), store.digests("index"), store.digests("neighbors")])
    assert trained[0] == trained[1]


def test_what_does_not_fit_is_refused_before_any_work(
    sides: tuple[Corpus, Corpus], encoders: Path, tmp_path: Path
) -> None:
    empty = ArtifactStore(tmp_path / "artifacts")
    with pytest.raises(ParameterError) as caught:
        mined(sides, encoders, empty, Resources(1, 1 << 20))
    assert caught.value.code == "memory-too-small"
    assert not empty.list("embeddings")


def test_a_plan_for_other_vectors_is_refused(
    sides: tuple[Corpus, Corpus], encoders: Path, store: ArtifactStore
) -> None:
    from bitextmine.embeddings import embed

    encoder = Encoder.open(encoders / "tiny")
    plan: Plan = plan_mining(*sides, encoder, MiningParameters(k=2))
    vectors = embed(sides[0], encoder, store)
    object.__setattr__(plan, "size", type(plan.size)(1, 1, encoder.dims, 2))
    with pytest.raises(MismatchError):
        find_neighbors(vectors, vectors, plan, store)


@pytest.fixture
def folder(tmp_path: Path, encoders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BITEXTMINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("BITEXTMINE_ENCODERS_DIR", str(encoders))
    monkeypatch.chdir(tmp_path)
    for language, word in (("de", "Haus"), ("en", "house")):
        Path(f"{language}.txt").write_bytes(numbered(word, 60))
    return tmp_path


MINE = ["mine", "de.txt", "en.txt", "--src-lang", "de", "--tgt-lang", "en", "--encoder", "tiny"]
LARGE = ["plan", "--src-rows", "1000000", "--tgt-rows", "2000000", "--dims", "512", "--threads", "2"]


def test_mine_says_its_plan_and_the_recall_of_an_approximate_search(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(MINE) == 0
    said = capfd.readouterr().err
    assert "plan: exact, about " in said
    assert "recall of the search" not in said
    assert run([*MINE, "--method", "ivf", "--target-recall", "0.9"]) == 0
    said = capfd.readouterr().err
    assert "plan: ivf for a recall of 0.9, about " in said
    assert "recall of the search " in said
    assert "with 95 % confidence" in said
    assert run([*MINE, "--method", "ivfpq"]) == 0
    assert "recall of the search from source to target " in capfd.readouterr().err


def test_plan_speaks_to_people_and_to_machines(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*LARGE, "--memory", "8GB"]) == 0
    printed = capfd.readouterr().out
    for text in ("1,000,000 x 2,000,000 rows of 512 dimensions", "8.0 GB of memory", "exact <-", "ivf", "guessed"):
        assert text in printed
    assert run([*LARGE, "--memory", "8GB", "--json", "--method", "exact"]) == 0
    plan = json.loads(capfd.readouterr().out)
    assert (plan["method"], plan["memory_bytes"], plan["threads"]) == ("exact", 8 * 10**9, 2)
    assert [estimate["method"] for estimate in plan["estimates"]] == ["exact", "ivf", "ivfpq"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([*LARGE, "--memory", "500MB"], "exact needs "),
        ([*LARGE, "--target-recall", "0.3"], "--target-recall"),
        ([*LARGE, "--method", "fast"], "fast"),
        ([*MINE, "--memory", "1MB"], "exact needs "),
        ([*MINE, "--target-recall", "2"], "--target-recall"),
    ],
)
def test_what_cannot_be_planned_is_one_line(
    folder: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(arguments) == 2
    line = capfd.readouterr().err.strip()
    assert said in line
    assert "\n" not in line


def test_the_machine_is_calibrated_once(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_ROWS", 2048), ("_SCANNED_ROWS", 480), ("_SCANNED_COLUMNS", 480), ("_DISK_BYTES", 1 << 20)):
        monkeypatch.setattr(bitextmine.calibration, name, value)
    for name in ("_LEAST_SECONDS", "_AGAIN"):
        monkeypatch.setattr(bitextmine.calibration, name, 1)
    assert run(["calibrate-machine", "--threads", "2"]) == 0
    printed = capfd.readouterr().out
    assert "8-bit products, 2 threads" in printed
    assert str(folder / "data" / "calibration.json") in printed
    assert run(LARGE) == 0
    assert "measured on this machine" in capfd.readouterr().out


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with service(tmp_path_factory.mktemp("service")) as started:
        api = started.api
        for accepted in [api.upload("de", numbered("Haus", 80), "de"), api.upload("en", numbered("house", 70), "en")]:
            api.succeeded(accepted)
        yield api


def test_the_api_plans_for_corpora_and_for_numbers(api: Api) -> None:
    named = api.http.get("/v1/plan", params={"src": "de", "tgt": "en", "encoder": "tiny", "memory": "4GB"})
    plan = named.raise_for_status().json()
    assert (plan["src_rows"], plan["tgt_rows"], plan["dims"], plan["k"]) == (80, 70, 32, 4)
    assert (plan["method"], plan["memory_bytes"], plan["calibrated"]) == ("exact", 4 * 10**9, False)
    assert [estimate["method"] for estimate in plan["estimates"]] == ["exact", "ivf", "ivfpq"]
    large = {"src_rows": 5_000_000, "tgt_rows": 70, "dims": 768, "k": 16, "threads": 3, "memory": "6GB"}
    plan = api.http.get("/v1/plan", params=large).raise_for_status().json()
    assert (plan["src_rows"], plan["dims"], plan["k"], plan["threads"]) == (5_000_000, 768, 16, 3)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"src": "de", "tgt": "missing", "dims": 32}, 404, "corpus-not-found"),
        ({"src": "de", "tgt": "en", "encoder": "missing"}, 404, "encoder-unknown"),
        ({"src": "de", "dims": 32}, 422, "invalid-parameter"),
        ({"src": "de", "src_rows": 3, "tgt": "en", "dims": 32}, 422, "invalid-parameter"),
        ({"src": "de", "tgt": "en", "dims": 32, "memory": "1MB"}, 422, "memory-too-small"),
        ({"src": "de", "tgt": "en", "dims": 32, "memory": "much"}, 422, "invalid-parameter"),
        ({"src": "de", "tgt": "en", "dims": 32, "target_recall": 0.1}, 422, "invalid-request"),
        ({"src": "de", "tgt": "en", "dims": 32, "method": "fast"}, 422, "invalid-request"),
        ({"src": "de", "tgt": "en", "dims": 32, "rows": 3}, 422, "invalid-request"),
    ],
)
def test_what_the_api_cannot_plan_is_a_problem(api: Api, query: dict[str, Any], status: int, code: str) -> None:
    problem(api.http.get("/v1/plan", params=query), status, code)


def test_a_job_takes_a_method_and_its_bitext_says_how_it_was_searched(api: Api) -> None:
    result = api.succeeded(api.mine("de", "en", method="ivf", target_recall=0.9))
    bitext = api.http.get(f"/v1/bitexts/{result['bitext']}").raise_for_status().json()
    assert (bitext["plan"]["method"], bitext["plan"]["target_recall"]) == ("ivf", 0.9)
    assert 0 < bitext["search"]["recall"] <= 1
    result = api.succeeded(api.mine("de", "en"))
    bitext = api.http.get(f"/v1/bitexts/{result['bitext']}").raise_for_status().json()
    assert bitext["plan"]["method"] == "exact"
    for wrong in ({"method": "fast"}, {"target_recall": 0.4}, {"target_recall": "0.9"}):
        problem(api.mine("de", "en", **wrong), 422, "invalid-request")
