"""Two tenants on one service: to each, what the other has is not there. Over every route of the API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from bitextmine.keys import Scope
from tests.integration.keyed import Holder, Keyed
from tests.integration.routes import ROUTES, Route
from tests.integration.service import ENCODER, numbered, problem, service
from tests.integration.waiting import wait_until

DE, EN = "korpus-de", "korpus-en"
NOWHERE = {"name": "nowhere", "job_id": "0" * 22, "bitext_id": "0" * 32, "upload_id": "0" * 32}
TUS = {"Tus-Resumable": "1.0.0"}


@dataclass(frozen=True)
class Tenant:
    """Two corpora, indexed, a bitext of them, an upload that has begun, and the jobs that made them."""

    holder: Holder
    place: Path
    upload: str
    bitext: str
    jobs: tuple[str, ...]

    @property
    def named(self) -> dict[str, str]:
        """What stands for each path parameter."""
        return {"name": DE, "job_id": self.jobs[-1], "bitext_id": self.bitext, "upload_id": self.upload}

    def seen(self) -> dict[str, Any]:
        """All that the API shows of it."""
        http = self.holder.http
        lists = (
            "/v1/corpora",
            "/v1/jobs",
            "/v1/bitexts",
            f"/v1/corpora/{DE}/indexes",
            f"/v1/bitexts/{self.bitext}/pairs",
        )
        upload = http.head(f"/v1/uploads/{self.upload}", headers=TUS)
        return {path: http.get(path).raise_for_status().json() for path in lists} | {
            "offset": upload.headers["upload-offset"],
            "download": http.get(f"/v1/bitexts/{self.bitext}/download").raise_for_status().text,
        }


def settle(keyed: Keyed, name: str, word: str) -> Tenant:
    holder = keyed.holder(keyed.token(Scope.MINE, name))
    for corpus, text in ((DE, f"Haus{word}"), (EN, f"house{word}")):
        holder.succeeded(holder.upload(corpus, numbered(text, 20), corpus[-2:]))
        holder.succeeded(holder.http.post(f"/v1/corpora/{corpus}/indexes", json={"encoder": ENCODER}))
    bitext = holder.succeeded(holder.mine(DE, EN))["bitext"]
    begun = holder.http.post("/v1/uploads", headers={**TUS, "Upload-Length": "100"})
    assert begun.status_code == 201, begun.text
    upload = begun.headers["location"].rpartition("/")[2]
    jobs = tuple(job["id"] for job in holder.http.get("/v1/jobs").json()["items"])
    return Tenant(holder, keyed.service.data_dir / "tenants" / name, upload, bitext, jobs)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    with service(tmp_path_factory.mktemp("tenants")) as started:
        yield Keyed(started)
        assert "Traceback" not in started.api.process.log + started.worker.log


@pytest.fixture(scope="module")
def ours(keyed: Keyed) -> Tenant:
    return settle(keyed, "ours", "")


@pytest.fixture(scope="module")
def theirs(keyed: Keyed) -> Holder:
    """Another tenant's key, with the scope that allows most."""
    return keyed.holder(keyed.token(Scope.ADMIN, "theirs"))


NAMING = [route for route in ROUTES if route.parameters and "/models/" not in route.path]  # models are encoders


def send(http: httpx.Client, route: Route, values: dict[str, str]) -> httpx.Response:
    """The route with a request that would do something if what it names were there."""
    headers: dict[str, str] = {}
    content: dict[str, Any] = {}
    if "/uploads" in route.path:
        headers = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        content = {"content": b"x"} if route.method == "PATCH" else {}
    elif route.path.endswith("/indexes") and route.method == "POST":
        content = {"json": {"encoder": ENCODER}}
    elif route.path.endswith("/judgements") and route.method == "PUT":
        content = {"json": {"judgements": [{"src_row": 0, "tgt_row": 0, "verdict": "good"}]}}
    elif route.path.endswith("/append"):
        content = {"content": b"Haus\n"}
    return http.request(route.method, route.at(values), headers=headers, **content)


@pytest.mark.parametrize("route", NAMING, ids=str)
def test_what_one_tenant_has_is_to_another_what_never_was(ours: Tenant, theirs: Holder, route: Route) -> None:
    before = ours.seen()
    answers = []
    for values in (ours.named, NOWHERE):
        answer = send(theirs.http, route, values)
        assert answer.status_code == 404, (values, answer.text)
        shown = answer.text
        for name in route.parameters:
            shown = shown.replace(values[name], "...")
        headers = {name for name in answer.headers if name != "x-request-id"}
        answers.append((shown, headers, answer.headers["content-type"]))
    assert answers[0] == answers[1], "the answers differ, so one can guess"
    assert ours.seen() == before


PAGES = ["/v1/corpora", "/v1/jobs", "/v1/bitexts"]
HARMLESS = {  # the same for all, whoever has what
    "GET /docs", "GET /livez", "GET /readyz", "GET /metrics", "GET /v1/encoders", "GET /v1/models",
    "POST /v1/embeddings", "POST /v1/word-alignments", "OPTIONS /v1/uploads",
}  # fmt: skip
MAKES_ITS_OWN = {"POST /v1/corpora", "POST /v1/uploads"}
LISTS = {f"GET {path}" for path in PAGES}
CORPORA_IN_BODIES: dict[str, dict[str, Any]] = {
    "POST /v1/mining-jobs": {"json": {"src": "korpus-de", "tgt": "korpus-en", "encoder": ENCODER}},
    "POST /v1/matrix-jobs": {"json": {"corpora": ["korpus-de", "korpus-en"], "encoder": ENCODER}},
    "POST /v1/search": {"json": {"texts": ["Haus 1"], "corpora": ["korpus-en"], "encoder": ENCODER, "lang": "de"}},
    "POST /v1/score": {
        "json": {
            "src_lang": "de", "tgt_lang": "en", "pairs": [{"src": "Haus 1", "tgt": "house 1"}],
            "src_background": "korpus-de", "tgt_background": "korpus-en", "encoder": ENCODER,
        }
    },
    "POST /v1/scoring-jobs": {
        "params": {
            "src_lang": "de", "tgt_lang": "en", "format": "tsv",
            "src_background": "korpus-de", "tgt_background": "korpus-en",
            "encoder": ENCODER,
        },
        "content": b"Haus 1\thouse 1\n",
    },
    "GET /v1/plan": {"params": {"src": "korpus-de", "tgt": "korpus-en", "encoder": ENCODER}},
}  # fmt: skip


def test_every_route_has_a_test_here() -> None:
    known = HARMLESS | MAKES_ITS_OWN | LISTS | set(CORPORA_IN_BODIES)
    assert {str(route) for route in ROUTES if not route.parameters} == known
    assert {name for route in ROUTES for name in route.parameters} == set(NOWHERE)


@pytest.mark.parametrize("name", CORPORA_IN_BODIES)
def test_corpora_of_others_cannot_be_named_in_requests(ours: Tenant, theirs: Holder, name: str) -> None:
    method, path = name.split()
    assert ours.holder.http.request(method, path, **CORPORA_IN_BODIES[name]).status_code in (200, 202)
    refused = problem(theirs.http.request(method, path, **CORPORA_IN_BODIES[name]), 404, "corpus-not-found")
    elsewhere = json.loads(json.dumps(refused).replace(DE, "x").replace(EN, "x"))
    assert elsewhere["detail"] == "there is no corpus 'x'"


@pytest.mark.parametrize("path", PAGES)
def test_lists_have_what_is_ones_own(ours: Tenant, theirs: Holder, path: str) -> None:
    assert ours.holder.http.get(path).json()["items"]
    empty = theirs.http.get(path).json()
    assert empty["items"] == []
    assert empty["next_cursor"] is None
    page = ours.holder.http.get(path, params={"limit": 1}).json()
    following = theirs.http.get(path, params={"cursor": page["next_cursor"]}) if page["next_cursor"] else None
    assert following is None or following.json().get("items", []) == []


def test_two_keys_of_a_tenant_see_the_same(keyed: Keyed, ours: Tenant) -> None:
    other = keyed.holder(keyed.token(Scope.READ, "ours"))
    for path in PAGES:
        mine, theirs = (holder.http.get(path).json()["items"] for holder in (ours.holder, other))
        names = [[item.get("id", item.get("name")) for item in items] for items in (mine, theirs)]
        assert names[0] == names[1] != []  # a job that waits or runs may have got further in between


def test_the_default_tenant_is_one_of_many(keyed: Keyed, ours: Tenant) -> None:
    default = keyed.holder(keyed.token(Scope.ADMIN))
    keyless = keyed.service.api
    for path in PAGES:
        assert default.http.get(path).json()["items"] == keyless.http.get(path).json()["items"] == []
    problem(default.http.get(f"/v1/corpora/{DE}"), 404, "corpus-not-found")
    keyless.succeeded(keyless.upload("mine", numbered("Haus", 5)))
    assert [corpus["name"] for corpus in default.http.get("/v1/corpora").json()["items"]] == ["mine"]
    problem(ours.holder.http.get("/v1/corpora/mine"), 404, "corpus-not-found")


def files(place: Path) -> dict[str, tuple[int, int]]:
    """Every file below a directory, with what would show that it was touched."""
    found = (path for path in place.rglob("*") if path.is_file())
    return {str(path.relative_to(place)): (path.stat().st_ino, path.stat().st_nlink) for path in found}


def at_rest(tenant: Tenant) -> bool:
    """No job waits or runs, and of the uploads only what nobody has finished is left."""
    jobs = tenant.holder.http.get("/v1/jobs").json()["items"]
    kept = {path.name.partition(".")[0] for path in (tenant.place / "uploads").iterdir()}
    return {job["state"] for job in jobs} <= {"succeeded", "failed", "cancelled"} and kept <= {tenant.upload}


def test_the_same_names_and_texts_share_nothing(keyed: Keyed, ours: Tenant) -> None:
    wait_until(lambda: at_rest(ours), "what other tests began is over")
    before, seen = files(ours.place), ours.seen()
    twin = settle(keyed, "twins", "")
    assert twin.bitext == ours.bitext, "made of the same, it has the same name"
    made = files(twin.place)
    kinds = {Path(name).parts[1] for name in made if name.startswith("artifacts")}
    assert {"corpus", "embeddings", "bitext"} <= kinds
    assert not {inode for inode, _ in made.values()} & {inode for inode, _ in before.values()}, "a file is shared"
    ingest = twin.holder.job(twin.jobs[-1])
    assert ingest["attempts"] == 1
    embedded = [twin.holder.job(job)["stage_seconds"] for job in twin.jobs]
    assert any("embed" in stage for stages in embedded for stage in stages), "nothing was taken from elsewhere"
    assert files(ours.place).keys() == before.keys()
    assert twin.holder.http.delete(f"/v1/bitexts/{twin.bitext}").status_code == 204
    for name in (DE, EN):
        assert twin.holder.http.delete(f"/v1/corpora/{name}").status_code == 204
    for job in twin.jobs:
        assert twin.holder.http.delete(f"/v1/jobs/{job}").status_code == 204
    assert twin.holder.http.get("/v1/corpora").json()["items"] == []
    assert ours.seen() == seen
    assert files(ours.place) == before


def test_the_same_idempotency_key_makes_a_job_for_each(keyed: Keyed, ours: Tenant) -> None:
    twin = settle(keyed, "again", "")
    wanted = {"src": "korpus-de", "tgt": "korpus-en", "encoder": ENCODER, "threshold": 1.01}
    headers = {"Idempotency-Key": "one-and-the-same"}
    made = [each.holder.http.post("/v1/mining-jobs", json=wanted, headers=headers) for each in (ours, twin, ours)]
    ids = [answer.json()["id"] for answer in made]
    assert ids[0] == ids[2] != ids[1]
    problem(ours.holder.http.get(f"/v1/jobs/{ids[1]}"), 404, "job-not-found")
    for each, job in ((ours, ids[0]), (twin, ids[1])):
        wait_until(lambda each=each, job=job: each.holder.job(job)["state"] == "succeeded", "it is done")


def test_a_search_finds_what_is_ones_own(keyed: Keyed, ours: Tenant) -> None:
    """Also where two tenants' corpora have the same name and content, and one of them changes."""
    other = settle(keyed, "other", "boat")
    wanted = CORPORA_IN_BODIES["POST /v1/search"]
    for each, word in ((ours, "house"), (other, "houseboat")):
        found = each.holder.http.post("/v1/search", **wanted).raise_for_status().text
        assert f"{word} " in found
    assert "houseboat" not in ours.holder.http.post("/v1/search", **wanted).text


def test_secrets_of_a_tenant_are_no_part_of_what_others_are_told(keyed: Keyed, ours: Tenant, theirs: Holder) -> None:
    with keyed.service.worker_paused():
        job = ours.holder.mine(DE, EN, k=2)
        accepted = job.json()["id"]
        texts = [
            theirs.http.get(path).text for path in (*PAGES, "/readyz", "/v1/encoders", f"/v1/jobs/{accepted[:-1]}0")
        ]
        texts.append(theirs.http.delete(f"/v1/corpora/{DE}").text)
    ours.holder.succeeded(job)
    for told in (ours.bitext, ours.upload, accepted, *ours.jobs):
        assert not any(told in text for text in texts)
    problem(theirs.mine(DE, EN), 404, "corpus-not-found")
