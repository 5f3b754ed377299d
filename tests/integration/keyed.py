"""A service that asks for keys, and holders of keys."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import httpx

from bitextmine.keys import Grant, KeyStore, Scope
from tests.integration.service import Api, Service


class Keyed:
    """An API of the service that asks for keys, beside its own that does not."""

    def __init__(self, running: Service, **settings: str) -> None:
        self.service = running
        self.store = KeyStore(running.data_dir / "keys")
        self.api = running.start_api(auth="on", **settings)
        self._stack = running.stack

    def token(self, scope: Scope = Scope.ADMIN, tenant: str = "default", **limits: Any) -> str:
        return str(self.store.create(Grant(name="test", scope=scope, tenant=tenant, **limits)))

    def holder(self, token: str) -> Holder:
        return self._stack.enter_context(closing(Holder(self.api, token)))


class Holder(Api):
    """A client with a key, on an API that is there already."""

    def __init__(self, api: Api, token: str) -> None:
        self.process, self.url, self.token = api.process, api.url, token
        self.http = httpx.Client(base_url=api.url, timeout=60, headers={"Authorization": f"Bearer {token}"})

    def close(self) -> None:
        self.http.close()
