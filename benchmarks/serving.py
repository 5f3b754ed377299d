"""POST /v1/embeddings: 64 clients at once against one alone, each sending one short sentence after another.

Protocol: the API as a process of its own (uvicorn, as `bitextmine serve` runs it), and this process as all of its
clients, on the same machine and cores: connections are kept open, a client sends its next request when it has the
answer. Sentences are those of demo/eng.jsonl, vectors come as base64. `--rounds` times in turn: one client alone, then
all; the model is loaded and warm. Throughput is the median of the rounds, latencies are of all requests of all rounds.
`difference`: the most that a component differs between the vectors that came to one client and to 64.

`server_cpu_ms` and `client_cpu_ms`: processor time a request, which other work on the machine hardly changes. Clients
and server share the cores, so their sum, over the cores, bounds the throughput.

Then the same clients against a queue of `--bound` tokens: how many were answered, how many refused with 429, and how
fast a refusal came. The longest wait of anyone is `max`: nobody starves while it stays near the others.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from signature import signature, write

from bitextmine.workspace import default_encoders_dir

DEMO = Path(__file__).parents[1] / "demo" / "eng.jsonl"
START_SECONDS = 60


@dataclass
class Run:
    """What many requests came to."""

    seconds: float = 0.0
    server_cpu: float = 0.0  # seconds of processor time, of all threads
    client_cpu: float = 0.0
    latencies: list[float] = field(default_factory=list)  # of those answered
    refusals: list[float] = field(default_factory=list)  # how long each 429 took
    statuses: Counter[int] = field(default_factory=Counter)
    vectors: dict[int, NDArray[np.float32]] = field(default_factory=dict)  # by sentence

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", nargs="+", default=["muse"])
    parser.add_argument("--encoders-dir", type=Path, default=default_encoders_dir())
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=40, help="of each client; one alone sends ten times as many")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bound", type=int, default=1024, help="tokens of the short queue")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    runs = [measured(name, arguments) for name in arguments.encoders]
    parameters = {name: value for name, value in vars(arguments).items() if name not in ("json", "encoders_dir")}
    write(arguments.json, signature(**parameters), runs)


def measured(encoder: str, arguments: argparse.Namespace) -> dict[str, Any]:
    texts = [json.loads(line)["text"] for line in DEMO.read_text(encoding="utf-8").splitlines()]
    requests = [request_of(encoder, text) for text in texts]
    alone, together = [], []
    with served(arguments) as server:
        asyncio.run(load(server, requests, clients=8, each=20))
        for _ in range(arguments.rounds):
            alone.append(asyncio.run(load(server, requests, clients=1, each=10 * arguments.requests)))
            together.append(asyncio.run(load(server, requests, clients=arguments.clients, each=arguments.requests)))
    with served(arguments, EMBED_QUEUE_TOKENS=str(arguments.bound)) as server:
        asyncio.run(load(server, requests, clients=1, each=20))
        bounded = asyncio.run(load(server, requests, clients=arguments.clients, each=arguments.requests))
    rates = {name: statistics.median(run.rate for run in runs) for name, runs in (("1", alone), ("n", together))}
    found = {
        "encoder": encoder,
        "clients": arguments.clients,
        "one_client": {"requests_per_second": round(rates["1"]), **latencies(alone), **processor(alone)},
        "all_clients": {"requests_per_second": round(rates["n"]), **latencies(together), **processor(together)},
        "times": round(rates["n"] / rates["1"], 2),
        "difference": difference(alone[0], together[0]),
        "failed": sum(len(run.refusals) for run in (*alone, *together)),
        "past_the_bound": {
            "statuses": {str(status): count for status, count in sorted(bounded.statuses.items())},
            "refusal_ms": milliseconds(bounded.refusals),
            **latencies([bounded]),
        },
    }
    print(json.dumps(found, indent=1), flush=True)
    return found


def latencies(runs: list[Run]) -> dict[str, Any]:
    return {"ms": milliseconds([latency for run in runs for latency in run.latencies])}


def processor(runs: list[Run]) -> dict[str, float]:
    requests = sum(len(run.latencies) for run in runs)
    server, client = (sum(getattr(run, name) for run in runs) for name in ("server_cpu", "client_cpu"))
    return {"server_cpu_ms": round(1e3 * server / requests, 3), "client_cpu_ms": round(1e3 * client / requests, 3)}


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def milliseconds(seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {}
    p50, p99, most = np.quantile(np.array(seconds) * 1e3, [0.5, 0.99, 1])
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2), "max": round(float(most), 2)}


def difference(one: Run, other: Run) -> float:
    return max(float(np.abs(one.vectors[n] - other.vectors[n]).max()) for n in one.vectors.keys() & other.vectors)


def request_of(encoder: str, text: str) -> bytes:
    body = json.dumps({"model": encoder, "input": text, "encoding_format": "base64"}).encode()
    head = "POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def load(server: tuple[int, int], requests: list[bytes], *, clients: int, each: int) -> Run:
    run = Run()
    port, process = server
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(clients)]
    started, server_cpu, client_cpu = time.perf_counter(), cpu_seconds(process), time.process_time()
    await asyncio.gather(*(client(run, stream, requests, n, each) for n, stream in enumerate(streams)))
    run.seconds = time.perf_counter() - started
    run.server_cpu = cpu_seconds(process) - server_cpu
    run.client_cpu = time.process_time() - client_cpu
    for _, writer in streams:
        writer.close()
    return run


async def client(run: Run, stream: Any, requests: list[bytes], first: int, each: int) -> None:
    reader, writer = stream
    for n in range(each):
        number = (first * 7 + n) % len(requests)
        started = time.perf_counter()
        writer.write(requests[number])
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        seconds = time.perf_counter() - started
        status = int(head[9:12])
        run.statuses[status] += 1
        if status == 200:
            run.latencies.append(seconds)
            if number not in run.vectors:
                vector = base64.b64decode(json.loads(body)["data"][0]["embedding"])
                run.vectors[number] = np.frombuffer(vector, "<f4")
        else:
            run.refusals.append(seconds)
            await asyncio.sleep(0.01)  # a client that is refused and waits for nothing would only measure refusals


@contextmanager
def served(arguments: argparse.Namespace, **settings: str) -> Iterator[tuple[int, int]]:
    """The port and the process of an API."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as data:
        given = {
            "DATA_DIR": data,
            "ENCODERS_DIR": str(arguments.encoders_dir),
            "PORT": str(port),
            "EMBED_THREADS": str(arguments.threads),
            "LOG_LEVEL": "WARNING",
            **settings,
        }
        env = {**os.environ, "REDIS_URL": "redis://127.0.0.1:1"}  # embeddings need none
        env |= {f"BITEXTMINE_{name}": value for name, value in given.items()}
        process = subprocess.Popen([sys.executable, "-m", "bitextmine_service"], env=env)
        try:
            wait_for(port)
            yield port, process.pid
        finally:
            process.terminate()
            process.wait()


def wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the API does not listen")


if __name__ == "__main__":
    main()
