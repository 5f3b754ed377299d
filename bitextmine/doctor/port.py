"""The port: free, or this service's."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException

from bitextmine.doctor.finding import Finding, ok, problem

_CHECK = "port"
_PATIENCE = 3.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - asked for by the setting, not listened on here


def port(host: str, number: int) -> Iterator[Finding]:
    """
    Args:
        host, number: what the service would listen on.
    """
    todo = "set BITEXTMINE_HOST to an address of this machine and BITEXTMINE_PORT to a free port above 1023"
    if version := _our_version(_ANYWHERE.get(host, host), number):
        yield ok(_CHECK, f"bitextmine {version} answers at {host}, port {number}")
        return
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        why = "another program listens there" if taken else getattr(error, "strerror", None) or str(error)
        yield problem(_CHECK, f"port {number} of {host} cannot be used: {why}", todo)
    else:
        yield ok(_CHECK, f"port {number} of {host} is free: the service does not run there")


def _our_version(host: str, number: int) -> str | None:
    """The version that a bitextmine at this address says it has; None where something else or nothing answers."""
    try:
        with closing(HTTPConnection(host, number, timeout=_PATIENCE)) as connection:
            connection.request("GET", "/livez")
            match json.loads(connection.getresponse().read(4096)):
                case {"live": True, "version": str(version)}:
                    return version
    except (OSError, HTTPException, ValueError):
        return None
    return None
