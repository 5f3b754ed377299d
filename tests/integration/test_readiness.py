"""`/readyz` and `/livez`: what is really tried, and that nothing that hangs holds them up."""

from __future__ import annotations

import asyncio
import shutil
import signal
import threading
from pathlib import Path

import httpx
import pytest

from bitextmine.errors import BitextmineError
from bitextmine_service.app import create_app
from bitextmine_service.operations.watch import Watch
from bitextmine_service.settings import ServiceSettings
from tests.integration.service import service
from tests.integration.waiting import wait_until
from tests.tiny_encoder import build_tiny_encoder


def checks(answer: httpx.Response) -> dict[str, str]:
    """The details by name, those of what fails marked."""
    return {
        check["name"]: ("" if check["ok"] else "not ready: ") + check["detail"] for check in answer.json()["checks"]
    }


def test_the_encoder_is_loaded_before_anybody_asks_for_it(tmp_path: Path) -> None:
    with service(tmp_path) as running:
        assert checks(running.api.http.get("/readyz"))["encoders"] == "tiny on CPUExecutionProvider"
        found = {each["name"]: each for each in running.api.http.get("/v1/encoders").json()["items"]}
        assert found["tiny"]["provider"] == "CPUExecutionProvider"


def test_an_encoder_that_was_damaged_or_replaced_is_tried_again(tmp_path: Path) -> None:
    with service(tmp_path) as running:
        place = tmp_path / "encoders" / "tiny"
        (place / "model.onnx").rename(tmp_path / "kept")
        (place / "encoder.json").touch()
        wait_until(
            lambda: "model.onnx" in checks(running.api.http.get("/readyz"))["encoders"], "the damage is found out"
        )
        assert checks(running.api.http.get("/readyz"))["encoders"].startswith("not ready: ")
        (tmp_path / "kept").rename(place / "model.onnx")
        wait_until(lambda: running.api.http.get("/readyz").status_code == 200, "it works again")
        shutil.rmtree(place)
        wait_until(
            lambda: checks(running.api.http.get("/readyz"))["encoders"].startswith("not ready: no encoder"), "gone"
        )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ready_encoder": "e5-small"}, "not ready: the encoder e5-small is not installed"),
        ({"provider": "cuda"}, "not ready: CUDA was asked for and cannot be used"),
        ({"provider": "cuda", "allow_cpu_fallback": "true"}, "tiny on CPUExecutionProvider"),
    ],
)
def test_what_cannot_be_loaded_is_not_ready(tmp_path: Path, settings: dict[str, str], said: str) -> None:
    with service(tmp_path) as running:
        other = running.start_api(**settings)
        wait_until(
            lambda: checks(other.http.get("/readyz"))["encoders"] != "not ready: loading", "the encoder was tried"
        )
        assert checks(other.http.get("/readyz"))["encoders"].startswith(said)


def test_a_redis_that_hangs_holds_up_no_probe(tmp_path: Path) -> None:
    with service(tmp_path) as running:
        running.valkey.send(signal.SIGSTOP)
        try:
            wait_until(lambda: running.api.http.get("/readyz", timeout=5).status_code == 503, "it is missed")
            missing = checks(running.api.http.get("/readyz", timeout=5))
            assert missing["redis"].startswith("not ready: ")
            assert missing["disk"].endswith("free")
            stuck = [threading.Thread(target=_jobs, args=(running.api.url,)) for _ in range(60)]
            for thread in stuck:
                thread.start()
            assert running.api.http.get("/readyz", timeout=5).status_code == 503, "with all other threads waiting too"
            assert running.api.http.get("/metrics", timeout=5).status_code == 200
        finally:
            running.valkey.send(signal.SIGCONT)
        for thread in stuck:
            thread.join()
        wait_until(lambda: running.api.http.get("/readyz").status_code == 200, "it is back")


def _jobs(url: str) -> None:
    httpx.get(f"{url}/v1/jobs", timeout=60)


def test_while_the_encoder_is_loaded_the_answer_is_no(tmp_path: Path) -> None:
    """With the trial held up by a lock, as a large model or a slow disk would."""
    build_tiny_encoder(tmp_path / "tiny")
    app = create_app(
        ServiceSettings(redis_url="redis://127.0.0.1:1", encoders_dir=tmp_path, data_dir=tmp_path, min_free_bytes=0)
    )

    async def probe() -> tuple[str, str]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            with app.state.service.encoders._lock:
                loading = checks(await client.get("/readyz"))["encoders"]
            while (now := checks(await client.get("/readyz"))["encoders"]) == "not ready: loading":
                await asyncio.sleep(0.01)
            return loading, now

    assert asyncio.run(probe()) == ("not ready: loading", "tiny on CPUExecutionProvider")
    app.state.service.encoders.close()


def test_one_look_serves_all_who_ask_and_an_old_one_those_who_cannot_wait() -> None:
    begun, go = [], threading.Event()
    answers = iter([1, 2, 3])

    def look() -> int:
        begun.append(threading.current_thread())
        go.wait(30)
        return next(answers)

    async def ask() -> None:
        watch = Watch(look, late="late", patience=0.01)
        with pytest.raises(BitextmineError, match="late"):
            await watch.seen()
        waiting = [asyncio.ensure_future(_patiently(watch)) for _ in range(10)]
        await asyncio.sleep(0)  # they have asked
        go.set()
        assert await asyncio.gather(*waiting) == [1] * 10
        assert len(begun) == 1
        go.clear()
        assert await watch.seen() == 1, "the look before"
        go.set()
        while await watch.seen() == 1:
            pass

    asyncio.run(ask())


async def _patiently(watch: Watch[int]) -> int:
    return await asyncio.wrap_future(watch.begin())


def test_what_a_look_raises_is_raised_for_all_and_not_kept() -> None:
    outcomes = iter([OSError("stale file handle"), 5])

    def look() -> int:
        outcome = next(outcomes)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    async def ask() -> None:
        watch = Watch(look, late="late")
        with pytest.raises(OSError, match="stale"):
            await watch.seen()
        while True:
            try:
                assert await watch.seen() == 5
            except OSError:
                continue
            break

    asyncio.run(ask())
