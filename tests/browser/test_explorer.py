"""The bitext explorer where something is missing or late: margins, vectors of words, answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = playwright.expect

from bitextmine.corpus import CorpusFile, ingest  # noqa: E402
from bitextmine.documents import align_documents  # noqa: E402
from bitextmine.encoders import Encoder  # noqa: E402
from bitextmine.encoders.card import write_card  # noqa: E402
from bitextmine.workspace import Workspace  # noqa: E402
from tests.browser.conftest import Watched, accessible  # noqa: E402
from tests.browser.walking import PATIENCE, numbered_lines  # noqa: E402
from tests.integration.service import Service, numbered, service, text_of  # noqa: E402
from tests.tiny_encoder import build_tiny_encoder  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

LONG = "museum lake " * 400


@pytest.fixture(scope="module")
def running(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("explorer")) as started:
        yield started
        assert "Traceback" not in started.api.process.log + started.worker.log


@pytest.fixture
def watched(running: Service, opened: Callable[[str], Watched]) -> Watched:
    return opened(running.api.url)


@pytest.fixture(scope="module")
def aligned(running: Service, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A bitext of two documents, by an encoder that the service does not have."""
    folder = tmp_path_factory.mktemp("aligned")
    store = Workspace.at(running.data_dir).artifacts
    sides = []
    for name, lang in (("Haus", "deu_Latn"), ("house", "eng_Latn")):
        file = folder / f"{name}.txt"
        file.write_bytes(numbered(name, 12))
        sides.append(ingest(CorpusFile(file, lang), store))
    encoder = build_tiny_encoder(folder / "gone")
    write_card(encoder.card.model_copy(update={"name": "gone"}), encoder.directory)
    return align_documents(*sides, Encoder.open(encoder.directory), store).bitext.digest


@pytest.fixture(scope="module")
def mined(running: Service) -> str:
    """A bitext one pair of which is longer than what words are aligned of."""
    for name, word in (("de", "Haus"), ("en", "house")):
        running.api.succeeded(running.api.upload(name, text_of(*numbered_lines(word, 20), word + LONG), name))
    found: str = running.api.succeeded(running.api.mine("de", "en"))["bitext"]
    return found


def explored(watched: Watched, bitext: str) -> tuple[Page, list[str]]:
    """The best pairs of a bitext, and a list that grows with each request for words."""
    asked: list[str] = []
    watched.page.on("request", lambda request: "word-alignments" in request.url and asked.append(request.url))
    page = watched.goto(f"/bitexts?id={bitext}")
    expect(page.locator("#pairs tbody tr").first).to_be_visible(timeout=PATIENCE)
    page.locator("#which").select_option("best")
    page.click("#show")
    expect(page.locator("#pairs caption")).to_contain_text("The best pairs")
    return page, asked


def test_an_alignment_says_what_its_margins_are(watched: Watched, aligned: str) -> None:
    page, _ = explored(watched, aligned)
    facts = page.locator("#bitext-facts")
    expect(facts).to_contain_text("the score of its alignment")
    expect(facts).not_to_contain_text("null")
    expect(facts).not_to_contain_text("Threshold")
    accessible(page)


def test_given_pairs_were_not_mined(running: Service, watched: Watched) -> None:
    wanted = {"src_lang": "de", "tgt_lang": "en", "encoder": "tiny", "source": "pairs.tsv"}
    lines = "".join(f"Haus {n}\thouse {n}\n" for n in range(9))
    found = running.api.succeeded(running.api.http.post("/v1/scoring-jobs", params=wanted, content=lines.encode()))
    page, _ = explored(watched, found["bitext"])
    expect(page.locator("#bitext-facts")).to_contain_text("Marginratio, k = ")
    expect(page.locator("#bitext-facts")).not_to_contain_text("Threshold")


def test_where_there_are_no_vectors_of_words_nothing_is_said(watched: Watched, aligned: str) -> None:
    watched.expected += ["404"]
    page, asked = explored(watched, aligned)
    rows = page.locator("#pairs tbody tr")
    with page.expect_response("**/v1/word-alignments") as refused:
        rows.nth(0).hover()
    assert refused.value.status == 404
    for row in (1, 2, 0):
        rows.nth(row).get_by_role("button", name="Good").focus()
        page.keyboard.press("ArrowRight")
    expect(page.get_by_role("alert")).to_be_empty()
    assert len(asked) == 1


def test_a_sentence_that_is_too_long_has_no_words_and_others_have(watched: Watched, mined: str) -> None:
    watched.expected += ["422"]
    page, asked = explored(watched, mined)
    rows = page.locator("#pairs tbody tr")
    long = rows.filter(has_text="museum lake museum lake").first.get_by_role("button", name="Good")
    with page.expect_response("**/v1/word-alignments") as refused:
        long.press("ArrowRight")
    assert refused.value.status == 422
    long.press("ArrowRight")
    short = rows.filter(has_text="station").first
    with page.expect_response("**/v1/word-alignments"):
        short.get_by_role("button", name="Good").press("ArrowRight")
    expect(short.locator(".word.linked").first).to_be_visible()
    expect(page.get_by_role("alert")).to_be_empty()
    assert len(asked) == 2


def test_a_late_answer_takes_no_newer_verdict_back(running: Service, watched: Watched, mined: str) -> None:
    page, _ = explored(watched, mined)
    late: list[tuple[Route, Any]] = []

    def hold_first(route: Route) -> None:
        if route.request.method == "PUT" and not late:
            path = f"/v1/bitexts/{mined}/judgements"  # sent from here, which lets no other request in meanwhile
            late.append((route, running.api.http.put(path, json=route.request.post_data_json).json()))
        else:
            route.continue_()

    page.route("**/judgements", hold_first)
    rows = page.locator("#pairs tbody tr")
    rows.nth(0).get_by_role("button", name="Good").press("g")
    rows.nth(1).get_by_role("button", name="Good").press("b")
    expect(rows.nth(1).get_by_role("button", name="Bad")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#estimate")).to_contain_text("1 of 2 judged pairs")
    ((held, answer),) = late
    held.fulfill(json=answer)
    expect(rows.nth(0).get_by_role("button", name="Good")).to_have_attribute("aria-pressed", "true")
    page.locator("#which").select_option("judged")
    page.click("#show")
    expect(page.locator("#pairs caption")).to_contain_text("The pairs that were judged: 2 of 2")
    expect(page.locator("#pairs [aria-pressed=true]")).to_have_text(["Good", "Bad"])
    stored = running.api.http.get(f"/v1/bitexts/{mined}/judgements").json()
    assert (stored["good"], stored["bad"]) == (1, 1)
