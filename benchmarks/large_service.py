"""A service with corpora of made-up vectors, as large as wanted, for load to be put on."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray

from bitextmine.catalog import Catalog
from bitextmine.corpus import CorpusFile, CorpusFormat, ingest
from bitextmine.embeddings import embed
from bitextmine.encoders import Encoder, Encoding
from bitextmine.workspace import Workspace

DEMO = Path(__file__).parents[1] / "demo"
START_SECONDS, JOB_SECONDS = 60, 1800


@dataclass(frozen=True)
class Server:
    url: str
    port: int
    api: int  # process

    def memory(self) -> dict[str, float]:
        fields = dict(
            line.split(":", 1) for line in Path(f"/proc/{self.api}/status").read_text(encoding="ascii").splitlines()
        )
        found = {"rss_mb": "VmRSS", "anonymous_mb": "RssAnon"}
        return {name: round(int(fields[value].split()[0]) / 1024, 1) for name, value in found.items()}


class MadeUp:
    """In an encoder's place: vectors around those of real sentences, under the real encoder's signature."""

    def __init__(self, encoder: Encoder, seed: int) -> None:
        self.signature, self.dims, self.name, self.provider = encoder.signature, encoder.dims, encoder.name, "made up"
        self._real = encoder.encode(demo_texts("deu") + demo_texts("eng"))
        self._rng = np.random.default_rng(seed)

    def encode_counted(self, sentences: Sequence[str], *, progress: Callable[[int], None] | None = None) -> Encoding:
        count, rng, real = len(sentences), self._rng, self._real
        near, plus, minus, other = rng.integers(0, len(real), (4, count))
        shift, share = rng.uniform(0.3, 0.9, (count, 1)), rng.uniform(0.1, 0.5, (count, 1))
        noise = rng.standard_normal((count, self.dims), np.float32) * np.float32(0.25 / self.dims**0.5)
        vectors = real[near] + shift * (real[plus] - real[minus]) + share * real[other] + noise
        unit: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return Encoding(unit, 0)


def demo_texts(name: str) -> list[str]:
    lines = (DEMO / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


def add_corpus(workspace: Workspace, encoder: Encoder, name: str, lang: str, rows: int, seed: int) -> None:
    """A named corpus of so many sentences with vectors, unless it is there."""
    store = workspace.artifacts
    catalog = Catalog(workspace.corpora, store)
    if catalog.has(name):
        return
    texts = demo_texts(lang[:3])
    file = workspace.root / f"{name}.txt"
    workspace.root.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8") as stream:
        stream.writelines(f"{texts[row % len(texts)]} ({row})\n" for row in range(rows))
    corpus = ingest(CorpusFile(file, lang, CorpusFormat.TEXT, file.name), store)
    file.unlink()
    embed(corpus, MadeUp(encoder, seed), store)  # type: ignore[arg-type]
    catalog.add(name, corpus)


def indexed(server: Server, name: str) -> None:
    """Have the service index a corpus, and wait for it."""
    with httpx.Client(base_url=server.url, timeout=60) as http:
        started = time.monotonic()
        job = http.post(f"/v1/corpora/{name}/indexes", json={"encoder": "muse"}).raise_for_status().json()
        while job["state"] not in ("succeeded", "failed", "cancelled"):
            if time.monotonic() - started > JOB_SECONDS:
                raise SystemExit(f"the index of {name} is not there after {JOB_SECONDS} s")
            time.sleep(0.2)
            job = http.get(job["links"]["self"]).raise_for_status().json()
        if job["state"] != "succeeded":
            raise SystemExit(f"the index of {name}: {job['error']}")


@contextmanager
def served(data: Path, encoders_dir: Path, **settings: str) -> Iterator[Server]:
    """The whole service on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = {"DATA_DIR": str(data), "ENCODERS_DIR": str(encoders_dir), "PORT": str(port), **settings}
    env = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    env |= {f"BITEXTMINE_{name}": value for name, value in given.items()} | {"BITEXTMINE_LOG_LEVEL": "WARNING"}
    log = data / "serve.log"
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "bitextmine", "serve", "--port", str(port)], env=env, stdout=stream, stderr=stream
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url, process, log)
        yield Server(url, port, api_of(process.pid))
    finally:
        process.terminate()
        process.wait()


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        time.sleep(0.2)
    raise SystemExit(f"the service is not ready; see {log}\n{log.read_text(encoding='utf-8')[-2000:]}")


def api_of(serve: int) -> int:
    """The API's process among those that `serve` has started."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            process = int(entry.name)
            command = (entry / "cmdline").read_bytes().split(b"\0")
            parent = int((entry / "stat").read_text(encoding="ascii").rpartition(")")[2].split()[1])
            if parent == serve and b"bitextmine_service" in command:
                return process
    raise SystemExit("the API's process is not to be found")
