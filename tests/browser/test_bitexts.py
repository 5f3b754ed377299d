"""The bitext explorer: a threshold that is moved, pairs that are judged, files that are downloaded."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = playwright.expect

from tests.browser.conftest import Watched, accessible  # noqa: E402
from tests.browser.walking import PATIENCE, numbered_lines  # noqa: E402
from tests.integration.service import ENCODER, Service, service, text_of  # noqa: E402

HOSTILE = ["<img src=x onerror=alert(1)> station 7 museum 7", "</td><script>alert(2)</script> station 8 museum 8"]


@pytest.fixture(scope="module")
def running(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("bitexts")) as started:
        api = started.api
        for name, lang, word in (("de", "deu", "Haus"), ("ar", "ara", "بيت")):
            lines = [*numbered_lines(word, 60), *HOSTILE]
            api.succeeded(api.upload(name, text_of(*lines), lang, source=f"<b>{name}</b>.txt"))
        api.succeeded(api.mine("de", "ar"))
        yield started
        assert "Traceback" not in started.api.process.log + started.worker.log


@pytest.fixture
def bitext(running: Service) -> dict[str, Any]:
    found: dict[str, Any] = running.api.http.get("/v1/bitexts").json()["items"][0]
    return found


@pytest.fixture
def watched(running: Service, opened: Callable[[str], Watched], bitext: dict[str, Any]) -> Watched:
    window = opened(running.api.url)
    window.goto("/bitexts")
    window.page.locator("#bitexts").get_by_role("link").click()
    expect(window.page.locator("#pairs tbody tr").first).to_be_visible(timeout=PATIENCE)
    return window


def kept(watched: Watched) -> int:
    match = re.match(r"([\d,]+) of [\d,]+ pairs stay", watched.page.inner_text("#kept"))
    assert match
    return int(match[1].replace(",", ""))


def test_the_threshold_says_at_once_what_stays(running: Service, watched: Watched, bitext: dict[str, Any]) -> None:
    page, path = watched.page, f"/v1/bitexts/{bitext['id']}"
    assert kept(watched) == bitext["pairs"]
    page.locator("#threshold").focus()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    for _ in range(40):
        page.keyboard.press("ArrowRight")
    assert not sent
    least = page.inner_text("#threshold-value")
    total = running.api.http.get(f"{path}/pairs", params={"min_margin": least, "limit": 1}).json()["total"]
    assert kept(watched) == total
    assert 0 < total < bitext["pairs"]
    assert page.locator("#histogram rect.cut").count() == 40
    for row in page.locator("#pairs tbody tr").all():
        below = float(row.get_attribute("data-margin") or 0) < float(least)
        assert ("below" in (row.get_attribute("class") or "")) == below
    page.locator("#which").select_option("worst")
    page.click("#show")
    expect(page.locator("#pairs caption")).to_contain_text(f"of {total}")
    assert page.locator("#pairs tr.below").count() == 0
    page.locator("#which").select_option("below")
    page.click("#show")
    expect(page.locator("#pairs caption")).to_contain_text(f"of {bitext['pairs'] - total}")
    accessible(page)


def test_pairs_are_judged_and_give_a_precision(running: Service, watched: Watched, bitext: dict[str, Any]) -> None:
    page, path = watched.page, f"/v1/bitexts/{bitext['id']}/judgements"
    expect(page.locator("#estimate")).to_contain_text("not known yet")
    rows = page.locator("#pairs tbody tr")
    for row, verdict in ((0, "Good"), (1, "Bad"), (2, "Good")):
        rows.nth(row).get_by_role("button", name=verdict).click()
        button = rows.nth(row).get_by_role("button", name=verdict)
        expect(button).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#estimate")).to_contain_text("2 of 3 judged pairs")
    rows.nth(3).get_by_role("button", name="Good").focus()
    page.keyboard.press("b")
    expect(rows.nth(3).get_by_role("button", name="Bad")).to_have_attribute("aria-pressed", "true")
    rows.nth(2).get_by_role("button", name="Good").click()
    expect(page.locator("#estimate")).to_contain_text("1 of 3 judged pairs")
    stored = running.api.http.get(path).json()
    assert (stored["good"], stored["bad"]) == (1, 2)
    page.reload()
    expect(page.locator("#estimate")).to_contain_text("1 of 3 judged pairs")
    page.locator("#which").select_option("judged")
    page.click("#show")
    expect(page.locator("#pairs [aria-pressed=true]")).to_have_count(3)
    expect(page.locator("#pairs thead")).not_to_contain_text("Cosine")
    with page.expect_download() as download:
        page.click("#download-judged")
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == stored["items"]


@pytest.mark.parametrize("form", ["tsv", "moses", "tmx", "jsonl", "parquet"])
def test_what_stays_is_downloaded(running: Service, watched: Watched, bitext: dict[str, Any], form: str) -> None:
    page = watched.page
    page.locator("#threshold").fill("50")
    least = page.inner_text("#threshold-value")
    page.locator("#format").select_option(form)
    with page.expect_download() as download:
        page.click("#download")
    wanted = {"format": form, "min_margin": least}
    expected = running.api.http.get(f"/v1/bitexts/{bitext['id']}/download", params=wanted)
    assert Path(download.value.path()).read_bytes() == expected.content
    assert download.value.suggested_filename in expected.headers["content-disposition"]


def test_sentences_are_shown_as_text_in_their_direction(watched: Watched) -> None:
    page = watched.page
    page.locator("#which").select_option("best")
    page.click("#show")
    expect(page.locator("#pairs caption")).to_contain_text("The best pairs")
    assert page.locator("#main img, #main script, #main b").count() == 0
    expect(page.locator("#bitext-facts")).to_contain_text("<b>de</b>.txt")
    right = page.locator("#pairs tbody tr").filter(has_text="بيت").first.locator(".sentence").nth(1)
    expect(right).to_have_attribute("lang", "ar")
    expect(right).to_have_css("direction", "rtl")


def test_words_that_stand_for_each_other_are_marked(watched: Watched) -> None:
    page = watched.page
    page.locator("#which").select_option("best")
    page.click("#show")
    expect(page.locator("#pairs caption")).to_contain_text("The best pairs")
    row = page.locator("#pairs tbody tr").filter(has_text="بيت").first
    before = row.inner_text()
    row.hover()
    word = row.locator(".sentence").first.locator(".word", has_text="museum")
    word.hover()
    expect(row.locator(".sentence").nth(1).locator(".linked")).to_have_text("museum")
    assert row.inner_text() == before
    row.get_by_role("button", name="Good").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#said")).to_contain_text(":")
    accessible(page)


def test_a_bitext_is_deleted_with_its_judgements(running: Service, watched: Watched) -> None:
    api = running.api
    api.succeeded(api.mine("ar", "de", k=2))
    made = next(each for each in api.http.get("/v1/bitexts").json()["items"] if each["src_lang"] == "ara_Arab")
    page = watched.goto(f"/bitexts?id={made['id']}")
    page.locator("#pairs tbody tr").first.get_by_role("button", name="Good").click()
    expect(page.locator("#estimate")).to_contain_text("1 of 1 judged pairs")
    page.click("#delete")
    expect(page.locator("#bitexts tbody tr")).to_have_count(1)
    assert api.http.get(f"/v1/bitexts/{made['id']}").status_code == 404
    assert not list((running.data_dir / "judgements").glob(f"{made['id']}*"))


def test_a_bitext_that_is_not_there_is_said(watched: Watched) -> None:
    watched.expected += ["404"]
    page = watched.goto("/bitexts?id=0")
    expect(page.get_by_role("alert")).to_contain_text("bitext-not-found")


def test_of_no_pairs_there_is_nothing_to_choose(running: Service, watched: Watched) -> None:
    api = running.api
    found = api.succeeded(api.mine("de", "ar", threshold=99.0))
    page = watched.goto(f"/bitexts?id={found['bitext']}")
    expect(page.locator("#pairs")).to_contain_text("there are none")
    expect(page.locator("#histogram")).to_contain_text("There are no pairs.")
    assert ENCODER in page.inner_text("#bitext-facts")
    accessible(page)
