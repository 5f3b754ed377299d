"""All that is looked at, in order. What fails itself is a finding too."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from bitextmine.doctor.finding import Finding, problem
from bitextmine.doctor.settings import Settings, read_settings, settings
from bitextmine.resources import Provider
from bitextmine.workspace import Workspace

_MIN_FREE = 1 << 30  # bytes, where the API's settings do not say
Check = Callable[[], Iterator[Finding]]


def examine(place: Workspace, *, quick: bool = False) -> Iterator[Finding]:
    """Look at everything, in the environment of this process; findings come as they are made.

    Args:
        place: the data directory, which is left as it is, and the encoders'.
        quick: do not read encoders' files and compute with them.
    """
    known = read_settings()
    for name, check in _checks(place, known, os.environ, quick=quick).items():
        try:
            yield from check()
        except Exception as error:  # noqa: BLE001 - whatever it is, the other checks are worth having
            what = f"it could not be looked at: {type(error).__name__}: {' '.join(str(error).split())}"
            yield problem(name, what, "report it, with this line")


def _checks(place: Workspace, known: Settings, environment: Mapping[str, str], *, quick: bool) -> dict[str, Check]:
    """By name; each loads what it needs when it is called."""
    values = known.values
    return {
        "packages": _packages,
        "settings": partial(settings, known, environment),
        "devices": partial(_devices, Provider(values.get("provider", Provider.AUTO))),
        "machine": _machine,
        "data directory": partial(_data_directory, place, int(values.get("min_free_bytes", _MIN_FREE))),
        "encoders": partial(_encoders, place, quick=quick),
        "redis": partial(_redis, environment.get("REDIS_URL"), place),
        "port": partial(_port, str(values.get("host", "127.0.0.1")), int(values.get("port", 8000))),
    }


def _packages() -> Iterator[Finding]:
    from bitextmine.doctor import packages

    yield from packages.python(tuple(sys.version_info[:3]))
    yield from packages.packages()


def _devices(provider: Provider) -> Iterator[Finding]:
    from bitextmine.doctor.devices import devices

    yield from devices(provider)


def _machine() -> Iterator[Finding]:
    from bitextmine.doctor.machine import machine

    yield from machine()


def _data_directory(place: Workspace, min_free: int) -> Iterator[Finding]:
    from bitextmine.doctor.data_directory import data_directory

    yield from data_directory(place.data_dir, min_free)


def _encoders(place: Workspace, *, quick: bool) -> Iterator[Finding]:
    from bitextmine.doctor.encoders import encoders

    yield from encoders(place.encoders, quick=quick)


def _redis(url: str | None, place: Workspace) -> Iterator[Finding]:
    from bitextmine.doctor.redis_server import redis_server

    yield from redis_server(url, place.data_dir)


def _port(host: str, number: int) -> Iterator[Finding]:
    from bitextmine.doctor.port import port

    yield from port(host, number)
