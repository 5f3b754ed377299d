"""The page of corpora: upload, in pieces where they are large, statistics, index, delete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = playwright.expect

from tests.browser.conftest import Watched, accessible  # noqa: E402
from tests.browser.walking import PATIENCE, numbered_lines, record_progress, text_file, told, uploaded  # noqa: E402
from tests.integration.service import Service, service  # noqa: E402


@pytest.fixture(scope="module")
def running(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("corpora")) as started:
        yield started
        assert "Traceback" not in started.api.process.log + started.worker.log


@pytest.fixture
def watched(running: Service, opened: Callable[[str], Watched]) -> Watched:
    return opened(running.api.url)


def test_a_corpus_is_uploaded_looked_at_indexed_and_deleted(running: Service, watched: Watched) -> None:
    page = watched.goto("/corpora")
    expect(page.locator("#corpora")).to_contain_text("There is none yet.")
    page.set_input_files("#upload-file", text_file("My News.DE.txt", "x"))
    assert page.input_value("#upload-name") == "my-news.de"
    lines = [*numbered_lines("Haus", 30), "Haus doppelt", "Haus doppelt", "<img src=x onerror=alert(1)>\x07"]
    uploaded(page, "news", "de", text_file("<i>.txt", *lines))
    expect(page.locator("#corpora")).to_contain_text("news")
    page.get_by_text("Look at news").click()
    expect(page.locator("#corpus-name")).to_have_text("news")
    expect(page.locator("#corpus .facts")).to_contain_text("Sentences31")
    expect(page.locator("#corpus .facts")).to_contain_text("Duplicates1")
    expect(page.locator("#corpus")).to_contain_text("Refused lines (a control character: 1)")
    chart = page.get_by_role("img", name="Lengths in words")
    assert "from 2 to 6 words" in (chart.get_attribute("aria-label") or "")
    assert chart.locator("rect").count() >= 1
    assert page.locator("#corpus i, #corpus img").count() == 0
    accessible(page)
    expect(page.locator("#corpus")).to_contain_text("It has no vectors yet")
    page.click("#index-go")
    expect(page.locator("#index-progress")).to_contain_text("done", timeout=PATIENCE)
    page.reload()
    expect(page.locator("#corpus")).to_contain_text("tiny (31 vectors, searchable)")
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#corpora")).to_contain_text("There is none yet.")
    assert running.api.http.get("/v1/corpora").json()["items"] == []


def large_file(folder: Path) -> Path:
    """So large that it is sent in two pieces."""
    large, filler = folder / "large.txt", "x" * 200
    large.write_text("".join(f"{n} {filler}\n" for n in range(45_000)))
    assert large.stat().st_size > 9_000_000
    return large


def test_a_large_file_goes_in_pieces_over_a_connection_that_breaks(
    running: Service, watched: Watched, tmp_path: Path
) -> None:
    watched.expected += ["net::ERR_CONNECTION_RESET"]
    record_progress(watched.page)
    broken: list[str] = []

    def break_second(route: object, request: object) -> None:
        if request.method == "PATCH" and request.headers["upload-offset"] != "0" and not broken:  # type: ignore[attr-defined]
            broken.append(request.headers["upload-offset"])  # type: ignore[attr-defined]
            route.abort("connectionreset")  # type: ignore[attr-defined]
        else:
            route.continue_()  # type: ignore[attr-defined]

    page = watched.goto("/corpora")
    page.route("**/v1/uploads/*", break_second)
    large = large_file(tmp_path)
    uploaded(page, "large", "en", large)
    assert broken == [str(8 << 20)]
    assert running.api.http.get("/v1/corpora/large").json()["sentences"] == 45_000
    assert any("sent 8.4 MB of 9." in words for words in told(page)), told(page)


def test_a_large_file_that_was_refused_is_not_sent_again(running: Service, watched: Watched, tmp_path: Path) -> None:
    running.api.succeeded(running.api.upload("taken", b"Eins\n"))
    watched.expected += ["409"]
    page = watched.goto("/corpora")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    page.set_input_files("#upload-file", large_file(tmp_path))
    page.fill("#upload-name", "taken")
    page.fill("#upload-lang", "en")
    page.click("#upload-go")
    expect(page.get_by_role("alert")).to_contain_text("corpus-exists", timeout=PATIENCE)
    assert sent.count("PATCH") == 2
    page.fill("#upload-name", "free")
    page.click("#upload-go")
    expect(page.locator("#upload-progress").get_by_text("Look at free")).to_be_visible(timeout=PATIENCE)
    assert sent.count("PATCH") == 2
    assert running.api.http.get("/v1/corpora/free").json()["sentences"] == 45_000
    assert page.evaluate("sessionStorage.length") == 0


def test_what_is_wrong_with_an_upload_is_said(watched: Watched) -> None:
    watched.expected += ["422"]
    page = watched.goto("/corpora")
    page.set_input_files("#upload-file", text_file("a.txt", "Eins"))
    page.fill("#upload-name", "Not a name")
    page.fill("#upload-lang", "Klingon?")
    page.click("#upload-go")
    assert page.evaluate("document.activeElement.id") == "upload-name"  # the browser's own check
    page.fill("#upload-name", "a")
    page.click("#upload-go")
    expect(page.get_by_role("alert")).to_contain_text("unknown-language")
    expect(page.get_by_role("alert")).to_contain_text("Klingon?")
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_role("alert")).to_be_empty()


def test_a_corpus_that_is_not_there_is_said(watched: Watched) -> None:
    watched.expected += ["404"]
    page = watched.goto("/corpora?name=nowhere")
    expect(page.get_by_role("alert")).to_contain_text("corpus-not-found")
    accessible(page)
