"""POST /v1/search over a large corpus: 1, 8 and 64 clients, and then more than the service takes.

Protocol: `bitextmine serve` (Valkey, the API and a worker, a process each) on a data directory of its own, and this
process as all clients, on the same machine and cores; connections are kept open, and a client sends its next request
when it has the answer. The corpus `large` (--rows sentences of English) and the corpus `background` (--background
sentences of German) are written by the library's own stages with made-up vectors: muse vectors of demo/*.jsonl, mixed
and shifted along the differences of such vectors, with a little noise, so that they cluster as real ones do. Their
indexes are built by jobs of the service.

A request is one German text that the service embeds with muse, searched in `large` with a ratio margin, `--hits` hits.
Texts are the halves of demo sentences put together anew, more than are sent in a round, so that neither texts nor hits
repeat: the neighbourhoods of the hits are looked for in `background` while the client waits. (`--margin absolute`
leaves that out.) Each number of clients runs for --seconds after --warm seconds that do not count.

`server_cpu_ms` is processor time of the API a request, `client_cpu_ms` that of this process; they share the cores.
`rss_mb`: resident memory of the API, files that it maps included; `anonymous_mb` is without them.

--overload SECONDS: then --overload-clients against a queue of --bound queries, with a request refused sent again after
--pause seconds: how many got which status, and memory in each second. Any status but 200 and 429 is a failure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from serving import cpu_seconds, milliseconds
from signature import signature, write

from bitextmine.catalog import Catalog
from bitextmine.corpus import CorpusFile, CorpusFormat, ingest
from bitextmine.embeddings import embed
from bitextmine.encoders import Encoder, Encoding, open_encoder
from bitextmine.workspace import Workspace, default_encoders_dir

DEMO = Path(__file__).parents[1] / "demo"
LARGE, BACKGROUND = "large", "background"
START_SECONDS, JOB_SECONDS = 60, 1800
Request = bytes


@dataclass
class Load:
    """What came of many requests."""

    seconds: float = 0.0
    server_cpu: float = 0.0
    client_cpu: float = 0.0
    latencies: list[float] = field(default_factory=list)  # of those answered with 200
    refusals: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)

    def add(self, status: str, seconds: float) -> None:
        self.statuses[status] += 1
        if status == "200":
            self.latencies.append(seconds)
        elif status == "429":
            self.refusals.append(seconds)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--background", type=int, default=100_000)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--warm", type=float, default=3)
    parser.add_argument("--hits", type=int, default=10)
    parser.add_argument("--margin", choices=["ratio", "distance", "absolute"], default="ratio")
    parser.add_argument("--overload", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--overload-clients", type=int, default=384)
    parser.add_argument("--bound", type=int, default=64)
    parser.add_argument("--pause", type=float, default=0.5)
    parser.add_argument(
        "--data", type=Path, help="a data directory to make, or to go on with; else one that goes again"
    )
    parser.add_argument("--encoders-dir", type=Path, default=default_encoders_dir())
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = arguments.data or Path(folder)
        runs = measured(data, arguments)
    parameters = {
        name: value for name, value in vars(arguments).items() if name not in ("json", "encoders_dir", "data")
    }
    write(arguments.json, signature(**parameters), runs)
    if any(status not in ("200", "429") for run in runs for status in run["statuses"]):
        raise SystemExit("some requests were answered otherwise than with 200 or 429")


def measured(data: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    workspace = Workspace.at(data, arguments.encoders_dir)
    encoder = open_encoder("muse", workspace.encoders)
    add_corpus(workspace, encoder, LARGE, "eng_Latn", arguments.rows, seed=1)
    add_corpus(workspace, encoder, BACKGROUND, "deu_Latn", arguments.background, seed=2)
    runs = []
    print(f"{'clients':>8} {'req/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'server ms':>10} {'RSS MB':>8}")
    with served(data, arguments) as server:
        for name in (LARGE, BACKGROUND):
            indexed(server, name)
        for clients in arguments.clients:
            runs.append(asyncio.run(steady(server, clients, arguments)))
            show(runs[-1])
    if arguments.overload:
        with served(data, arguments, SEARCH_QUEUE=str(arguments.bound)) as server:
            runs.append(asyncio.run(overloaded(server, arguments)))
            print(json.dumps({key: runs[-1][key] for key in ("statuses", "ms", "refusal_ms", "memory")}, indent=1))
    return runs


def show(run: dict[str, Any]) -> None:
    ms = run["ms"]
    print(
        f"{run['clients']:>8} {run['requests_per_second']:>8} {ms['p50']:>8} {ms['p99']:>8} {ms['max']:>8} "
        f"{run['server_cpu_ms']:>10} {run['memory_after']['rss_mb']:>8}",
        flush=True,
    )


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


def queries(count: int, seed: int) -> Iterator[str]:
    """Texts without end, of `count` different ones at most."""
    halves = [text.split() for text in demo_texts("deu")]
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, len(halves), (count, 2))
    while True:
        for one, other in chosen.tolist():
            first, second = halves[one], halves[other]
            yield " ".join(first[: len(first) // 2 + 1] + second[len(second) // 2 :])


def request_of(text: str, arguments: argparse.Namespace) -> Request:
    wanted = {"texts": [text], "lang": "de", "corpora": [LARGE], "k": arguments.hits, "margin": arguments.margin}
    body = json.dumps(wanted).encode()
    head = "POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def steady(server: Server, clients: int, arguments: argparse.Namespace) -> dict[str, Any]:
    texts = queries(100_000, clients)
    before = server.memory()
    await load(server, clients, arguments.warm, texts, arguments)
    run = await load(server, clients, arguments.seconds, texts, arguments)
    answered = max(len(run.latencies), 1)
    return {
        "clients": clients,
        "requests_per_second": round(len(run.latencies) / run.seconds, 1),
        "ms": milliseconds(run.latencies),
        "statuses": dict(run.statuses),
        "server_cpu_ms": round(1e3 * run.server_cpu / answered, 2),
        "client_cpu_ms": round(1e3 * run.client_cpu / answered, 2),
        "memory_before": before,
        "memory_after": server.memory(),
    }


async def overloaded(server: Server, arguments: argparse.Namespace) -> dict[str, Any]:
    texts = queries(100_000, 0)
    await load(server, 8, arguments.warm, texts, arguments)
    memory: list[dict[str, float]] = []

    async def watch() -> None:
        while True:
            memory.append(server.memory())
            await asyncio.sleep(max(arguments.overload / 30, 1))

    watching = asyncio.create_task(watch())
    run = await load(server, arguments.overload_clients, arguments.overload, texts, arguments)
    watching.cancel()
    return {
        "clients": arguments.overload_clients,
        "bound": arguments.bound,
        "seconds": round(run.seconds, 1),
        "requests_per_second": round(len(run.latencies) / run.seconds, 1),
        "statuses": dict(run.statuses),
        "ms": milliseconds(run.latencies),
        "refusal_ms": milliseconds(run.refusals),
        "memory": [*memory, server.memory()],
    }


async def load(
    server: Server, clients: int, seconds: float, texts: Iterator[str], arguments: argparse.Namespace
) -> Load:
    run = Load()
    started, server_cpu, client_cpu = time.perf_counter(), cpu_seconds(server.api), time.process_time()
    until = started + seconds
    await asyncio.gather(*(client(run, server.port, until, texts, arguments) for _ in range(clients)))
    run.seconds = time.perf_counter() - started
    run.server_cpu, run.client_cpu = cpu_seconds(server.api) - server_cpu, time.process_time() - client_cpu
    return run


async def client(run: Load, port: int, until: float, texts: Iterator[str], arguments: argparse.Namespace) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with suppress(asyncio.CancelledError):
        while (started := time.perf_counter()) < until:
            try:
                writer.write(request_of(next(texts), arguments))
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
            except (OSError, asyncio.IncompleteReadError) as error:
                run.add(type(error).__name__, time.perf_counter() - started)
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                continue
            run.add(head[9:12].decode(), time.perf_counter() - started)
            if head[9:12] != b"200":
                await asyncio.sleep(arguments.pause)
    writer.close()


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
def served(data: Path, arguments: argparse.Namespace, **settings: str) -> Iterator[Server]:
    """The whole service on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = {"DATA_DIR": str(data), "ENCODERS_DIR": str(arguments.encoders_dir), "PORT": str(port), **settings}
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


if __name__ == "__main__":
    main()
