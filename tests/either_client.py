"""Both clients for one test: what is asked of the one is asked of the other, and answered alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import anyio

from bitextmine.client import AsyncClient, Client

Ask = Callable[[Any], Any]
MODES = ("sync", "asyncio")


def asked(mode: str, url: str, ask: Ask, **options: Any) -> Any:
    """What a client answers to `ask(client)`; a list is gone through to its end."""
    if mode == "sync":
        with Client(url, **options) as client:
            found = ask(client)
            return list(found) if isinstance(found, Iterator) else found

    async def main() -> Any:
        async with AsyncClient(url, **options) as client:
            found = ask(client)
            if isinstance(found, AsyncIterator):
                return [item async for item in found]
            assert isinstance(found, Awaitable)
            return await found

    return anyio.run(main, backend=mode)
