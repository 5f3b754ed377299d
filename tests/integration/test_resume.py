"""Mining through `bitextmine serve` while its processes are killed: the pairs are those of an undisturbed run, and
what was embedded before a kill is not embedded again. Real encoder, real processes, kill -9."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import CorpusFile, ingest
from bitextmine.encoders import installed, open_encoder
from bitextmine.mining import MiningParameters, mine
from bitextmine.workspace import default_encoders_dir
from tests.integration.waiting import wait_until

ENCODERS = default_encoders_dir()
DEMO = Path(__file__).parents[2] / "demo"
PATIENCE = 120.0
SIZES = {"deu": 40_000, "eng": 17_000}  # three shards and two: about fifteen seconds on one quiet thread

pytestmark = [
    pytest.mark.encoder,
    pytest.mark.skipif(
        "muse" not in {card.name for card in installed(ENCODERS)}, reason="run: bitextmine encoders pull muse"
    ),
]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of distinct short sentences: each joins the beginning of one of the sample's and the end of another."""
    folder = tmp_path_factory.mktemp("corpora")
    files = {}
    for lang, size in SIZES.items():
        lines = (DEMO / f"{lang}.jsonl").read_text(encoding="utf-8").splitlines()
        texts = [json.loads(line)["text"].split() for line in lines]
        joined = (" ".join([*first[:4], *second[-4:]]) + "\n" for second, first in itertools.product(texts, texts))
        files[lang] = folder / f"{lang}.txt"
        files[lang].write_text("".join(itertools.islice(joined, size)), encoding="utf-8")
    return files


@pytest.fixture(scope="module")
def undisturbed(corpora: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The SHA-256 of the pairs that the library mines in one go."""
    store = ArtifactStore(tmp_path_factory.mktemp("undisturbed"))
    src = ingest(CorpusFile(corpora["deu"], "deu_Latn"), store)
    tgt = ingest(CorpusFile(corpora["eng"], "eng_Latn"), store)
    bitext = mine(src, tgt, open_encoder("muse", ENCODERS), store, MiningParameters())
    assert len(bitext) > 5_000
    return pairs_sha256(bitext.artifact.manifest)


class Serving:
    """`bitextmine serve` on a data directory, its processes at hand."""

    def __init__(self, data_dir: Path, url: str, process: subprocess.Popen[bytes]) -> None:
        self.data_dir, self.process = data_dir, process
        self.http = httpx.Client(base_url=url, timeout=30)

    def find(self, *words: str) -> psutil.Process | None:
        """The process below the supervisor whose command ends with these words, or is named by the only one."""
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                command = process.cmdline()
            except psutil.NoSuchProcess:
                continue
            named = len(words) == 1 and command and words[0] in command[0]
            if named or tuple(command[-len(words) :]) == words:
                return process
        return None

    def kill(self, *words: str) -> None:
        wait_until(lambda: self.find(*words), f"{words} runs", PATIENCE)
        found = self.find(*words)
        assert found is not None
        found.kill()

    def succeeded(self, accepted: httpx.Response) -> dict[str, Any]:
        assert accepted.status_code == 202, accepted.text
        path = accepted.headers["Location"]
        wait_until(lambda: self.state(path) not in ("queued", "running", None), f"{path} is over", PATIENCE)
        job: dict[str, Any] = self.http.get(path).json()
        assert job["state"] == "succeeded", job
        return job

    def state(self, path: str) -> str | None:
        """The job's state, None while the store is away."""
        answer = self.http.get(path)
        return str(answer.json()["state"]) if answer.status_code == 200 else None

    def start_mining(self, corpora: dict[str, Path]) -> httpx.Response:
        for lang, file in corpora.items():
            query = {"name": lang, "lang": lang, "source": file.name}
            self.succeeded(self.http.post("/v1/corpora", params=query, content=file.read_bytes()))
        return self.http.post("/v1/mining-jobs", json={"src": "deu", "tgt": "eng"})

    def shards(self) -> dict[str, int]:
        """The embedded shards, and when each was written."""
        manifests = (self.data_dir / "artifacts" / "embeddings").glob("*/manifest.json")
        return {manifest.parent.name: manifest.stat().st_mtime_ns for manifest in manifests}

    def wait_for_shards(self, count: int) -> dict[str, int]:
        wait_until(lambda: len(self.shards()) >= count, f"{count} shards are embedded", PATIENCE)
        return self.shards()


@contextmanager
def serving(data_dir: Path) -> Iterator[Serving]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "bitextmine", "serve", "--port", str(port)]
    command += ["--data-dir", str(data_dir), "--encoders-dir", str(ENCODERS)]
    settings = {"BITEXTMINE_THREADS": "1", "BITEXTMINE_HEARTBEAT_SECONDS": "2"}
    data_dir.mkdir()
    with (data_dir / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **settings})
    service = Serving(data_dir, f"http://127.0.0.1:{port}", process)
    try:
        wait_until(lambda: ready(service.http), "the service is ready")
        yield service
    finally:
        service.http.close()
        below = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert not psutil.wait_procs(below, timeout=10)[1], "every process has ended"


def ready(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def pairs_sha256(manifest: Any) -> str:
    return str(manifest["files"]["pairs.parquet"]["sha256"])


def mined_sha256(service: Serving, job: dict[str, Any]) -> str:
    path = service.data_dir / "artifacts" / "bitext" / job["result"]["bitext"] / "manifest.json"
    return pairs_sha256(json.loads(path.read_bytes()))


def test_child_and_worker_killed_while_embedding(corpora: dict[str, Path], undisturbed: str, tmp_path: Path) -> None:
    """More often than a job may die without getting further."""
    with serving(tmp_path / "data") as service:
        accepted = service.start_mining(corpora)
        first = service.wait_for_shards(1)
        service.kill("-m", "bitextmine_indexer.child")
        second = service.wait_for_shards(len(first) + 1)
        service.kill("-m", "bitextmine_indexer")
        for count in (len(second) + 1, len(second) + 2):
            service.wait_for_shards(count)
            service.kill("-m", "bitextmine_indexer")
        job = service.succeeded(accepted)
        last = service.shards()
        assert mined_sha256(service, job) == undisturbed
    assert job["attempts"] == 5
    assert {shard: last[shard] for shard in second} == second, "finished shards were not written again"
    assert first.items() <= second.items()
    assert len(last) == 5


def test_valkey_killed_while_embedding(corpora: dict[str, Path], undisturbed: str, tmp_path: Path) -> None:
    with serving(tmp_path / "data") as service:
        accepted = service.start_mining(corpora)
        before = service.wait_for_shards(1)
        service.kill("valkey-server")
        job = service.succeeded(accepted)
        last = service.shards()
        assert mined_sha256(service, job) == undisturbed
    assert {shard: last[shard] for shard in before} == before
    assert len(last) == 5
