"""The memory of the GPUs of all hosts, as their workers tell it with each heartbeat."""

from __future__ import annotations

from collections.abc import Sequence

import redis
from pydantic import TypeAdapter

from bitextmine.gpus import Gpu
from bitextmine.jobs.names import GPUS, text, unavailable_named

_LISTS = TypeAdapter(tuple[float, list[Gpu]])  # until when it holds, by the server's clock; and what


class GpuReports:
    """What is told holds for a time; then its host is not heard of any more. For the workers and the API.

    Both methods raise StoreUnavailableError when Redis is gone.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    @unavailable_named()
    def tell(self, host: str, gpus: Sequence[Gpu], seconds: float) -> None:
        """Tell the state of a host's GPUs, for so long from now; of several workers there the last word counts."""
        self._client.hset(GPUS, host, _LISTS.dump_json((self._time() + seconds, list(gpus))))

    @unavailable_named()
    def read(self) -> dict[str, list[Gpu]]:
        """The GPUs of each host that has told of them lately."""
        now = self._time()
        told = {text(host): _LISTS.validate_json(value) for host, value in self._client.hgetall(GPUS).items()}
        if silent := [host for host, (until, _) in told.items() if until < now]:
            self._client.hdel(GPUS, *silent)
        return {host: gpus for host, (until, gpus) in sorted(told.items()) if until >= now}

    def _time(self) -> float:
        seconds, microseconds = self._client.time()
        return float(seconds) + float(microseconds) / 1e6
