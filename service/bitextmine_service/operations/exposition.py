"""The answer of `/metrics`: what this process counts, and what the job store and the disk tell at the moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bitextmine.jobs.record import JobKind, JobState
from bitextmine.jobs.totals import Total
from bitextmine_service.operations.looks import Disk, StoreView
from bitextmine_service.operations.metrics import Metrics

_UNFINISHED = (JobState.QUEUED, JobState.RUNNING)


class Told(Collector):
    """Metrics made of looks; what could not be looked at is left out."""

    def __init__(self, store: StoreView | None, disk: Disk | None) -> None:
        self._store, self._disk = store, disk

    def collect(self) -> Iterator[Metric]:
        up = "Whether Redis answered; 0 means that what it knows is left out here."
        yield GaugeMetricFamily("bitextmine_store_up", up, value=int(self._store is not None))
        if self._disk is not None:
            free, total = "Free bytes of the data directory's disk.", "Its size."
            yield GaugeMetricFamily("bitextmine_disk_free_bytes", free, value=self._disk.free)
            yield GaugeMetricFamily("bitextmine_disk_size_bytes", total, value=self._disk.total)
        if self._store is not None:
            yield from _of_store(self._store)


def exposition(metrics: Metrics, told: Told) -> bytes:
    """Everything in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(told)
    return generate_latest(metrics.registry) + generate_latest(registry)


def _of_store(view: StoreView) -> Iterator[Metric]:
    unfinished = GaugeMetricFamily(
        "bitextmine_jobs_unfinished", "Jobs that wait or run, of all tenants.", labels=["kind", "state"]
    )
    for kind in JobKind:
        for state in _UNFINISHED:
            unfinished.add_metric([kind, state], view.jobs.get((kind, state), 0))
    yield unfinished
    age = "How long the oldest job that waits has waited; 0 where none does."
    yield GaugeMetricFamily("bitextmine_oldest_queued_job_seconds", age, value=view.oldest_queued)
    yield GaugeMetricFamily("bitextmine_workers", "Workers that were heard of lately.", value=view.workers)
    yield from _totals(view)
    yield from _gpus(view)


def _totals(view: StoreView) -> Iterable[Metric]:
    families = {
        Total.FINISHED: CounterMetricFamily(
            "bitextmine_jobs_finished", "Jobs that have ended, by how.", labels=["kind", "state"]
        ),
        Total.STAGE_SECONDS: CounterMetricFamily(
            "bitextmine_job_stage_seconds", "Wall time of the stages of jobs that have ended.", labels=["kind", "stage"]
        ),
        Total.ATTEMPTS: CounterMetricFamily("bitextmine_job_attempts", "Processes started for jobs.", labels=["kind"]),
        Total.CRASHES: CounterMetricFamily(
            "bitextmine_job_crashes", "Processes of jobs that died, alone or with their worker.", labels=["kind"]
        ),
    }
    for count in view.totals:
        labels = [str(count.kind), count.label] if count.label else [str(count.kind)]
        families[count.total].add_metric(labels, count.value)
    return families.values()


def _gpus(view: StoreView) -> Iterable[Metric]:
    used = GaugeMetricFamily(
        "bitextmine_gpu_memory_used_bytes", "Memory of the workers' GPUs in use.", labels=["host", "gpu"]
    )
    total = GaugeMetricFamily("bitextmine_gpu_memory_size_bytes", "All of it.", labels=["host", "gpu"])
    for host, gpus in view.gpus.items():
        for gpu in gpus:
            used.add_metric([host, str(gpu.index)], gpu.used_bytes)
            total.add_metric([host, str(gpu.index)], gpu.total_bytes)
    return used, total
