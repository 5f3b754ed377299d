"""What is counted in this process: requests, and the sentences embedded. docs/operations.md lists every metric."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from bitextmine import __version__
from bitextmine.encoders.opened import OpenEncoders
from bitextmine.encoders.pool import Batch

UNMATCHED = "unmatched"  # the route of all requests that match none
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0)
_SENTENCES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """The counters of one application, in a registry of its own. Safe for threads; no label takes what clients send."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        add: dict[str, Any] = {"registry": self.registry}
        answered = "Requests answered, by route template, method and status."
        self._requests = Counter("bitextmine_http_requests", answered, ["route", "method", "status"], **add)
        took = "From a request's first byte to its answer's last."
        self._seconds = Histogram("bitextmine_http_request_seconds", took, ["route", "method"], buckets=_SECONDS, **add)
        self.in_flight = Gauge("bitextmine_http_requests_in_flight", "Requests that are being answered.", **add)
        together = "Sentences of the batches that requests were embedded in."
        self._batches = Histogram(
            "bitextmine_embedding_batch_sentences", together, ["encoder"], buckets=_SENTENCES, **add
        )
        read = "Tokens that encoders read for requests."
        self._tokens = Counter("bitextmine_embedding_tokens", read, ["encoder"], **add)
        cut = "Sentences of requests that were cut at what their encoder reads."
        self._truncated = Counter("bitextmine_truncated_sentences", cut, ["encoder"], **add)
        build = Gauge("bitextmine_build_info", "Always 1; the label says what runs.", ["version"], **add)
        build.labels(__version__).set(1)
        ProcessCollector(**add)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answer.

        Args:
            route: a template, as `/v1/jobs/{job_id}`, or UNMATCHED.
        """
        known = method if method in METHODS else "other"
        self._requests.labels(route, known, str(status)).inc()
        self._seconds.labels(route, known).observe(seconds)

    def batch(self, batch: Batch) -> None:
        """Count a batch that was encoded."""
        self._batches.labels(batch.encoder).observe(batch.sentences)
        self._tokens.labels(batch.encoder).inc(batch.tokens)
        self._truncated.labels(batch.encoder).inc(batch.truncated)


class Queues(Collector):
    """What waits for each encoder that is open, and for the search, at the moment it is asked."""

    def __init__(self, encoders: OpenEncoders, queries: Callable[[], int]) -> None:
        """
        Args:
            queries: tells how many queries of searches are being answered.
        """
        self._encoders, self._queries = encoders, queries

    def collect(self) -> Iterable[GaugeMetricFamily]:
        requests = GaugeMetricFamily(
            "bitextmine_embedding_queue_requests", "Requests that wait for an encoder.", labels=["encoder"]
        )
        tokens = GaugeMetricFamily(
            "bitextmine_embedding_queue_tokens",
            "Estimated tokens that wait for an encoder or are being encoded.",
            labels=["encoder"],
        )
        for name, (waiting, estimated) in self._encoders.queues().items():
            requests.add_metric([name], waiting)
            tokens.add_metric([name], estimated)
        queries = "Queries of searches that are embedded, wait or are searched."
        return requests, tokens, GaugeMetricFamily("bitextmine_search_queries", queries, value=self._queries())
