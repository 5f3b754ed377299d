"""All commands of docs/guide, run as printed against a real service, each page with a data directory of its own."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from bitextmine.workspace import default_encoders_dir
from tests.guide_pages import GUIDE, PRINTED_URL, Block, Page, pages, shows
from tests.integration.service import Api, service

ROOT = Path(__file__).parents[2]
PAGES = [page for page in pages() if page.blocks]
PATIENCE = 120.0  # seconds for a block
NOT_IN: dict[str, set[tuple[str, str]]] = {
    "sh": set(),
    "python": {("OPTIONS", "/v1/uploads")},
}  # what clients of tus ask, and this one need not
NOT_LOGGED = {("GET", "/livez"), ("GET", "/readyz"), ("GET", "/metrics")}
_ACCESS = re.compile(r"method=([A-Z]+) route=(\S+) status=(\d+)")
_COMMAND = re.compile(r"^bitextmine ", re.MULTILINE)  # which sends requests too


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands run: with the corpora that the guide speaks of, and `bitextmine` on the path."""
    encoders = default_encoders_dir()
    if not (encoders / "muse").is_dir():
        pytest.skip(f"muse is not installed in {encoders}: run `bitextmine encoders pull muse`")
    here = tmp_path / "here"
    here.mkdir()
    for name, short in (("deu", "de"), ("eng", "en")):
        lines = (ROOT / "demo" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        text = "".join(json.loads(line)["text"] + "\n" for line in lines)
        (here / f"news.{short}.gz").write_bytes(gzip.compress(text.encode()))
    monkeypatch.chdir(here)
    monkeypatch.setenv("BITEXTMINE_ENCODERS_DIR", str(encoders))
    monkeypatch.setenv("BITEXTMINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    return tmp_path


class Shell:
    """One shell for all blocks of a page, so that variables and functions live on; an error ends it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["sh", "-e"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._blocks = 0

    def run(self, commands: str) -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._blocks += 1
        mark = f"--- block {self._blocks} is done ---"
        self._process.stdin.write(f"{commands}\nprintf '%s\\n' '{mark}'\n")
        self._process.stdin.flush()
        watch = threading.Timer(PATIENCE, self._process.kill)
        watch.start()
        try:
            printed = ""
            for line in self._process.stdout:
                if line.endswith(f"{mark}\n"):
                    return printed + line.removesuffix(f"{mark}\n")
                printed += line
        finally:
            watch.cancel()
        raise AssertionError(f"the shell ended with {self._process.wait()}:\n{commands}\n{printed}")

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class Python:
    """One namespace for all blocks of a page."""

    def __init__(self) -> None:
        self._names: dict[str, Any] = {"__name__": "__main__"}

    def run(self, commands: str) -> str:
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(commands, "the guide", "exec"), self._names)
        return printed.getvalue()


class Running:
    """The service of a page, or none; and which routes each kind of example has used with success."""

    used: ClassVar[dict[str, set[tuple[str, str]]]] = {"sh": set(), "python": set()}
    pages: ClassVar[set[str]] = set()

    def __init__(self, api: Api | None) -> None:
        self._api = api
        self.url = api.url if api else ""

    def note(self, block: Block, before: int) -> None:
        """Remember the routes that a block has used; `before` is how long the log was."""
        if self._api is not None and (block.language == "python" or not _COMMAND.search(block.commands)):
            self._await_the_last_line()
            lines = _ACCESS.finditer(self._api.process.log[before:])
            self.used[block.language] |= {(line[1], line[2]) for line in lines if int(line[3]) < 400}

    def _await_the_last_line(self) -> None:
        """A request is logged after its answer has been read."""
        before = -1
        while before != self.logged:
            before = self.logged
            time.sleep(0.3)

    @property
    def logged(self) -> int:
        return len(self._api.process.log) if self._api else 0


@pytest.fixture
def running(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A service with the page's settings, where it needs one."""
    page: Page = request.param
    for name, value in page.settings.items():
        monkeypatch.setenv(name, value)
    if not page.needs_service:
        yield Running(None)
        return
    (folder / "encoders").mkdir()
    (folder / "encoders" / "muse").symlink_to(default_encoders_dir() / "muse")
    with service(folder) as started:
        yield Running(started.api)
        assert "Traceback" not in started.api.process.log + started.worker.log


@pytest.mark.encoder
@pytest.mark.parametrize(
    ("page", "running"), [(page, page) for page in PAGES], ids=[page.path.stem for page in PAGES], indirect=["running"]
)
def test_a_page_does_what_it_says(page: Page, running: Running) -> None:
    if any("curl" in block.commands for block in page.blocks) and not shutil.which("curl"):
        pytest.skip("curl is not installed")
    shell, python = Shell(), Python()
    try:
        for block in page.blocks:
            interpreter = shell if block.language == "sh" else python
            before = running.logged
            printed = interpreter.run(block.commands.replace(PRINTED_URL, running.url))
            _check(page, block, printed.replace(running.url, PRINTED_URL) if running.url else printed)
            running.note(block, before)
    finally:
        shell.close()
    running.pages.add(page.path.name)


@pytest.mark.encoder
@pytest.mark.parametrize("language", ["sh", "python"])
def test_every_route_has_an_example_that_works(language: str) -> None:
    """With curl, and in Python; found out from what the service has logged while the pages were run."""
    if Running.pages != {page.path.name for page in PAGES}:
        pytest.skip("not all pages were run")
    described = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))["paths"]
    routes = {(method.upper(), path) for path, methods in described.items() for method in methods}
    missing = routes - Running.used[language] - NOT_IN[language] - NOT_LOGGED
    assert not missing, sorted(missing)


def _check(page: Page, block: Block, printed: str) -> None:
    if block.output is not None and not shows(block.output, printed):
        pytest.fail(f"{page.path.name}:{block.line} prints\n{printed}\nwhere the page shows\n{block.output}", False)


def test_every_block_says_whether_it_is_run() -> None:
    assert not [f"{page.path.name}:{line}" for page in pages() for line in page.unmarked]


def test_every_link_leads_somewhere() -> None:
    for path in [*GUIDE.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), f"{path}: {link}"


def test_outputs_are_compared() -> None:
    assert shows('{"a":...,"b":1}\n', '{"a":{"c":2},"b":1}')
    assert shows("one\n...\nthree\n", "one\ntwo\nthree\n")
    assert shows("one\n...\n", "one\ntwo\nthree\n")
    assert not shows("...\ntwo\n", "one\ntwo\nthree\n")
    assert not shows("one\n", "one\ntwo\n")
    assert not shows('{"a":1}', '{"a":2}')
    assert not shows("", "one")
