"""The matrix: a job sent from the page, its report as it grows, and a heat map that leads to bitexts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = playwright.expect

from tests.browser.conftest import Watched, accessible  # noqa: E402
from tests.browser.walking import PATIENCE, numbered_lines  # noqa: E402
from tests.integration.service import ENCODER, Service, service, text_of  # noqa: E402


@pytest.fixture(scope="module")
def running(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("matrix")) as started:
        for name, lang, word in (("de", "deu", "Haus"), ("en", "eng", "house"), ("fr", "fra", "gare")):
            started.api.succeeded(started.api.upload(name, text_of(*numbered_lines(word, 30)), lang))
        yield started
        assert "Traceback" not in started.api.process.log + started.worker.log


def test_all_pairs_of_corpora_are_mined_and_lead_to_their_bitexts(
    running: Service, opened: Callable[[str], Watched]
) -> None:
    watched = opened(running.api.url)
    page = watched.goto("/matrix")
    expect(page.locator("#matrix")).to_contain_text("Nothing was mined yet.")
    accessible(page)
    for name in ("de", "en", "fr"):
        page.locator(f"#matrix-corpora [value={name}]").check()
    page.locator("#matrix-encoder").select_option(ENCODER)
    page.click("#matrix-go")
    page.wait_for_url("**/matrix?job=*")
    expect(page.locator("#matrix-job-state")).to_have_text("succeeded", timeout=PATIENCE)
    expect(page.locator("#matrix-state")).to_contain_text("3 of 3 pairs of corpora are done")
    job = running.api.job(page.url.partition("job=")[2])
    report = running.api.http.get(f"/v1/matrix-jobs/{job['id']}/report").json()
    cells = page.locator("#matrix td.number")
    expect(cells).to_have_count(3)
    wanted = {f"./bitexts?id={pair['result']['bitext']}": pair["result"]["pairs"] for pair in report["pairs"]}
    found = {link.get_attribute("href"): link.inner_text() for link in cells.get_by_role("link").all()}
    assert found == {href: f"{pairs:,}" for href, pairs in wanted.items()}
    page.locator("#matrix-color").select_option("share")
    expect(cells.first).to_contain_text("%")
    accessible(page)
    cells.first.get_by_role("link").click()
    expect(page.locator("#bitext-title")).to_contain_text("and")
    page = watched.goto("/matrix")
    expect(page.locator("#matrix td.number")).to_have_count(3)
    expect(page.locator("#matrix-of option")).to_have_count(2)


def test_a_matrix_job_is_a_job_with_a_plan(running: Service, opened: Callable[[str], Watched]) -> None:
    wanted = {"corpora": ["fr", "de", "en"], "encoder": ENCODER, "pairs": [["fr", "de"], ["fr", "en"]]}
    job = running.api.ended(running.api.http.post("/v1/matrix-jobs", json=wanted))
    page = opened(running.api.url).goto("/jobs")
    page.locator("#filter-kind").select_option("matrix")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("#jobs")).not_to_contain_text("Make corpus")
    page.locator(f"#jobs [href='./jobs?id={job['id']}']").click()
    expect(page.locator("#job-title")).to_have_text("Matrix fr, de, en")
    plan = page.locator("#job .plan")
    expect(plan).to_contain_text("The plan: 2 pairs of corpora")
    expect(plan).to_contain_text(f"Sentences{job['plan']['sentences']}")
    expect(plan).to_contain_text(f"To be embedded{job['plan']['sentences_to_embed']}")
    expect(plan).to_contain_text(re.compile(r"Memory\d+ MB"))
    accessible(page)
    page.get_by_text("Look at the matrix").click()
    expect(page.locator("#matrix td.number")).to_have_count(2)


def test_the_map_tells_values_apart_and_fits_a_narrow_window(
    running: Service, opened: Callable[[str], Watched]
) -> None:
    watched = opened(running.api.url)
    watched.page.set_viewport_size({"width": 320, "height": 700})
    page = watched.goto("/matrix")
    expect(page.locator("#matrix")).not_to_be_empty()
    drawn = """async (numbers) => {
        const {heatMap} = await import("/static/heat-map.js");
        const langs = ["deu_Latn", "eng_Latn", "fra_Latn", "ita_Latn", "rus_Cyrl", "ara_Arab", "tur_Latn", "pol_Latn"];
        const cells = numbers.map((pairs, place) => (
            {src_lang: langs[0], tgt_lang: langs[place + 1], pairs, name: "", state: "done"}));
        cells.push({...cells[0], pairs: 1}); // of the same languages, not shown
        document.querySelector("#matrix").replaceChildren(heatMap(cells, "pairs"));
        return langs.slice(1, numbers.length + 1).map((lang, place) =>
            [...document.querySelectorAll("#matrix td.number")].find((td) => td.textContent === String(numbers[place]))
                .className.replace("number warm-", ""));
    }"""
    assert page.evaluate(drawn, [592, 992, 624, 723]) == ["0", "5", "0", "2"]
    assert page.evaluate(drawn, [7]) == ["5"]
    page.evaluate(drawn, [1, 20, 30, 40, 50, 60, 70])
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_what_cannot_be_mined_is_said(running: Service, opened: Callable[[str], Watched]) -> None:
    watched = opened(running.api.url)
    watched.expected += ["422", "404"]
    page = watched.goto("/matrix")
    page.locator("#matrix-corpora [value=de]").check()
    page.click("#matrix-go")
    expect(page.get_by_role("alert")).to_contain_text("invalid-request")
    watched.goto("/matrix?job=nothing")
    expect(page.get_by_role("alert")).to_contain_text("job-not-found")
