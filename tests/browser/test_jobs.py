"""The page of jobs: live progress, the plan, cancel and retry, errors in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = playwright.expect

from tests.browser.conftest import Watched, accessible  # noqa: E402
from tests.browser.walking import PATIENCE, SLOW_STAGES, record_progress, told  # noqa: E402
from tests.integration.service import ENCODER, Service, service_with_corpora  # noqa: E402


@pytest.fixture(scope="module")
def running(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_with_corpora(tmp_path_factory.mktemp("jobs")) as started:
        started.worker.kill()
        started.start_worker(child_command=SLOW_STAGES)
        yield started


@pytest.fixture
def watched(running: Service, opened: Callable[[str], Watched]) -> Watched:
    return opened(running.api.url)


def test_a_job_is_planned_sent_and_followed_to_its_bitext(running: Service, watched: Watched) -> None:
    record_progress(watched.page)
    page = watched.goto("/jobs")
    page.locator("#mine-src").select_option("de")
    page.locator("#mine-tgt").select_option("en")
    page.locator("#mine-encoder").select_option(ENCODER)
    page.fill("#mine-k", "3")
    page.fill("#mine-threshold", "0.5")
    page.click("#plan-go")
    expect(page.locator("#plan")).to_contain_text("The plan: exact")
    expect(page.locator("#plan")).to_contain_text("60 sentences are to be embedded")
    accessible(page)
    page.click("#mine-go")
    page.wait_for_url("**/jobs?id=*")
    expect(page.locator("#job-title")).to_have_text("Mine de, en")
    expect(page.locator("#job-state")).to_have_text("running", timeout=PATIENCE)
    expect(page.locator("#job-state")).to_have_text("succeeded", timeout=PATIENCE)
    words = told(page)
    assert any(line.startswith("embedding the source: ") for line in words), words
    assert any(line.startswith("searching neighbours: ") for line in words), words
    stages = page.locator("#job table").first
    expect(stages).to_contain_text("embedding the target")
    expect(stages).to_contain_text("30 of 30")
    expect(page.locator("#job .plan")).to_contain_text("The plan: exact")
    accessible(page)
    job = running.api.http.get("/v1/jobs?kind=mine").json()["items"][0]
    assert job["request"]["threshold"] == 0.5
    assert job["request"]["k"] == 3
    assert page.get_by_text("Open the bitext").get_attribute("href") == f"./bitexts?id={job['result']['bitext']}"


def test_a_stream_that_breaks_goes_on_where_it_was(running: Service, watched: Watched) -> None:
    seen: list[str | None] = []
    page = watched.page
    page.on(
        "request", lambda request: request.url.endswith("/events") and seen.append(request.headers.get("last-event-id"))
    )
    with running.worker_paused():
        job = running.api.mine("en", "de", k=2).json()["id"]
        # the first answer ends after its first event, as if the connection had been lost
        cut = f"retry: 200\n\nid: 1\nevent: job\ndata: {running.api.http.get(f'/v1/jobs/{job}').text}\n\n"
        page.route("**/events", lambda route: route.fulfill(body=cut, content_type="text/event-stream"), times=1)
        watched.goto(f"/jobs?id={job}")
        expect(page.locator("#job-state")).to_have_text("queued")
    expect(page.locator("#job-state")).to_have_text("succeeded", timeout=PATIENCE)
    assert seen[:2] == [None, "1"], seen


def test_a_job_is_cancelled_and_tried_again(running: Service, watched: Watched) -> None:
    page = watched.page
    with running.worker_paused():
        job = running.api.mine("de", "en", k=7).json()["id"]
        watched.goto(f"/jobs?id={job}")
        page.click("#job-cancel")
        expect(page.locator("#job-state")).to_have_text("cancelled")
    page.click("#job-retry")
    page.wait_for_url(lambda url: "id=" in url and job not in url)
    expect(page.locator("#job-state")).to_have_text("succeeded", timeout=PATIENCE)
    assert running.api.job(page.url.partition("id=")[2])["retry_of"] == job


def test_a_failure_is_told_in_words_and_found_by_the_filters(running: Service, watched: Watched) -> None:
    api = running.api
    error = api.failed(api.upload("broken", b"\x1f\x8b cut off", "de"))
    page = watched.goto("/jobs")
    page.locator("#filter-state").select_option("failed")
    page.get_by_role("button", name="Show", exact=True).click()
    rows = page.locator("#jobs tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(error["detail"])
    rows.get_by_role("link").first.click()
    expect(page.locator("#job .problem")).to_contain_text(error["detail"])
    expect(page.locator("#job .problem")).to_contain_text(error["code"])
    page.fill("#filter-corpus", "nowhere")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("#jobs")).to_contain_text("No job is like that.")


def test_more_is_more_of_what_is_shown(running: Service, watched: Watched) -> None:
    http = running.api.http
    with running.worker_paused():
        for k in range(1, 28):
            job = running.api.mine("de", "en", k=k).json()["id"]
            http.post(f"/v1/jobs/{job}/cancel").raise_for_status()
    page = watched.goto("/jobs?")
    page.locator("#filter-state").select_option("cancelled")
    page.get_by_role("button", name="Show", exact=True).click()
    rows = page.locator("#jobs tbody tr")
    states = page.locator("#jobs .state")
    expect(states).to_have_text(["cancelled"] * 25)
    page.locator("#filter-state").select_option("succeeded")
    page.click("#more")
    expect(rows).not_to_have_count(25)
    assert set(states.all_inner_texts()) == {"cancelled"}
    total = len(http.get("/v1/jobs", params={"state": "cancelled", "limit": 1000}).json()["items"])
    expect(rows).to_have_count(total)


def test_a_scoring_job_is_named_by_its_file(running: Service, watched: Watched) -> None:
    wanted = {"src_lang": "de", "tgt_lang": "en", "encoder": ENCODER, "source": "<i>.tsv"}
    sent = running.api.http.post("/v1/scoring-jobs", params=wanted, content=b"Haus 1\thouse 1\n")
    job = running.api.ended(sent)
    page = watched.goto(f"/jobs?id={job['id']}")
    expect(page.locator("#job-title")).to_have_text("Score <i>.tsv")
