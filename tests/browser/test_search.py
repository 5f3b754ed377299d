"""Searching where there are more languages than one search takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = playwright.expect

from bitextmine.catalog import Catalog  # noqa: E402
from bitextmine.corpus import CorpusFile, ingest  # noqa: E402
from bitextmine.encoders.language_lists import XLM_R  # noqa: E402
from bitextmine.workspace import Workspace  # noqa: E402
from tests.browser.conftest import Watched  # noqa: E402
from tests.integration.searching import index  # noqa: E402
from tests.integration.service import Service, numbered, service  # noqa: E402

OTHERS = [lang for lang in XLM_R if lang not in ("deu_Latn", "fra_Latn")][:66]


@pytest.fixture(scope="module")
def running(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """With corpora of 68 languages, of which those that can be searched are the first and the last by name."""
    folder = tmp_path_factory.mktemp("search")
    with service(folder) as started:
        place = Workspace.at(started.data_dir)
        catalog = Catalog(place.corpora, place.artifacts)
        file = folder / "text.txt"
        file.write_bytes(numbered("word", 3))
        for lang in OTHERS:
            catalog.add(f"of-{lang.lower()}", ingest(CorpusFile(file, lang), place.artifacts))
        for name, lang, word in (("a", "deu", "Haus"), ("z", "fra", "gare")):
            started.api.succeeded(started.api.upload(name, numbered(word, 20), lang))
            started.api.succeeded(index(started.api, name))
        yield started
        assert "Traceback" not in started.api.process.log + started.worker.log


def test_all_languages_are_offered_and_those_left_out_are_named(
    running: Service, opened: Callable[[str], Watched]
) -> None:
    page = opened(running.api.url).goto("/")
    expect(page.locator("#search-in option")).to_have_count(2 + len(OTHERS) + 2)
    page.locator("#search-in").select_option("")
    page.fill("#search-text", "gare 7 station 57 museum 49")
    with page.expect_request("**/v1/search") as sent:
        page.click("#search-go")
    hits = page.locator("#hits")
    expect(hits).to_contain_text("20 sentences of 1 corpora were searched.")
    expect(hits).to_contain_text("French were left out: choose one of them")
    assert len(json.loads(sent.value.post_data or "")["langs"]) == 64
    page.locator("#search-in").select_option("fra_Latn")
    page.click("#search-go")
    expect(hits.locator("li").first).to_contain_text("gare 7 station")
    expect(hits).not_to_contain_text("left out")
