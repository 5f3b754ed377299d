"""Every route of the API, as its description has them, with something in place of each path parameter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from bitextmine.keys import Scope
from bitextmine_service.app import create_app
from bitextmine_service.context import declared_scope
from bitextmine_service.settings import ServiceSettings

APP = create_app(ServiceSettings(redis_url="redis://127.0.0.1:6379"))
_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    scope: Scope | None  # that it asks for

    @property
    def parameters(self) -> list[str]:
        return _PARAMETER.findall(self.path)

    def at(self, values: Mapping[str, str]) -> str:
        """The path with these values, as they stand."""
        return _PARAMETER.sub(lambda match: values[match[1]], self.path)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def _api_routes(routes: Iterable[BaseRoute]) -> Iterator[APIRoute]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        else:  # newer FastAPIs keep an included router as it is
            yield from _api_routes(getattr(getattr(route, "original_router", None), "routes", ()))


ROUTES = [
    Route(method, route.path, declared_scope(route))
    for route in _api_routes(APP.routes)
    for method in sorted(route.methods)
]
