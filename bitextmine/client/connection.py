"""The two ways to carry out a flow: waiting in the calling thread, or in an event loop. Nothing else differs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, closing
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import httpx

from bitextmine.client.steps import Body, Call, Do, Emit, Emitting, Flow, Open, Opened, Read, Repeats, Send, Sleep, Step

Result = TypeVar("Result")
Item = TypeVar("Item")
_CAUGHT = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError)  # a flow may know what to do about them


class _Ended(Exception):  # noqa: N818 - it is none
    """Ends a flow's loop, with its result."""

    def __init__(self, result: Any) -> None:
        self.result = result


class _Course:
    """A flow on its way: what it wants next, and what it is told of the last."""

    def __init__(self, flow: Flow[Any] | Emitting[Any]) -> None:
        self._flow = flow
        self._answer: Any = None
        self._error: Exception | None = None

    def next(self) -> Step | Emit[Any]:
        answer, error = self._answer, self._error
        self._answer = self._error = None
        try:
            return self._flow.send(answer) if error is None else self._flow.throw(error)
        except StopIteration as end:
            raise _Ended(end.value) from None

    def answer(self, answer: Any) -> None:
        self._answer = answer

    def fail(self, error: Exception) -> None:
        self._error = error


class Blocking:
    """Carries out flows in the calling thread."""

    def __init__(self, http: httpx.Client, repeats: int) -> None:
        self.http, self._repeats = http, repeats

    def run(self, flow: Flow[Result]) -> Result:
        """The flow's result."""
        with closing(flow), ExitStack() as opened:
            course = _Course(flow)
            try:
                while True:
                    self._do(course, course.next(), opened)
            except _Ended as end:
                result: Result = end.result
                return result

    def iterate(self, flow: Emitting[Item]) -> Iterator[Item]:
        """What the flow emits, as it is asked for."""
        with closing(flow), ExitStack() as opened:
            course = _Course(flow)
            try:
                while True:
                    step = course.next()
                    if isinstance(step, Emit):
                        yield step.item
                    else:
                        self._do(course, step, opened)
            except _Ended:
                return

    def _do(self, course: _Course, step: Step | Emit[Any], opened: ExitStack) -> None:
        try:
            course.answer(self._done(step, opened))
        except _CAUGHT as error:
            course.fail(error)

    def _done(self, step: Step | Emit[Any], opened: ExitStack) -> Any:
        match step:
            case Send(call):
                return self.http.send(self._request(call))
            case Open(call):
                response = self.http.send(self._request(call), stream=True)
                opened.callback(response.close)
                return Opened(response, response.iter_bytes())
            case Read(response):
                return next(response.blocks, None)
            case Sleep(seconds):
                return time.sleep(seconds)
            case Repeats():
                return self._repeats
            case Do(function):
                return function()

    def _request(self, call: Call) -> httpx.Request:
        content = call.body.blocks() if isinstance(call.body, Body) else call.body
        return _request(self.http, call, content)


class InLoop:
    """Carries out flows in asyncio's event loop; what waits for a disk does so in a thread."""

    def __init__(self, http: httpx.AsyncClient, repeats: int) -> None:
        self.http, self._repeats = http, repeats

    async def run(self, flow: Flow[Result]) -> Result:
        """The flow's result."""
        with closing(flow):
            async with AsyncExitStack() as opened:
                course = _Course(flow)
                try:
                    while True:
                        await self._do(course, course.next(), opened)
                except _Ended as end:
                    result: Result = end.result
                    return result

    async def iterate(self, flow: Emitting[Item]) -> AsyncIterator[Item]:
        """What the flow emits, as it is asked for."""
        with closing(flow):
            async with AsyncExitStack() as opened:
                course = _Course(flow)
                try:
                    while True:
                        step = course.next()
                        if isinstance(step, Emit):
                            yield step.item
                        else:
                            await self._do(course, step, opened)
                except _Ended:
                    return

    async def _do(self, course: _Course, step: Step | Emit[Any], opened: AsyncExitStack) -> None:
        try:
            course.answer(await self._done(step, opened))
        except _CAUGHT as error:
            course.fail(error)

    async def _done(self, step: Step | Emit[Any], opened: AsyncExitStack) -> Any:
        match step:
            case Send(call):
                return await self.http.send(self._request(call))
            case Open(call):
                response = await self.http.send(self._request(call), stream=True)
                opened.push_async_callback(response.aclose)
                return Opened(response, response.aiter_bytes())
            case Read(response):
                return await anext(response.blocks, None)
            case Sleep(seconds):
                return await anyio.sleep(seconds)
            case Repeats():
                return self._repeats
            case Do(function):
                return await anyio.to_thread.run_sync(function)

    def _request(self, call: Call) -> httpx.Request:
        content = _from_thread(call.body.blocks()) if isinstance(call.body, Body) else call.body
        return _request(self.http, call, content)


async def _from_thread(blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (block := await anyio.to_thread.run_sync(next, blocks, None)) is not None:
        yield block


def _request(http: httpx.Client | httpx.AsyncClient, call: Call, content: Any) -> httpx.Request:
    headers = dict(call.headers)
    if isinstance(call.body, Body):
        headers.setdefault("Content-Type", "application/octet-stream")
        if call.body.size is not None:
            headers["Content-Length"] = str(call.body.size)
    query = {name: value for name, value in call.query.items() if value is not None}
    usual = http.timeout
    silence = usual.read if call.read_timeout is None else call.read_timeout
    timeout = httpx.Timeout(connect=usual.connect, read=silence, write=usual.write, pool=usual.pool)
    return http.build_request(
        call.method,
        call.path,
        params=query or None,
        json=call.json,
        content=content,
        headers=headers,
        timeout=timeout,
    )
