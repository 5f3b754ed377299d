"""Files of the server become corpora over HTTP; tenants and their quotas where files are taken in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.catalog import Catalog
from tests.integration.keyed import Keyed
from tests.integration.service import Api, Service, numbered, problem, service


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("corpora")) as started:
        yield started
        assert "Traceback" not in started.api.process.log + started.worker.log


@pytest.fixture(scope="module")
def api(running: Service) -> Api:
    return running.api


@pytest.fixture(autouse=True)
def _nothing_is_left(running: Service) -> Iterator[None]:
    yield
    assert running.uploads == []


def append(api: Api, name: str, content: Any, **query: str) -> httpx.Response:
    return api.http.post(f"/v1/corpora/{name}/append", params=query, content=content)


def corpus(api: Api, name: str) -> dict[str, Any]:
    found: dict[str, Any] = api.http.get(f"/v1/corpora/{name}").raise_for_status().json()
    return found


def catalog(running: Service) -> Catalog:
    return Catalog(running.data_dir / "corpora", ArtifactStore(running.data_dir / "artifacts"))


# --- import


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shelf")
    (folder / "allowed" / "sub").mkdir(parents=True)
    (folder / "allowed" / "sub" / "news.jsonl").write_text('{"text": "Haus"}\n{"text": "Maus"}\n')
    (folder / "secret.txt").write_text("secret\n")
    (folder / "allowed" / "out").symlink_to(folder / "secret.txt")
    os.mkfifo(folder / "allowed" / "fifo")
    return folder


@pytest.fixture(scope="module")
def importing(running: Service, shelf: Path) -> Keyed:
    return Keyed(running, import_dirs=str(shelf / "allowed"))


@pytest.fixture(scope="module")
def admin(importing: Keyed) -> Api:
    return importing.holder(importing.token())


def take(api: Api, name: str, path: str) -> httpx.Response:
    return api.http.post("/v1/corpora", params={"name": name, "lang": "de", "path": path})


def test_a_file_of_the_server_becomes_a_corpus_and_stays_where_it_is(shelf: Path, admin: Api) -> None:
    accepted = take(admin, "imported", "sub/news.jsonl")
    assert set(accepted.json()["request"]) & {"root", "state", "token"} == set()
    assert admin.succeeded(accepted)["sentences"] == 2
    assert (shelf / "allowed" / "sub" / "news.jsonl").exists()
    assert corpus(admin, "imported")["source"] == "news.jsonl"
    (shelf / "allowed" / "more.txt").write_text("Laus\n")
    path = str(shelf / "allowed" / "more.txt")
    assert admin.succeeded(admin.http.post("/v1/corpora/imported/append", params={"path": path}))["sentences"] == 3


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        *((path, 403, "import-refused") for path in ("../secret.txt", "out", "/etc/passwd", "sub/../../secret.txt")),
        *((path, 422, "file-not-found") for path in ("none", "sub", "fifo", "sub/news.jsonl/x")),
        ("a\x00b", 403, "import-refused"),
        ("", 422, "invalid-request"),
        ("x" * 5000, 422, "invalid-request"),
    ],
)
def test_other_files_are_refused(admin: Api, path: str, status: int, code: str) -> None:
    refused = problem(take(admin, "refused", path), status, code)
    assert "secret\n" not in refused["detail"]


def test_only_an_admin_imports_and_only_where_it_is_allowed(importing: Keyed, api: Api) -> None:
    from bitextmine.keys import Scope

    miner = importing.holder(importing.token(Scope.MINE))
    problem(take(miner, "miner", "sub/news.jsonl"), 403, "scope-missing")
    problem(take(api, "off", "sub/news.jsonl"), 403, "imports-off")


def test_a_file_that_changes_before_it_is_read_fails_the_job(running: Service, shelf: Path, admin: Api) -> None:
    changing = shelf / "allowed" / "changing.txt"
    for name, change, code in (
        ("content", lambda: changing.write_text("other\n"), "input-changed"),
        ("link", lambda: (changing.unlink(), changing.symlink_to(shelf / "secret.txt")), "import-refused"),
    ):
        changing.unlink(missing_ok=True)
        changing.write_text("Haus\n")
        with running.worker_paused():
            accepted = take(admin, f"changing-{name}", "changing.txt")
            change()
        assert admin.failed(accepted)["code"] == code
        problem(admin.http.get(f"/v1/corpora/changing-{name}"), 404, "corpus-not-found")


# --- tenants and quotas


def test_uploads_and_versions_of_a_tenant_are_its_own(importing: Keyed) -> None:
    ours, theirs = (importing.holder(importing.token(tenant=tenant)) for tenant in ("ours", "theirs"))
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "5"}
    path = ours.http.post("/v1/uploads", headers=headers).headers["location"]
    piece = {**headers, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    for method in ("HEAD", "PATCH", "DELETE"):
        assert theirs.http.request(method, path, headers=piece, content=b"Haus\n").status_code == 404
    assert ours.http.patch(path, headers=piece, content=b"Haus\n").status_code == 204
    query = {"name": "mine", "lang": "de", "upload": path.rpartition("/")[2]}
    problem(theirs.http.post("/v1/corpora", params=query), 404, "upload-not-found")
    ours.succeeded(ours.http.post("/v1/corpora", params=query))
    for method, route in (("POST", "append"), ("GET", "statistics"), ("GET", "refused")):
        content = b"Haus\n" if method == "POST" else None
        answer = theirs.http.request(method, f"/v1/corpora/mine/{route}", content=content)
        problem(answer, 404, "corpus-not-found")
    assert list((importing.service.data_dir / "tenants" / "ours" / "uploads").iterdir()) == []


def test_a_quota_holds_over_uploads_and_appends_and_leaves_nothing(importing: Keyed) -> None:
    holder = importing.holder(importing.token(tenant="small", max_sentences=10))
    holder.succeeded(holder.upload("first", numbered("Haus", 6)))
    assert holder.failed(holder.upload("second", numbered("Wort", 5)))["code"] == "quota-exceeded"
    assert holder.failed(append(holder, "first", numbered("Wort", 5)))["code"] == "quota-exceeded"
    assert holder.succeeded(append(holder, "first", numbered("Haus", 10)))["sentences"] == 10
    store = importing.service.data_dir / "tenants" / "small" / "artifacts"
    assert len(ArtifactStore(store).list("corpus")) == 2
    for path in (importing.service.data_dir / "tenants" / "small" / "uploads").iterdir():
        path.unlink()  # kept for a retry
