"""`/metrics`: what is counted, what bounds its labels, and what happens when Redis is gone."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from bitextmine.gpus import Gpu
from bitextmine.jobs import totals
from bitextmine.jobs.gpu_reports import GpuReports
from bitextmine.jobs.queue import connect
from bitextmine.jobs.record import JobError, JobKind, JobProgress, JobState
from bitextmine.jobs.store import JobStore
from bitextmine.jobs.totals import Count, Total
from tests.integration.conftest import WorkerProcess
from tests.integration.service import ENCODER, Api, Service, numbered, service
from tests.integration.waiting import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("metrics")) as started:
        yield started
        assert "Traceback" not in started.api.process.log + started.worker.log


@pytest.fixture
def api(running: Service) -> Api:
    return running.api


def samples(api: Api) -> dict[str, float]:
    """Every sample by its name and labels, as it is written."""
    answer = api.http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = list(text_string_to_metric_families(answer.text))
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "no family comes twice"
    return {
        sample.name + json.dumps(dict(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def requests(api: Api, route: str, method: str, status: int) -> float:
    labels = {"method": method, "route": route, "status": str(status)}
    return samples(api).get(f"bitextmine_http_requests_total{json.dumps(labels)}", 0.0)


def test_requests_are_counted_by_route_method_and_status(api: Api) -> None:
    before = requests(api, "/v1/jobs/{job_id}", "GET", 404)
    for job_id in ("0" * 22, "1" * 22):
        assert api.http.get(f"/v1/jobs/{job_id}").status_code == 404
    assert requests(api, "/v1/jobs/{job_id}", "GET", 404) == before + 2
    found = samples(api)
    labels = json.dumps({"method": "GET", "route": "/v1/jobs/{job_id}"})
    assert found[f"bitextmine_http_request_seconds_count{labels}"] >= 2
    assert found["bitextmine_http_requests_in_flight{}"] == 1, "this one"


def test_what_clients_make_up_is_no_label(api: Api) -> None:
    api.http.get("/metrics")
    before = set(samples(api))
    for number in range(20):
        assert api.http.get(f"/made/up/{number}").status_code == 404
        assert api.http.request(f"BREW{number}", "/livez").status_code == 405
        assert api.http.post(f"/v1/jobs/{number}/cancel", headers={"X-Request-ID": str(number)}).status_code == 404
    new = {name for name in set(samples(api)) - before if "_bucket" not in name and "_created" not in name}
    assert len(new) <= 12
    assert not [name for name in new if "made" in name or "BREW" in name]
    assert requests(api, "unmatched", "GET", 404) >= 20
    assert requests(api, "/livez", "other", 405) >= 20


def test_a_request_that_is_refused_early_has_its_route(api: Api) -> None:
    before = requests(api, "/v1/embeddings", "POST", 413)
    assert api.http.post("/v1/embeddings", content=b"x" * (2 << 20)).status_code == 413
    assert requests(api, "/v1/embeddings", "POST", 413) == before + 1


def test_sentences_that_are_embedded_are_counted(api: Api) -> None:
    def state() -> tuple[float, float, float]:
        found, label = samples(api), json.dumps({"encoder": ENCODER})
        return (
            found[f"bitextmine_embedding_batch_sentences_sum{label}"],
            found[f"bitextmine_truncated_sentences_total{label}"],
            found[f"bitextmine_embedding_tokens_total{label}"],
        )

    sentences, truncated, tokens = state()  # the encoder was tried at the start
    answer = api.http.post("/v1/embeddings", json={"model": ENCODER, "input": ["a", "word " * 500, "b"]}).json()
    assert answer["truncated"] == 1
    assert state() == (sentences + 3, truncated + 1, tokens + answer["usage"]["total_tokens"])
    found, label = samples(api), json.dumps({"encoder": ENCODER})
    assert found[f"bitextmine_embedding_queue_requests{label}"] == 0
    assert found[f"bitextmine_embedding_queue_tokens{label}"] == 0
    assert found["bitextmine_search_queries{}"] == 0


def test_jobs_are_counted_and_any_api_tells(running: Service, api: Api) -> None:
    api.succeeded(api.upload("one", numbered("Haus", 20), "de"))
    api.succeeded(api.upload("two", numbered("house", 20), "en"))
    api.succeeded(api.mine("one", "two"))
    api.failed(api.upload("bad", b"\xff\xfe\x00", "de"))
    with running.worker_paused():
        api.upload("three", numbered("maison", 20), "fr")
        found = samples(api)
        assert found['bitextmine_jobs_unfinished{"kind": "ingest", "state": "queued"}'] == 1
        assert found["bitextmine_oldest_queued_job_seconds{}"] > 0
    wait_until(
        lambda: samples(api)['bitextmine_jobs_finished_total{"kind": "ingest", "state": "succeeded"}'] == 3, "all done"
    )
    for other in (api, running.start_api()):
        found = samples(other)
        assert found['bitextmine_jobs_finished_total{"kind": "ingest", "state": "failed"}'] == 1
        assert found['bitextmine_jobs_finished_total{"kind": "mine", "state": "succeeded"}'] == 1
        assert found['bitextmine_job_attempts_total{"kind": "ingest"}'] == 4
        assert found['bitextmine_jobs_unfinished{"kind": "ingest", "state": "queued"}'] == 0
        assert found["bitextmine_oldest_queued_job_seconds{}"] == 0
        assert found["bitextmine_workers{}"] == 1
        stages = [name for name in found if name.startswith('bitextmine_job_stage_seconds_total{"kind": "mine"')]
        assert any('"search"' in name for name in stages)
        assert any("embed" in name for name in stages)


def test_every_metric_is_documented_and_every_documented_one_is_there(running: Service, api: Api) -> None:
    with connect(running.valkey.url) as client:  # what needs a GPU, and a job that has crashed
        GpuReports(client).tell("host-1", [Gpu(0, "H200", 1 << 30, 139 << 30)], 60.0)
        store = JobStore(client)
        record = store.create(JobKind.SCORE, {})
        store.start(record.id, "w")
        store.finish(record.id, JobState.FAILED, error=JobError(code="job-crashed", detail="killed"))
    text = api.http.get("/metrics").text
    there = {name for name in re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE) if not name.endswith("_created")}
    section = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").partition("\n## Metrics\n")[2]
    rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    documented = {row.split("`")[1]: row for row in rows}
    ours = {name for name in there if not name.startswith("process_")}
    assert ours == documented.keys()
    assert 'bitextmine_gpu_memory_used_bytes{gpu="0",host="host-1"} 1.073741824e+09' in text
    assert "process_resident_memory_bytes" in there
    for name, row in documented.items():
        labels = set(re.findall(r"(\w+)=\"", "".join(re.findall(rf"^{name}\w*{{(.*)}}", text, re.MULTILINE))))
        said = set(re.findall(r"`(\w+)`", row.split("|")[2]))
        assert labels - {"le"} == said, name


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_without_redis_the_rest_is_still_told(tmp_path_factory: pytest.TempPathFactory, how: signal.Signals) -> None:
    """Killed, it refuses; stopped, it answers nothing at all."""
    with service(tmp_path_factory.mktemp("gone")) as own:
        assert samples(own.api)["bitextmine_store_up{}"] == 1
        own.valkey.send(how)
        wait_until(lambda: samples(own.api)["bitextmine_store_up{}"] == 0, "Redis is missed")
        found = samples(own.api)
        assert "bitextmine_workers{}" not in found
        assert found["bitextmine_disk_free_bytes{}"] > 0
        assert own.api.http.get("/readyz").status_code == 503
        assert own.api.http.get("/livez").status_code == 200
        own.valkey.send(signal.SIGCONT if how is signal.SIGSTOP else signal.SIGKILL)


def test_totals_count_each_thing_once(client: redis.Redis, store: JobStore) -> None:
    record = store.create(JobKind.MINE, {})
    store.start(record.id, "a")
    store.put_back(record.id)  # a worker that shut down: no crash
    store.start(record.id, "a")
    store.start(record.id, "b")  # the process of the second attempt has died
    store.progress(record.id, JobProgress(stage="encode", done=1), ())
    store.request_cancel(record.id)
    store.finish(record.id, JobState.CANCELLED)
    assert totals.read(client) == [
        Count(Total.ATTEMPTS, JobKind.MINE, "", 3.0),
        Count(Total.CRASHES, JobKind.MINE, "", 1.0),
        Count(Total.FINISHED, JobKind.MINE, "cancelled", 1.0),
    ]
    store.delete(record.id)
    assert len(totals.read(client)) == 3, "what is forgotten was all the same"


def test_a_job_that_crashes_for_good_counts_its_last_crash(client: redis.Redis, store: JobStore) -> None:
    record = store.create(JobKind.INGEST, {})
    store.start(record.id, "a")
    store.start(record.id, "a")
    store.finish(record.id, JobState.FAILED, error=JobError(code="job-crashed", detail="twice"))
    assert Count(Total.CRASHES, JobKind.INGEST, "", 2.0) in totals.read(client)


def test_hosts_that_are_silent_have_no_gpus(client: redis.Redis) -> None:
    reports = GpuReports(client)
    reports.tell("a", [Gpu(0, "H200", 1, 2)], 60.0)
    reports.tell("b", [Gpu(0, "H200", 1, 2)], -1.0)
    assert reports.read() == {"a": [Gpu(0, "H200", 1, 2)]}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("echo '0, NVIDIA H200, 512, 143771'", [Gpu(0, "NVIDIA H200", 512 << 20, 143771 << 20)]),
        ("echo 'no devices were found'; exit 6", None),
    ],
)
def test_workers_tell_what_the_driver_says(
    answer: str,
    expected: list[Gpu] | None,
    client: redis.Redis,
    redis_url: str,
    tmp_path: Path,
    start_worker: Callable[..., WorkerProcess],
) -> None:
    """With a program in the driver's place that answers as it does."""
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{answer}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    worker = start_worker(redis_url, PATH=f"{tmp_path}:{os.environ['PATH']}")
    reports = GpuReports(client)
    if expected:
        wait_until(lambda: reports.read() == {socket.gethostname(): expected}, "the worker has told")
    else:
        wait_until(JobStore(client).leases.workers, "the worker lives all the same")
        assert reports.read() == {}
    assert worker.stop() == 0
