"""Reaching a Ray cluster, with a clear word about what is wrong, and what nodes it has.

Ray connects for minutes to what is not there and prints as it goes; so it is knocked at first, in a process of its own.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitextmine.errors import InputError, NotFoundError, ParameterError
from bitextmine.executors.ray_node import AUTH_MODE, Expected, versions
from bitextmine.executors.task import Needs
from bitextmine.resources import default_threads

LOCAL = "local"
_TCP_SECONDS = 5.0
_KNOCK_SECONDS = 30.0
_START_SECONDS = 120.0
_REFUSED = "AuthenticationError"


@dataclass(frozen=True, slots=True)
class Node:
    """A node that is alive, and all that it has."""

    id: str
    address: str
    room: Needs


def load_ray() -> Any:
    """The module `ray`, with tokens on and reports to its makers off unless the environment says otherwise.

    Raises:
        NotFoundError: `ray-not-installed`.
    """
    os.environ.setdefault(AUTH_MODE, "token")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what Ray will do anyway, without its warning
    try:
        import ray
    except ImportError as error:
        raise NotFoundError(
            "Ray is not installed; run: pip install 'bitextmine[ray]'", code="ray-not-installed"
        ) from error
    return ray


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """The module `ray`, connected inside the block. What is printed meanwhile goes to standard error: Ray prints too.

    Args:
        address: `host:port` of a cluster that this machine is a node of; or `local`: one is started here, with all
            cores, and ends with the block.

    Raises:
        ParameterError: no such address, or another job's connection is open in this process.
        NotFoundError: `ray-not-installed`, `ray-unreachable`.
        InputError: `ray-refused` (the token), `ray-open` (no token is asked for), `ray-version-mismatch`.
    """
    ray = load_ray()
    if ray.is_initialized():
        raise ParameterError("this process is connected to a Ray cluster already")
    options: dict[str, Any] = {"address": address}
    if address == LOCAL:
        options |= {"num_cpus": default_threads(), "include_dashboard": False}
    else:
        check_address(address)
        check_tokens(address)
    with redirect_stdout(sys.stderr):
        try:
            ray.init(**options, logging_level="WARNING", log_to_driver=False, configure_logging=False)
        except Exception as error:
            raise _refused(address, error) from error
        try:
            yield ray
        finally:
            ray.shutdown()


def check_address(address: str) -> None:
    """
    Raises:
        ParameterError: it is no host and port.
        NotFoundError: `ray-unreachable`: nobody listens there.
    """
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isdecimal() and 0 < int(port) < 1 << 16) or "/" in host:
        raise ParameterError(f"{address!r} is no address of a Ray cluster; write {LOCAL}, or host:6379")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _TCP_SECONDS).close()
    except OSError as error:
        raise NotFoundError(
            f"no Ray cluster at {address}: {error.strerror or error}; `ray start` says its address",
            code="ray-unreachable",
        ) from error


def check_tokens(address: str) -> None:
    """See that the cluster lets us in, and nobody who has no token, unless RAY_AUTH_MODE=disabled says that he may.

    Raises:
        NotFoundError: `ray-unreachable`.
        InputError: `ray-refused`, `ray-open`.
    """
    ours = _knock(address, os.environ)
    strangers = _knock(address, {**os.environ, AUTH_MODE: "disabled"})
    said = _heard(ours)
    if _REFUSED in said:
        raise InputError(
            f"the Ray cluster at {address} refuses this machine's token; put the cluster's into ~/.ray/auth_token, "
            "RAY_AUTH_TOKEN_PATH or RAY_AUTH_TOKEN, with RAY_AUTH_MODE=token",
            code="ray-refused",
        )
    if ours.returncode != 0:
        last = said.strip().splitlines()[-1:] or ["it says nothing"]
        raise NotFoundError(f"what listens at {address} is no Ray cluster: {last[0][:200]}", code="ray-unreachable")
    _heard(strangers)
    if strangers.returncode == 0 and os.environ.get(AUTH_MODE) != "disabled":
        raise InputError(
            f"the Ray cluster at {address} asks for no token: whoever reaches it can run anything on it; start every "
            "node with RAY_AUTH_MODE=token, or set RAY_AUTH_MODE=disabled here if that is meant to be",
            code="ray-open",
        )


def alive_nodes(ray: Any) -> list[Node]:
    """The nodes that are alive, the head first where it is one of them."""
    found = [each for each in ray.nodes() if each["Alive"]]
    found.sort(key=lambda each: ("node:__internal_head__" not in each["Resources"], each["NodeID"]))
    return [Node(each["NodeID"], each["NodeManagerAddress"], _room(each["Resources"])) for each in found]


@contextmanager
def probe(directory: Path) -> Iterator[Expected]:
    """What every node has to be like; a file lies in the directory while the block runs.

    Raises:
        ParameterError: nothing can be written there.
    """
    python, version = versions()
    path, content = directory / f".ray-probe-{secrets.token_hex(8)}", secrets.token_hex(16)
    try:
        path.write_text(content, encoding="ascii")
    except OSError as error:
        raise ParameterError(f"cannot write to {directory}: {error.strerror or error}") from error
    try:
        yield Expected(python, version, str(path.resolve()), content)
    finally:
        path.unlink(missing_ok=True)


def _room(resources: dict[str, float]) -> Needs:
    named = {name: int(resources.get(name, 0)) for name in ("CPU", "memory", "GPU")}
    return Needs(cores=named["CPU"], memory_bytes=named["memory"], gpus=named["GPU"])


def _knock(address: str, environment: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    return subprocess.Popen(command, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _heard(knock: subprocess.Popen[str]) -> str:
    try:
        return knock.communicate(timeout=_KNOCK_SECONDS)[0]
    except subprocess.TimeoutExpired:
        knock.kill()
        return knock.communicate()[0]


def _refused(address: str, error: Exception) -> Exception:
    said = " ".join(str(error).split())
    if "Version mismatch" in said:
        return InputError(f"the Ray cluster at {address} runs other versions: {said}", code="ray-version-mismatch")
    if "node" in said and address != LOCAL and isinstance(error, (ConnectionError, RuntimeError, ValueError)):
        return NotFoundError(
            f"this machine is no node of the Ray cluster at {address}; run `ray start --address={address}` on it, or "
            f"the command on a node ({said})",
            code="ray-unreachable",
        )
    return NotFoundError(f"Ray does not start or connect: {type(error).__name__}: {said}", code="ray-unreachable")
