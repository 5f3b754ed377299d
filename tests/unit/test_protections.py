"""What decides who is asked for a key and who is answered: addresses, names and origins."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bitextmine.errors import ParameterError
from bitextmine_service.auth import AuthMode, is_loopback
from bitextmine_service.origins import names_this_machine, parse_origins


@pytest.mark.parametrize("host", ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "localhost"])
def test_loopback_addresses_need_no_keys(host: str) -> None:
    assert is_loopback(host)
    assert not AuthMode.AUTO.asks(host)
    assert AuthMode.ON.asks(host)


@pytest.mark.parametrize(
    "host",
    ["", "0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "no.such.host.invalid", "a" * 300, "\udc80", "x\0"],
)
def test_all_others_do(host: str) -> None:
    assert not is_loopback(host)
    assert AuthMode.AUTO.asks(host)
    assert not AuthMode.OFF.asks(host)


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:8000", "127.0.0.1", "127.9.9.9:1", "[::1]", "[::1]:8000", " localhost "]
)
def test_names_of_this_machine(host: str) -> None:
    assert names_this_machine(host)


@pytest.mark.parametrize(
    "host",
    ["", ":", ":8000", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "localhost:8000@evil",
     "[::1", "::1]x", "0.0.0.0",
     "2130706433", "0x7f.1", "127.1", "10.0.0.1", "localhost, evil.example", "[localhost]:x"],
)  # fmt: skip
def test_names_of_others(host: str) -> None:
    assert not names_this_machine(host)


def test_origins() -> None:
    assert parse_origins("") == ()
    assert parse_origins(" https://a.example ,http://localhost:5173,,http://[::1]:80") == (
        "https://a.example",
        "http://localhost:5173",
        "http://[::1]:80",
    )
    assert parse_origins("*") == ("*",)


@pytest.mark.parametrize(
    "text",
    ["a.example", "https://", "https://a/", "https://a/b", "https://*.a.example", "null", "file://x", "https://a b",
     "https://a:port", "https://u:p@a", "https://a,b"],
)  # fmt: skip
def test_what_is_no_origin(text: str) -> None:
    with pytest.raises(ParameterError, match="is no origin"):
        parse_origins(text)


@pytest.mark.parametrize(("hard", "after"), [(4_000, 4 * 500 + 1024), (2_000, 2_000)])
def test_the_limit_of_files_follows_that_of_connections(hard: int, after: int) -> None:
    program = (
        "import resource; from bitextmine_service.protocol import ConnectionLimits;"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}));"
        "ConnectionLimits(500, 1, 1).raise_file_limit(); print(resource.getrlimit(resource.RLIMIT_NOFILE)[0]);"
        "ConnectionLimits(1, 1, 1).raise_file_limit(); print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(after)] * 2
