"""The first page: two texts become pairs, a sentence finds its likes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = playwright.expect

from tests.browser.conftest import Watched, accessible  # noqa: E402
from tests.browser.walking import PATIENCE, numbered_lines, record_progress, text_file, told  # noqa: E402
from tests.integration.searching import index  # noqa: E402
from tests.integration.service import Service, numbered, service  # noqa: E402

HOSTILE = "<img src=x onerror=alert(1)><b>station</b> & \u202etxet"


@pytest.fixture(scope="module")
def running(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("try")) as started:
        yield started
        assert "Traceback" not in started.api.process.log + started.worker.log


@pytest.fixture
def watched(running: Service, opened: Callable[[str], Watched]) -> Watched:
    return opened(running.api.url)


def names(running: Service, path: str) -> list[str]:
    return [each.get("name") or each["id"] for each in running.api.http.get(path).json()["items"]]


def test_two_texts_become_pairs_and_nothing_of_them_stays(running: Service, watched: Watched) -> None:
    record_progress(watched.page)
    page = watched.goto("/")
    page.locator("#src-lang").select_option("deu_Latn")
    page.locator("#tgt-lang").select_option("ara_Arab")
    lines = [*numbered_lines("Haus", 12), HOSTILE]
    page.fill("#src-text", "\n".join(lines))
    page.fill("#tgt-text", "\n".join(reversed(numbered_lines("بيت", 12))))
    page.click("#try-go")
    expect(page.locator("#try-pairs tbody tr")).not_to_have_count(0, timeout=PATIENCE)
    expect(page.locator("#try-progress")).to_contain_text("The temporary corpora were deleted.", timeout=PATIENCE)
    assert any("reading" in words for words in told(page)), told(page)
    row = page.locator("#try-pairs tbody tr").filter(has_text="Haus 7 ")
    target = row.locator(".sentence").nth(1)
    expect(target).to_contain_text("بيت 7 ")
    expect(target).to_have_attribute("lang", "ar")
    expect(target).to_have_css("direction", "rtl")
    assert page.locator("#try-pairs img, #try-pairs b").count() == 0
    assert names(running, "/v1/corpora") == names(running, "/v1/bitexts") == names(running, "/v1/jobs") == []
    accessible(page)


def test_two_files_are_mined_and_kept_where_that_is_wanted(running: Service, watched: Watched) -> None:
    page = watched.goto("/")
    expect(page.locator("#tgt-lang option")).not_to_have_count(0)
    page.set_input_files("#src-file", text_file("a.de", *numbered_lines("Haus", 9)))
    page.set_input_files("#tgt-file", text_file("b.en", *numbered_lines("house", 9)))
    page.check("#try-keep")
    page.click("#try-go")
    expect(page.locator("#try-progress")).to_contain_text("Kept as", timeout=PATIENCE)
    kept = [name for name in names(running, "/v1/corpora") if name.startswith("try-")]
    (bitext,) = names(running, "/v1/bitexts")
    assert page.get_by_text("open the bitext").get_attribute("href") == f"./bitexts?id={bitext}"
    files = {running.api.http.get(f"/v1/corpora/{name}").json()["source"] for name in kept}
    assert files == {"a.de", "b.en"}
    for name in kept:
        running.api.http.delete(f"/v1/corpora/{name}").raise_for_status()


def tried(page: Page, word: str, *, keep: bool) -> None:
    """Have the same two texts mined, which are kept or not."""
    expect(page.locator("#tgt-lang option")).not_to_have_count(0)
    page.fill("#src-text", "\n".join(numbered_lines(word, 9)))
    page.fill("#tgt-text", "\n".join(numbered_lines("house", 9)))
    page.set_checked("#try-keep", keep)
    page.click("#try-go")
    expect(page.locator("#try-go")).to_be_enabled(timeout=PATIENCE)
    wanted = "Kept as" if keep else "The temporary corpora were deleted."
    expect(page.locator("#try-progress")).to_contain_text(wanted, timeout=PATIENCE)


def judged(running: Service, bitext: str) -> dict[str, Any]:
    """Have a pair of a bitext judged, and what was said of its pairs then."""
    path = f"/v1/bitexts/{bitext}"
    (pair,) = running.api.http.get(f"{path}/pairs", params={"limit": 1}).json()["items"]
    verdict = {"src_row": pair["src_row"], "tgt_row": pair["tgt_row"], "verdict": "good"}
    said: dict[str, Any] = running.api.http.put(f"{path}/judgements", json={"judgements": [verdict]}).json()
    assert said["good"] == 1
    return said


def test_what_is_kept_outlives_the_same_texts_tried_again(running: Service, watched: Watched) -> None:
    page = watched.goto("/")
    others = set(names(running, "/v1/bitexts"))
    tried(page, "Kater", keep=True)
    (kept,) = set(names(running, "/v1/bitexts")) - others
    said = judged(running, kept)
    tried(page, "Kater", keep=False)
    assert set(names(running, "/v1/bitexts")) == {kept, *others}
    # the same again, kept again, is the same bitext: it stays, even if something fails once it is there
    watched.expected += ["503"]
    page.route(f"**/v1/bitexts/{kept}/pairs*", lambda route: route.fulfill(status=503))
    tried(page, "Kater", keep=True)
    expect(page.get_by_role("alert")).to_contain_text("503")
    assert running.api.http.get(f"/v1/bitexts/{kept}/judgements").json() == said
    for name in names(running, "/v1/corpora"):
        running.api.http.delete(f"/v1/corpora/{name}").raise_for_status()


def test_a_text_that_is_missing_is_said_and_what_was_made_is_deleted(running: Service, watched: Watched) -> None:
    page = watched.goto("/")
    expect(page.locator("#tgt-lang option")).not_to_have_count(0)
    page.fill("#src-text", "Eins\nZwei")
    page.click("#try-go")
    expect(page.locator("#problem")).to_contain_text("there is no target text", timeout=PATIENCE)
    expect(page.locator("#try-go")).to_be_enabled()
    assert not [name for name in names(running, "/v1/corpora") if name.startswith("try-")]


def test_a_sentence_finds_its_likes_in_all_corpora(running: Service, watched: Watched) -> None:
    api = running.api
    for name, lang, word in (("search-de", "deu", "Haus"), ("search-fr", "fra", "gare"), ("search-en", "eng", "house")):
        api.succeeded(api.upload(name, numbered(word, 20) + HOSTILE.encode() + b"\n", lang, source=f"{word}.txt"))
        if name != "search-fr":
            api.succeeded(index(api, name))
    page = watched.goto("/")
    expect(page.locator("#search-in option")).to_have_count(5)
    page.locator("#search-lang").select_option("eng_Latn")
    page.fill("#search-text", "house 7 station 57 museum 49")
    page.click("#search-go")
    first = page.locator("#hits li").first
    expect(first).to_contain_text("Haus 7 station")
    for words in ("margin", "cosine", "German", "search-de", "Haus.txt line 8"):
        expect(first).to_contain_text(words)
    expect(page.locator("#hits")).to_contain_text("Not searchable yet: search-fr")
    assert page.locator("#hits li").filter(has_text="search-en").count() == 0
    page.locator("#search-in").select_option("")
    page.fill("#search-text", HOSTILE)
    page.press("#search-text", "Enter")
    expect(page.locator("#hits li").filter(has_text="search-en").first).to_be_visible()
    assert page.locator("#hits img, #hits b").count() == 0
    accessible(page)


def test_the_page_is_walked_by_keyboard(watched: Watched) -> None:
    page = watched.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for wanted in ("src-lang", "src-text", "src-file", "tgt-lang"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == wanted


def test_an_example_is_filled_in(watched: Watched, tmp_path: Path) -> None:
    page = watched.goto("/")
    expect(page.locator("#src-lang option")).not_to_have_count(0)
    page.click("#try-example")
    assert len(page.input_value("#src-text").splitlines()) == 5
    assert page.input_value("#src-lang") == "deu_Latn"
