"""The main job on the sample corpora, through the running service: what `make demo` does.

Starts `bitextmine serve` with a data directory of its own, uploads demo/deu.jsonl and demo/eng.jsonl, mines them,
and judges the pairs against demo/gold.tsv. Everything it starts is stopped again; the data stays for a look.
With `--server URL` it uses the service there instead, with the key in BITEXTMINE_KEY.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from bitextmine.evaluation import MiningEvaluation, evaluate_pairs, is_even, read_gold

HERE = Path(__file__).parent
DATA_DIR = HERE.parent / ".demo"
LANGUAGES = ("deu", "eng")
PATIENCE_SECONDS = 120


def main() -> int:
    parser = argparse.ArgumentParser(description="Mine the sample corpora through the service, and judge the pairs.")
    parser.add_argument("--server", metavar="URL", help="a running service; by default one is started")
    server: str | None = parser.parse_args().server
    with nullcontext(server.rstrip("/")) if server else service() as url:
        print(f"The service runs at {url}" + ("" if server else " (Valkey, API and one worker)") + ".\n")
        for language in LANGUAGES:
            upload(url, language)
        job = mine(url)
        pairs = download(url, job)
    show_best(pairs)
    result = judge(pairs)
    show_margins(pairs, result)
    show_scores(result)
    show_timings(job)
    if not server:
        show_next(result)
    return 0 if result.held_out.f1 >= 0.9 else 1


@contextmanager
def service() -> Iterator[str]:
    """A service of our own on a free port, gone when the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shutil.rmtree(DATA_DIR, ignore_errors=True)
    DATA_DIR.mkdir()
    log = DATA_DIR / "serve.log"
    command = [sys.executable, "-m", "bitextmine", "serve", "--port", str(port), "--data-dir", str(DATA_DIR)]
    with log.open("wb") as stream, subprocess.Popen(command, stdout=stream, stderr=stream) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until_ready(url, process, log)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            request(f"{url}/readyz")
        except OSError:
            time.sleep(0.1)
        else:
            return
    sys.exit(f"the service did not become ready; its log:\n{log.read_text(errors='replace')}")


def request(url: str, body: bytes | None = None, kind: str = "application/json") -> bytes:
    headers = {"Content-Type": kind}
    if key := os.environ.get("BITEXTMINE_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    wanted = urllib.request.Request(url, data=body, headers=headers)
    with urllib.request.urlopen(wanted, timeout=60) as answer:
        return bytes(answer.read())


def follow(url: str, job: dict[str, Any]) -> dict[str, Any]:
    """Poll a job until it is over."""
    while job["state"] in ("queued", "running"):
        time.sleep(0.1)
        job = json.loads(request(f"{url}/v1/jobs/{job['id']}"))
    if job["state"] != "succeeded":
        sys.exit(f"job {job['id']} {job['state']}: {job['error']}")
    return job


def upload(url: str, language: str) -> None:
    file = HERE / f"{language}.jsonl"
    query = f"name=demo-{language}&lang={language}&format=jsonl&source={file.name}"
    answer = request(f"{url}/v1/corpora?{query}", file.read_bytes(), "application/octet-stream")
    counts = follow(url, json.loads(answer))["result"]
    print(f"Uploaded {file.name}: {counts['sentences']} sentences, {counts['duplicates']} duplicates.")


def mine(url: str) -> dict[str, Any]:
    wanted = {"src": "demo-deu", "tgt": "demo-eng", "k": 4, "margin": "ratio", "retrieval": "max-score"}
    job = follow(url, json.loads(request(f"{url}/v1/mining-jobs", json.dumps(wanted).encode())))
    print(f"Mined {job['result']['pairs']} candidate pairs.\n")
    return job


def download(url: str, job: dict[str, Any]) -> list[dict[str, Any]]:
    lines = request(f"{url}/v1/bitexts/{job['result']['bitext']}/download?format=jsonl").decode().splitlines()
    return [json.loads(line) for line in lines]


def judge(pairs: list[dict[str, Any]]) -> MiningEvaluation:
    mined = [(pair["src_id"], pair["tgt_id"]) for pair in pairs]
    scores = np.array([pair["margin"] for pair in pairs], np.float32)
    ids = [json.loads(line)["id"] for line in (HERE / "deu.jsonl").read_text(encoding="utf-8").splitlines()]
    even = {identifier for row, identifier in enumerate(ids) if is_even(identifier, row)}
    return evaluate_pairs(mined, scores, read_gold(HERE / "gold.tsv"), even)


def show_best(pairs: list[dict[str, Any]]) -> None:
    print("The ten best pairs (margin, German, English):")
    for pair in pairs[:10]:
        print(f"  {pair['margin']:.3f}  {pair['src']}\n         {pair['tgt']}")


def show_margins(pairs: list[dict[str, Any]], result: MiningEvaluation) -> None:
    """A histogram: where true pairs end and chance begins."""
    gold = read_gold(HERE / "gold.tsv")
    scores = np.array([pair["margin"] for pair in pairs])
    true = np.array([(pair["src_id"], pair["tgt_id"]) in gold for pair in pairs])
    edges = np.linspace(scores.min(), scores.max(), 13)
    print(f"\nMargins of all candidates (# true pair, . other); the threshold, {result.threshold:.3f}, is marked <:")
    for low, high in zip(edges[-2::-1], edges[:0:-1], strict=True):
        inside = (scores >= low) & ((scores < high) | (high == edges[-1]))
        bar = "#" * int((inside & true).sum()) + "." * int((inside & ~true).sum())
        print(f"  {low:.3f} {'<' if low <= result.threshold < high else ' '} {bar}")


def show_scores(result: MiningEvaluation) -> None:
    print("\nAgainst the gold pairs:                         precision  recall    F1")
    for name, scores in (
        ("threshold tuned on even ids, judged on odd", result.held_out),
        ("best threshold on all gold (upper bound)", result.oracle),
    ):
        print(f"  {name:<44}  {scores.precision:9.3f}  {scores.recall:6.3f}  {scores.f1:.3f}")


def show_timings(job: dict[str, Any]) -> None:
    stages = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in job["stage_seconds"].items())
    print(f"\nTimings of the mining job: {stages}.")


def show_next(result: MiningEvaluation) -> None:
    print(
        "\nWhere to look next:\n"
        "  source .venv/bin/activate\n"
        "  bitextmine mine demo/deu.jsonl demo/eng.jsonl --src-lang de --tgt-lang en "
        f"--threshold {result.threshold:.3f}\n"
        "  make serve, then http://127.0.0.1:8000/docs, or docs/guide/http.md\n"
        f"  {DATA_DIR.name}/artifacts: the corpora, vectors and pairs, each with its manifest.json"
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except urllib.error.HTTPError as error:
        sys.exit(f"{error.url}: {error.read().decode(errors='replace')}")
