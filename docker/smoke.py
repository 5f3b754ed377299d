"""What `make compose-smoke` does: bring the containers up, see that they are locked down, run the demo against them,
kill the worker and the queue in the middle of a job, and take everything down again.

Needs Docker with compose, the images, and the virtual environment of `make demo`. Publishes on a free port of this
machine and uses volumes of its own: a service that runs already is left alone. Exit status 0 where all of it went well.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bitextmine.client import Client, Job

ROOT = Path(__file__).parents[1]
COMPOSE = ("docker", "compose", "-f", str(ROOT / "docker" / "compose.yaml"))
SERVICES = ("valkey", "api", "worker")
SENTENCES = 20_000
PATIENCE_SECONDS = 600


def main() -> int:
    port = free_port()
    os.environ |= {"COMPOSE_PROJECT_NAME": "bitextmine-smoke", "PUBLISH": f"127.0.0.1:{port}"}
    url = f"http://127.0.0.1:{port}"
    with service():
        check_locked_down()
        demo = [sys.executable, str(ROOT / "demo" / "run.py"), "--server", url]
        subprocess.run(demo, check=True, env={**os.environ, "BITEXTMINE_KEY": new_key("default")})
        check_kills(url)
    return 0


@contextlib.contextmanager
def service() -> Iterator[None]:
    try:
        started = time.monotonic()
        compose("up", "--wait", "--no-build", quiet=False)
        print(f"\nhealthy {time.monotonic() - started:.1f} s after `docker compose up`")
        for name in SERVICES:
            image = docker("inspect", "--format", "{{.Image}}", container(name))
            size = int(docker("image", "inspect", "--format", "{{.Size}}", image))
            print(f"  {name:8} {size / 1e6:7,.0f} MB with its base")
        yield
    except BaseException:
        with contextlib.suppress(subprocess.CalledProcessError):
            compose("logs", "--tail", "50", quiet=False)
        raise
    finally:
        compose("down", "--volumes", "--timeout", "5", quiet=False)


def check_locked_down() -> None:
    """Not root, no capability, no way to gain one, and nothing to write but the volumes and /tmp."""
    for name in SERVICES:
        shell = "id -u; grep -E 'CapBnd|CapEff|NoNewPrivs' /proc/1/status; touch /opt/x /usr/x 2>&1 || true"
        found = compose("exec", "-T", name, "sh", "-c", shell)
        facts = dict(re.findall(r"^(\w+):\s+(\w+)$", found, re.MULTILINE))
        wanted = {"CapBnd": "0" * 16, "CapEff": "0" * 16, "NoNewPrivs": "1"}
        if not found.startswith("10001\n") or facts != wanted or found.count("Read-only file system") != 2:
            sys.exit(f"{name} is not locked down:\n{found}")
        for tool in ("gcc", "cc", "make", "git"):
            if compose("exec", "-T", name, "sh", "-c", f"command -v {tool} || true").strip():
                sys.exit(f"{name} has {tool}")
        print(f"  {name:8} runs as 10001, read-only, without capabilities or build tools")


def check_kills(url: str) -> None:
    """A mining job whose worker is killed, and then its queue, ends with the pairs of one that nobody disturbed."""
    with Client(url, key=new_key("disturbed")) as client:
        job = start_mining(client)
        wait_until(lambda: client.jobs.get(job).state == "running", "the job runs")
        for victim in ("worker", "valkey"):
            docker("kill", container(victim))
            print(f"  {victim} killed in the middle of job {job.id}")
            time.sleep(1)
            compose("up", "--detach", "--no-build", "--wait", quiet=False)
            wait_until(lambda: client.ready().ready, "the service is ready again")
            if client.jobs.get(job).over:
                sys.exit("the job was over too soon: it takes more sentences")
        done = client.jobs.wait(job)
        found = tsv(client, done)
    with Client(url, key=new_key("undisturbed")) as client:  # another tenant, for whom all is computed anew
        expected = tsv(client, client.jobs.wait(start_mining(client)))
    print(f"  the job ended after {done.attempts} attempts with {len(found)} pairs")
    if done.attempts < 2 or not found or found != expected:
        sys.exit(f"not the {len(expected)} pairs of an undisturbed job: {done}")


def start_mining(client: Client) -> Job:
    for name, lang, word in (("src", "de", "Haus"), ("tgt", "en", "house")):
        lines = "".join(f"{word} {number} {number * 7919 % 10_007}\n" for number in range(SENTENCES))
        client.jobs.wait(client.corpora.upload(lines.encode(), name=name, lang=lang))
    return client.mine("src", "tgt")


def tsv(client: Client, job: Job) -> list[bytes]:
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "pairs.tsv"
        client.bitexts.download(job, file)
        return file.read_bytes().splitlines()


def new_key(tenant: str) -> str:
    create = ("bitextmine", "keys", "create", "--name", "smoke", "--scope", "mine", "--tenant", tenant)
    return compose("exec", "-T", "api", *create).strip()


def wait_until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        if time.monotonic() > deadline:
            sys.exit(f"waited in vain: {what}")
        time.sleep(0.2)


def container(name: str) -> str:
    described: dict[str, Any] = json.loads(compose("ps", "--all", "--format", "json", name).splitlines()[0])
    return str(described["ID"])


def compose(*arguments: str, quiet: bool = True) -> str:
    return run(*COMPOSE, *arguments, quiet=quiet)


def docker(*arguments: str) -> str:
    return run("docker", *arguments, quiet=True).strip()


def run(*command: str, quiet: bool) -> str:
    output = subprocess.PIPE if quiet else None
    return subprocess.run(command, check=True, text=True, stdout=output).stdout or ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
