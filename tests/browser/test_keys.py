"""The page of a service that asks for keys: the key stays in the tab, and goes to this service only."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = playwright.expect

from bitextmine.keys import Scope  # noqa: E402
from tests.browser.conftest import Watched, accessible  # noqa: E402
from tests.browser.walking import PATIENCE, numbered_lines, text_file, uploaded  # noqa: E402
from tests.integration.keyed import Keyed  # noqa: E402
from tests.integration.service import service  # noqa: E402


@pytest.fixture(scope="module")
def keyed(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    with service(tmp_path_factory.mktemp("keys")) as started:
        yield Keyed(started)


def test_a_key_is_asked_for_kept_in_the_tab_and_forgotten(keyed: Keyed, opened: Callable[[str], Watched]) -> None:
    watched = opened(keyed.api.url)
    watched.expected += ["401"]
    page = watched.goto("/corpora")
    form = page.locator("#key-form")
    expect(form).to_be_visible()
    accessible(page)
    page.fill("#key-field", "btm_wrong")
    page.click("#key-form [type=submit]")
    expect(form).to_contain_text("key", timeout=PATIENCE)
    expect(page.locator("#key-help")).to_contain_text("not one of this service")
    page.fill("#key-field", keyed.token(Scope.MINE, "page"))
    page.press("#key-field", "Enter")
    expect(page.locator("#corpora")).to_contain_text("There is none yet.")
    expect(form).to_be_hidden()
    uploaded(page, "kept", "de", text_file("a.txt", *numbered_lines("Haus", 5)))
    assert page.evaluate("[localStorage.length, document.cookie, location.href]") == [0, "", f"{keyed.api.url}/corpora"]
    page.goto(f"{keyed.api.url}/jobs")
    expect(page.locator("#jobs")).to_contain_text("Make corpus kept")
    page.click("#key-open")
    page.click("#key-forget")
    expect(form).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_key_goes_to_no_other_service(keyed: Keyed, opened: Callable[[str], Watched]) -> None:
    page = opened(keyed.service.api.url).goto("/corpora")
    refused = page.evaluate(
        """async () => {
            const {address} = await import("/static/api.js");
            const tried = ["//evil.example/v1", "https://evil.example/", "/\\\\evil.example/"];
            return tried.map((path) => { try { return address(path).origin } catch (error) { return error.code } });
        }"""
    )
    assert set(refused) <= {"origin-refused", keyed.service.api.url}
    assert "origin-refused" in refused


def test_where_no_key_is_asked_for_there_is_no_word_of_it(keyed: Keyed, opened: Callable[[str], Watched]) -> None:
    page = opened(keyed.service.api.url).goto("/corpora")
    expect(page.locator("#corpora")).not_to_be_empty()
    expect(page.locator("#key-form")).to_be_hidden()
    expect(page.locator("#key-open")).to_be_hidden()
