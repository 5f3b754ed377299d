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

    def packages() -> Iterator[Finding]:
        from bitextmine.doctor import packages

        yield from packages.python(tuple(sys.version_info[:3]))
        yield from packages.packages()

    def devices() -> Iterator[Finding]:
        from bitextmine.doctor.devices import devices

        yield from devices(Provider(values.get("provider", Provider.AUTO)))

    def machine() -> Iterator[Finding]:
        from bitextmine.doctor.machine import machine

        yield from machine()

    def directory() -> Iterator[Finding]:
        from bitextmine.doctor.data_directory import data_directory

        yield from data_directory(place.data_dir, int(values.get("min_free_bytes", _MIN_FREE)))

    def encoders() -> Iterator[Finding]:
        from bitextmine.doctor.encoders import encoders

        yield from encoders(place.encoders, quick=quick)

    def redis() -> Iterator[Finding]:
        from bitextmine.doctor.redis_server import redis_server

        yield from redis_server(environment.get("REDIS_URL"), place.data_dir)

    def port() -> Iterator[Finding]:
        from bitextmine.doctor.port import port

        yield from port(str(values.get("host", "127.0.0.1")), int(values.get("port", 8000)))

    return {
        "packages": packages,
        "settings": partial(settings, known, environment),
        "devices": devices,
        "machine": machine,
        "data directory": directory,
        "encoders": encoders,
        "redis": redis,
        "port": port,
    }
