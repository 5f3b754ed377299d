"""Whether an installed bitextmine works outside its repository: `check_installed.py BIN`, a directory of executables.

Starts `bitextmine serve` with an empty environment and a data directory of its own, and asks it for /livez, its
description, and the web page with all that it refers to. It needs nothing but Python's standard library.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_SECONDS = 120
_LINKS = re.compile(r"""(?:href|src)="([^"]+)"|from "([^"]+)"|import "([^"]+)\"""")


def main() -> int:
    bin_directory = Path(sys.argv[1]).absolute()
    with tempfile.TemporaryDirectory(prefix="bitextmine-") as place:
        version = run(bin_directory, Path(place), "--version")
        with serving(bin_directory, Path(place)) as url:
            alive = json.loads(get(f"{url}/livez"))
            described = json.loads(get(f"{url}/openapi.json"))["info"]
            files = page(url)
    print(f"{version}; /livez: {alive}; API {described['version']}; the page and {len(files) - 1} files of it")
    return 0


def run(bin_directory: Path, place: Path, *arguments: str) -> str:
    command = [str(bin_directory / "bitextmine"), *arguments]
    done = subprocess.run(command, cwd=place, env=environment(place), capture_output=True, text=True, check=True)
    return done.stdout.strip()


def environment(place: Path) -> dict[str, str]:
    """No PATH to other installations, no PYTHONPATH, and a home where nothing is installed."""
    return {"HOME": str(place), "PATH": "/usr/bin:/bin", "NUMBA_CACHE_DIR": str(place / "numba")}


@contextmanager
def serving(bin_directory: Path, place: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(bin_directory / "bitextmine"), "serve", "--port", str(port), "--data-dir", str(place / "data")]
    log = place / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=place, env=environment(place), stdout=out, stderr=out)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_alive(url, process, log)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def wait_until_alive(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            get(f"{url}/livez")
        except OSError:
            time.sleep(0.2)
        else:
            return
    sys.exit(f"the service did not start; its log:\n{log.read_text(errors='replace')}")


def page(url: str) -> set[str]:
    """The page, what it refers to, and so on; each is there, or an error is raised."""
    found: set[str] = set()
    waiting = [f"{url}/"]
    while waiting:
        address = waiting.pop()
        if address in found or not address.startswith(f"{url}/") or "/v1/" in address:
            continue
        found.add(address)
        content = get(address).decode("utf-8", errors="replace")
        if address.endswith((".js", "/")):
            links = ["".join(groups) for groups in _LINKS.findall(content)]
            waiting += [urllib.parse.urldefrag(urllib.parse.urljoin(address, link))[0] for link in links]
    return found


def get(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        sys.exit(f"{url}: {error.code}")


if __name__ == "__main__":
    sys.exit(main())
