"""What the service needs goes away or runs out: it says so, loses nothing, and goes on when it is back."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.service import Service, numbered, problem, service, text_of
from tests.integration.waiting import wait_until

DISK_BYTES = 8 << 20


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("outages")) as started:
        accepted = [
            started.api.upload("de", numbered("Haus", 9), "de"),
            started.api.upload("en", numbered("house", 9), "en"),
        ]
        for answer in accepted:
            started.api.succeeded(answer)
        yield started


def test_a_full_queue_is_429(running: Service) -> None:
    api = running.start_api(max_unfinished_jobs="2")
    with running.worker_paused():
        accepted = [api.upload(f"queued-{n}", text_of("Satz")) for n in range(2)]
        assert "2 jobs are waiting" in problem(api.upload("more", text_of("Satz")), 429, "too-many-jobs")["detail"]
        problem(api.mine("de", "en"), 429, "too-many-jobs")
        api.http.post(accepted[1].json()["links"]["cancel"]).raise_for_status()
        accepted[1] = api.upload("more", text_of("Satz"))
    for answer in accepted:
        api.succeeded(answer)
    assert running.uploads == []


def test_without_redis_work_is_refused_fast_and_reading_goes_on(running: Service) -> None:
    api = running.api
    done = api.ended(api.mine("de", "en"))
    with running.worker_paused():
        waiting = api.mine("de", "en", k=2)
        running.valkey.kill()
    try:
        for ask in (
            lambda: api.upload("later", numbered("Haus", 9)),
            lambda: api.mine("de", "en"),
            lambda: api.http.get("/v1/jobs"),
            lambda: api.http.get(f"/v1/jobs/{done['id']}"),
            lambda: api.http.post(f"/v1/jobs/{done['id']}/cancel"),
            lambda: api.http.delete("/v1/corpora/de"),
        ):
            started = time.monotonic()
            problem(ask(), 503, "store-unavailable")
            assert time.monotonic() - started < 5
        assert running.uploads == []
        for path in (
            "/v1/corpora",
            "/v1/corpora/de",
            "/v1/bitexts",
            "/v1/encoders",
            f"{done['links']['bitext']}/pairs",
        ):
            assert api.http.get(path).status_code == 200
    finally:
        running.valkey.start()
    assert api.ended(waiting)["state"] == "succeeded"
    assert api.job(done["id"]) == done
    api.succeeded(api.upload("later", numbered("Haus", 9)))


def test_redis_that_goes_while_an_upload_arrives(running: Service) -> None:
    """The upload is refused when it is complete, and its file is not left behind."""

    def content() -> Iterator[bytes]:
        yield numbered("Haus", 50_000)
        wait_until(lambda: running.uploads, "the upload begins")
        running.valkey.kill()
        yield text_of("Ende")

    try:
        problem(running.api.upload("unlucky", content()), 503, "store-unavailable")
        assert running.uploads == []
    finally:
        running.valkey.start()
    running.api.succeeded(running.api.upload("unlucky", text_of("Satz")))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of a few megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", disk]
    mounted = subprocess.run(command, check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a file system")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_is_507_and_the_service_lives_on(small_disk: Path, tmp_path: Path) -> None:
    with service(tmp_path, small_disk / "data") as running:
        api = running.api
        refused = problem(api.upload("large", os.urandom(2 * DISK_BYTES)), 507, "disk-full")
        assert "nothing was published" in refused["detail"]
        assert running.uploads == []
        half = "\n".join(os.urandom(32).hex() for _ in range(DISK_BYTES * 6 // 10 // 65)).encode()
        assert api.failed(api.upload("half", half))["code"] == "disk-full"
        assert len(running.uploads) == 1, "kept for another try"
        problem(api.http.get("/v1/corpora/half"), 404, "corpus-not-found")
        api.succeeded(api.upload("small", numbered("Haus", 9)))
