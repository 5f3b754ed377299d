"""How often, how much and how long: rates, quotas, and what ends with a key. Secrets are told to nobody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bitextmine.keys import Rate, Scope, Token
from tests.integration.keyed import Holder, Keyed
from tests.integration.raw_http import connected
from tests.integration.service import numbered, problem, service
from tests.integration.waiting import wait_until


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    with service(tmp_path_factory.mktemp("limits")) as started:
        yield Keyed(started)
        assert "Traceback" not in started.api.process.log


def test_a_rate_holds_across_apis(keyed: Keyed) -> None:
    token = keyed.token(rate=Rate(3, 3600))
    second = keyed.service.start_api(auth="on")
    with closing(Holder(second, token)) as other:
        apis = [keyed.holder(token), other]
        answers = [apis[number % 2].http.get("/v1/corpora") for number in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429] * 3
    assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == ["r=2", "r=1", "r=0", *["r=0"] * 3]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"key";q=3;w=3600'}
    refused = problem(answers[-1], 429, "rate-limited")
    assert "3/h" in refused["detail"]
    assert 1 < int(answers[-1].headers["retry-after"]) <= 1200
    assert keyed.holder(keyed.token(rate=Rate(3, 3600))).http.get("/v1/corpora").status_code == 200, "another key's"
    assert keyed.api.http.get("/livez").status_code == 200


def test_a_rate_lets_requests_in_again(keyed: Keyed) -> None:
    holder = keyed.holder(keyed.token(rate=Rate(1, 1)))
    assert holder.http.get("/v1/corpora").status_code == 200
    wait_until(lambda: holder.http.get("/v1/corpora").status_code == 429, "the rate is reached")
    wait_until(lambda: holder.http.get("/v1/corpora").status_code == 200, "there is room again")


def test_jobs_at_once_are_bounded_by_the_key(keyed: Keyed) -> None:
    holder = keyed.holder(keyed.token(Scope.MINE, tenant="jobs", max_jobs=2))
    with keyed.service.worker_paused():
        sent = [holder.upload(f"c{number}", numbered("Haus", 5)) for number in range(3)]
        assert [answer.status_code for answer in sent] == [202, 202, 429]
        problem(sent[-1], 429, "too-many-jobs")
        unlimited = keyed.holder(keyed.token(Scope.MINE, tenant="jobs")).upload("c9", numbered("Haus", 5))
    for accepted in (*sent[:2], unlimited):
        holder.succeeded(accepted)
    holder.succeeded(holder.upload("c3", numbered("Haus", 5)))
    none = keyed.holder(keyed.token(Scope.MINE, tenant="none", max_jobs=0))
    problem(none.upload("c0", numbered("Haus", 5)), 429, "too-many-jobs")


def test_sentences_stored_are_bounded_by_the_key(keyed: Keyed) -> None:
    holder = keyed.holder(keyed.token(Scope.MINE, tenant="stored", max_sentences=10))
    with keyed.service.worker_paused():  # two that each fit, and do not fit together
        sent = [holder.upload(name, numbered(name, 6)) for name in ("one", "two")]
    ended = [holder.ended(accepted) for accepted in sent]
    assert sorted(job["state"] for job in ended) == ["failed", "succeeded"]
    (failed,) = [job for job in ended if job["state"] == "failed"]
    assert failed["error"]["code"] == "quota-exceeded"
    assert [corpus["sentences"] for corpus in holder.http.get("/v1/corpora").json()["items"]] == [6]
    holder.succeeded(holder.upload("more", numbered("more", 4)))
    for full in (holder.upload("x", numbered("x", 1)), holder.http.post("/v1/corpora/more/append", content=b"Haus")):
        assert "10 sentences are stored, and 10 may be" in problem(full, 403, "quota-exceeded")["detail"]
    assert holder.http.delete("/v1/corpora/more").status_code == 204
    holder.succeeded(holder.upload("x", numbered("x", 4)))
    keyed.holder(keyed.token(Scope.MINE, tenant="stored")).upload("unbounded", numbered("y", 30))


def test_a_stream_of_events_ends_with_its_key(keyed: Keyed) -> None:
    token = keyed.token(Scope.MINE, tenant="streams")
    holder = keyed.holder(token)
    with keyed.service.worker_paused():
        job = holder.upload("watched", numbered("Haus", 5)).json()
        with holder.http.stream("GET", f"/v1/jobs/{job['id']}/events", timeout=120) as stream:
            assert stream.status_code == 200
            parts = stream.iter_raw()
            assert next(parts)
            keyed.store.revoke(token.split("_")[1])
            for _ in parts:  # comments that keep it alive, and then no more
                pass
        problem(holder.http.get(f"/v1/jobs/{job['id']}"), 401, "key-invalid")
    assert "Traceback" not in keyed.api.process.log


def test_secrets_are_in_no_log_and_no_answer(keyed: Keyed) -> None:
    stack = keyed.service.stack
    api = keyed.service.start_api(auth="on", log_level="DEBUG")
    good, bad = keyed.token(), str(Token.new("0" * 12))
    for token in (good, bad):
        secret = token.split("_")[2]
        holder = stack.enter_context(closing(Holder(api, token)))
        answers = [
            holder.http.get("/v1/corpora"),
            holder.http.get(f"/v1/corpora/{token}"),
            holder.http.get("/v1/plan", params={"key": token, "src": token}),
            holder.http.post("/v1/mining-jobs", json={"src": token}),
            api.http.get("/v1/corpora", headers={"Authorization": f"Basic {token}"}),
            api.http.get("/v1/corpora", params={"api_key": token}),
            api.http.get("/livez", headers={"X-Api-Key": token, "Cookie": token, "Referer": f"http://x/{token}"}),
        ]
        with connected(api.url) as connection:
            connection.send(f"GET /livez\0 HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
            connection.answer()
        assert secret not in api.process.log
        assert all(secret not in str(answer.headers) for answer in answers)
        for answer in answers[0], answers[4], answers[5], answers[6]:
            assert secret not in answer.text
    assert keyed.service.data_dir.is_dir()
    assert good.split("_")[1] in api.process.log, "whose request it was is in the log"


def test_without_redis_keys_still_open_and_rates_still_hold(tmp_path: Path) -> None:
    with service(tmp_path) as started:
        keyed = Keyed(started)
        free, limited = keyed.holder(keyed.token()), keyed.holder(keyed.token(rate=Rate(2, 3600)))
        started.valkey.kill()
        assert free.http.get("/v1/corpora").status_code == 200
        assert [limited.http.get("/v1/corpora").status_code for _ in range(4)] == [200, 200, 429, 429]
        problem(keyed.api.http.get("/v1/corpora"), 401, "key-missing")
        started.valkey.start()
        wait_until(lambda: free.http.get("/v1/jobs").status_code == 200, "Redis is back")
