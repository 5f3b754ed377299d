"""What watches an application, put together: made once, kept in `app.state.operations`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import redis
from fastapi import FastAPI

from bitextmine.encoders.opened import OpenEncoders
from bitextmine_service.operations.access import Access
from bitextmine_service.operations.looks import EncoderTrial, look_at_disk, look_at_store
from bitextmine_service.operations.metrics import Metrics, Queues
from bitextmine_service.operations.readiness import Watches
from bitextmine_service.operations.watch import Watch
from bitextmine_service.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class Operations:
    metrics: Metrics
    watches: Watches


def set_up(
    app: FastAPI, settings: ServiceSettings, client: redis.Redis, encoders: OpenEncoders, metrics: Metrics
) -> Operations:
    """Watch what the application needs, and every request to it; `draining` and `service` must be in `app.state`."""
    trial = EncoderTrial(encoders, settings.encoders_dir, settings.ready_encoder)
    watches = Watches(
        store=Watch(partial(look_at_store, client), late="Redis has not answered yet"),
        disk=Watch(partial(look_at_disk, settings.data_dir), late="the disk has not answered yet"),
        encoder=Watch(trial, late="loading"),
    )
    metrics.registry.register(Queues(encoders, lambda: app.state.service.searches.admitted))
    inner = app.build_middleware_stack
    app.build_middleware_stack = lambda: Access(inner(), app.routes, metrics, app.state)  # type: ignore[method-assign]
    operations = app.state.operations = Operations(metrics, watches)
    return operations
