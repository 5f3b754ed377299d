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
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from large_service import Server, add_corpus, demo_texts, indexed, served
from serving import cpu_seconds, milliseconds
from signature import signature, write

from bitextmine.encoders import open_encoder
from bitextmine.workspace import Workspace, default_encoders_dir

LARGE, BACKGROUND = "large", "background"
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
    with served(data, arguments.encoders_dir) as server:
        for name in (LARGE, BACKGROUND):
            indexed(server, name)
        for clients in arguments.clients:
            runs.append(asyncio.run(steady(server, clients, arguments)))
            show(runs[-1])
    if arguments.overload:
        with served(data, arguments.encoders_dir, SEARCH_QUEUE=str(arguments.bound)) as server:
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


if __name__ == "__main__":
    main()
