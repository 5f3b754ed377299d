"""A real Chromium (Debian's) on a real service. Without either the tests say so and are skipped."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = "Chromium is not installed (on Debian: apt-get install chromium), so the web page is not looked at"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For each module anew: while it runs there is an event loop in this thread, which other tests would stumble on."""
    if CHROMIUM is None:
        pytest.skip(MISSING)
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with playwright.sync_playwright() as running:
        # Chromium's own sandbox needs rights that containers do not give
        started = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield started
        started.close()


class Watched:
    """A page, and all that went wrong in it."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page, self._origin = page, origin
        self.expected: list[str] = []  # parts of messages that a test provokes
        self._wrong: list[str] = []
        page.set_default_timeout(30_000)
        page.on("console", lambda message: message.type in ("error", "warning") and self._wrong.append(message.text))
        page.on("pageerror", lambda error: self._wrong.append(str(error)))
        page.on("request", self._look)
        page.on("dialog", lambda dialog: dialog.accept())

    def _look(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in ("blob", "data") and f"{url.scheme}://{url.netloc}" != self._origin:
            self._wrong.append(f"{request.url} is not of this service")

    def goto(self, path: str) -> Page:
        self.page.goto(self._origin + path)
        return self.page

    def check(self) -> None:
        wrong = [each for each in self._wrong if not any(part in each for part in self.expected)]
        assert not wrong, "\n".join(wrong)


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[[str], Watched]]:
    """Opens a window on a service: in the end nothing may have gone wrong in it."""
    windows: list[Watched] = []
    contexts = []

    def window(origin: str) -> Watched:
        context = browser.new_context(accept_downloads=True, viewport={"width": 1200, "height": 900})
        contexts.append(context)
        windows.append(Watched(context.new_page(), origin))
        return windows[-1]

    yield window
    for context in contexts:
        context.close()
    for watched in windows:
        watched.check()


def accessible(page: Page) -> None:
    """No violation of what axe-core checks, in light and in dark."""
    import axe_playwright_python

    (script,) = Path(axe_playwright_python.__file__).parent.glob("axe.min.js")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.evaluate(script.read_text(encoding="utf-8") + "\n;0")
        found = page.evaluate("axe.run().then(({violations}) => violations)")
        named = [(each["id"], [node["html"][:150] for node in each["nodes"]], each["help"]) for each in found]
        assert not named, (scheme, page.url, named)
