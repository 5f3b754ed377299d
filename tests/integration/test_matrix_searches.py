"""Matrix runs that go on, and matrix jobs: which search each pair gets, and who decides."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bitextmine.artifacts import ArtifactKey, ArtifactStore
from bitextmine.catalog import Catalog
from bitextmine.cli import run
from bitextmine.corpus import Corpus
from bitextmine.corpus.corpus import KIND as CORPUS
from bitextmine.jobs.queue import connect
from bitextmine.jobs.store import JobStore
from bitextmine.matrix.searches import FILE
from bitextmine.search.gpu import gpu_count
from tests.integration.service import ENCODER, Service, numbered, problem, service
from tests.integration.test_matrix import SETTINGS, WORDS, files, report, write_corpora
from tests.integration.waiting import wait_until

MANY = 1 << 31  # rows a side of which no search takes more, and no memory holds


@pytest.fixture
def folder(tmp_path: Path, encoders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four small corpora in the current directory; data go below it."""
    monkeypatch.setenv("BITEXTMINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("BITEXTMINE_ENCODERS_DIR", str(encoders))
    monkeypatch.chdir(tmp_path)
    write_corpora(tmp_path, 60, f'{SETTINGS}pairs = [["de", "en"], ["de", "fr"]]\n')
    return tmp_path


def kept(folder: Path) -> Path:
    (path,) = (folder / "data" / "matrices").glob(f"*/{FILE}")
    return path


def searched(folder: Path) -> list[str]:
    """The methods of all neighbours that there are."""
    store = ArtifactStore(folder / "data" / "artifacts")
    return sorted(artifact.parameters["method"] for artifact in store.list("neighbors"))


@pytest.mark.parametrize("options", [(), ("--processes", "2")], ids=["alone", "processes"])
def test_a_run_goes_on_with_the_methods_that_it_began_with(folder: Path, options: tuple[str, ...]) -> None:
    """As if it had begun where one pair was searched by cells: this machine alone would search both exactly."""
    assert run(["matrix", "run.toml", "--plan"]) == 0
    assert not list((folder / "data" / "matrices").glob(f"*/{FILE}")), "a plan alone decides nothing"
    assert run(["matrix", "run.toml"]) == 0
    assert searched(folder) == ["exact", "exact"]
    listed = json.loads(kept(folder).read_text())
    assert [(each["src"], each["tgt"], each["method"]) for each in listed] == [
        ("de", "en", "exact"),
        ("de", "fr", "exact"),
    ]
    kept(folder).write_text(json.dumps([{**listed[0], "method": "ivf"}, listed[1]]))
    shutil.rmtree(folder / "data" / "artifacts")
    assert run(["matrix", "run.toml", *options]) == 0
    assert searched(folder) == ["exact", "ivf"]
    assert report(folder)["counts"]["done"] == 2
    assert len(files(folder)) == 2


def test_a_search_that_no_longer_fits_is_one_line_that_says_what_to_do(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["matrix", "run.toml"]) == 0
    capfd.readouterr()
    assert run(["matrix", "run.toml", "--memory", "1MB"]) == 2
    said = capfd.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "de with en" in said[0]
    assert "begun by exact: give it that memory (--memory, BITEXTMINE_MEMORY to a worker)" in said[0]
    assert f"or delete {kept(folder)}" in said[0]


def test_what_was_kept_and_cannot_be_read_is_one_line(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["matrix", "run.toml"]) == 0
    capfd.readouterr()
    kept(folder).write_text("[")
    assert run(["matrix", "run.toml"]) == 1
    said = capfd.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert f"{kept(folder)} cannot be read" in said[0]


def test_damaged_vectors_of_a_corpus_that_is_not_used_do_no_harm(folder: Path) -> None:
    assert run(["matrix", "run.toml"]) == 0
    for vectors in (folder / "data" / "artifacts" / "embeddings").glob("*/vectors.npy"):
        vectors.write_bytes(b"")
    (folder / "run.toml").write_text(SETTINGS + '[corpora.en]\nfiles = ["en2.txt"]\n[corpora.ru]\nfiles = ["ru.txt"]\n')
    (folder / "en2.txt").write_bytes(numbered("home", 50))
    assert run(["matrix", "run.toml"]) == 0


@pytest.mark.skipif(gpu_count() > 0, reason="this is about machines without a GPU")
def test_a_machine_without_gpu_can_ask_ray_for_some(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ray")
    assert run(["matrix", "run.toml", "--executor", "ray", "--gpus", "1", "--address", "127.0.0.1:9"]) == 2
    assert "no Ray cluster at 127.0.0.1:9" in capfd.readouterr().err
    assert run(["matrix", "run.toml", "--gpus", "1"]) == 2
    assert "FAISS sees 0" in capfd.readouterr().err


# --- as a job


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("matrix")) as started:
        for lang, word in list(WORDS.items())[:2]:
            started.api.succeeded(started.api.upload(f"m-{lang}", numbered(word, 40), lang))
        yield started
        assert "Traceback" not in started.api.process.log + started.worker.log


@pytest.fixture
def store(running: Service) -> Iterator[JobStore]:
    with connect(running.valkey.url) as client:
        yield JobStore(client)


def large_corpus(running: Service, name: str, lang: str) -> None:
    """A named corpus that says that it has very many sentences."""
    store = ArtifactStore(running.data_dir / "artifacts")
    key = ArtifactKey(CORPUS, {"lang": lang, "source": name, "shard_rows": MANY}, {})
    with store.publish(key) as staging:
        staging.summary |= {"sentences": MANY, "lines": MANY, "refused": {}, "shards": [name * 16], "duplicates": 0}
    artifact = store.find(key)
    assert artifact is not None
    Catalog(running.data_dir / "corpora", store).add(name, Corpus(artifact))


def test_the_api_plans_without_encoding(running: Service) -> None:
    accepted = running.api.http.post("/v1/matrix-jobs", json={"corpora": ["m-de", "m-en"], "encoder": ENCODER})
    plan = running.api.ended(accepted)["plan"]
    assert plan["sentences_to_embed"] == 80
    assert (plan["sentences_per_second"], plan["embed_seconds"]) == (None, None)


def test_workers_decide_what_fits_unless_their_limits_are_known(running: Service, store: JobStore) -> None:
    wanted = {"corpora": ["large-de", "large-en"], "encoder": ENCODER, "filters": "none"}
    large_corpus(running, "large-de", "deu_Latn")
    large_corpus(running, "large-en", "eng_Latn")
    with running.worker_paused():
        accepted = running.api.http.post("/v1/matrix-jobs", json=wanted)
        assert accepted.status_code == 202, accepted.text
        job = accepted.json()
        assert job["plan"] is None
        running.api.http.post(f"/v1/jobs/{job['id']}/cancel").raise_for_status()
        problem(running.api.http.post("/v1/matrix-jobs", json={**wanted, "pivots": ["ja"]}), 422, "unknown-corpus")
    running.worker.send(signal.SIGTERM)
    wait_until(lambda: not running.worker.running, "the worker has stopped")
    running.start_worker(memory="1GB")
    wait_until(lambda: [limits.memory for limits in store.leases.limits()] == [10**9], "it says what it has")
    problem(running.api.http.post("/v1/matrix-jobs", json=wanted), 422, "memory-too-small")
