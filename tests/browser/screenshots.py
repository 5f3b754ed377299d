"""Pictures of every page, light and dark, and how soon each is painted: python -m tests.browser.screenshots URL FOLDER.

Of a service that runs and holds something. The times are of the browser's first contentful paint, with an empty cache.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import CHROMIUM

REPEATS = 5
WIDTHS = {"wide": 1200, "narrow": 400}
_PAINT = """() => new Promise((resolve) => {
  const painted = (list) => resolve(list.getEntries().find(({name}) => name === "first-contentful-paint").startTime);
  new PerformanceObserver(painted).observe({type: "paint", buffered: true});
})"""
_LOADED = """() => performance.getEntriesByType("resource").map(({name, transferSize}) => [name, transferSize])"""


def pages(url: str) -> dict[str, tuple[str, str]]:
    """Name to path, and what is there once the page has its content: the newest of each thing, the largest bitext."""
    with httpx.Client(base_url=url) as http:
        bitexts = http.get("/v1/bitexts", params={"limit": 1000}).json()["items"]
        jobs, corpora = (http.get(path).json()["items"] for path in ("/v1/jobs?kind=mine", "/v1/corpora"))
    found = {
        "try": ("/", "#src-lang option"),
        "corpora": ("/corpora", "#corpora *"),
        "jobs": ("/jobs", "#jobs *"),
        "bitexts": ("/bitexts", "#bitexts *"),
        "matrix": ("/matrix", "#matrix *"),
    }
    if corpora:
        found["corpus"] = (f"/corpora?name={corpora[0]['name']}", "#corpus-name")
    if jobs:
        found["job"] = (f"/jobs?id={jobs[0]['id']}", "#job-title")
    if bitexts:
        largest = max(bitexts, key=lambda each: each["pairs"])
        found[f"bitext of {largest['pairs']}"] = (f"/bitexts?id={largest['id']}", "#pairs tbody tr")
    return found


def measured(browser: Browser, url: str, path: str, content: str) -> tuple[float, float, int]:
    """Milliseconds to the first paint and to the content, and bytes that were sent."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(url + path)
    page.wait_for_selector(content, state="attached")
    shown = page.evaluate("performance.now()")
    paint, resources = page.evaluate(_PAINT), page.evaluate(_LOADED)
    foreign = [name for name, _ in resources if not name.startswith(url)]
    assert not foreign, foreign
    context.close()
    return paint, shown, sum(size for _, size in resources)


def take(page: Page, url: str, path: str, content: str, folder: Path, name: str) -> None:
    page.goto(url + path)
    page.wait_for_selector(content, state="attached")
    page.wait_for_load_state("networkidle")
    for size, width in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=folder / f"{name.partition(' ')[0]}-{size}-{scheme}.png", full_page=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    wanted = parser.parse_args()
    wanted.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        print("page                    first paint   content   sent   (ms, ms, kB; medians)")
        for name, (path, content) in pages(wanted.url).items():
            times = [measured(browser, wanted.url, path, content) for _ in range(REPEATS)]
            paint, shown, size = (statistics.median(each) for each in zip(*times, strict=True))
            print(f"{name:24}{paint:11.0f}{shown:10.0f}{size / 1000:7.0f}")
            take(page, wanted.url, path, content, wanted.folder, name)
        browser.close()


if __name__ == "__main__":
    main()
