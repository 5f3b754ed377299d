"""What the client's operations are made of: flows, which say what is to be done and leave the doing to a connection.

A flow is a generator. It yields steps, is sent what became of each (or is thrown what went wrong with it), and returns
its result. It never touches the network itself, so that one flow serves the synchronous and the asynchronous client.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeAlias, TypeVar

import httpx

Result = TypeVar("Result")
Item = TypeVar("Item")
Query: TypeAlias = Mapping[str, str | int | float | bool | Sequence[str] | None]


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body that is not in memory: `read(start, size)` gives so many bytes of it, each time anew."""

    read: Callable[[int, int | None], Iterator[bytes]]
    size: int | None = None  # bytes, where known
    start: int = 0
    repeatable: bool = True  # a pipe is not

    def blocks(self) -> Iterator[bytes]:
        return self.read(self.start, self.size)

    def part(self, start: int, size: int) -> Body:
        return replace(self, start=self.start + start, size=size)


@dataclass(frozen=True, slots=True)
class Call:
    """An HTTP request. `repeatable`: whether it may be sent again when nobody knows what became of it."""

    method: str
    path: str
    query: Query = field(default_factory=dict)  # what is None is left out
    json: Any = None
    body: Body | bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    repeatable: bool = True
    read_timeout: float | None = None  # seconds of silence, where the connection's own will not do


@dataclass(frozen=True, slots=True)
class Opened:
    """A response whose body is still to come; it is closed when the flow ends at the latest."""

    response: httpx.Response
    blocks: Any  # an iterator of bytes, or an asynchronous one


@dataclass(frozen=True, slots=True)
class Send:
    """Answered with an httpx.Response that has been read."""

    call: Call


@dataclass(frozen=True, slots=True)
class Open:
    """Answered with Opened."""

    call: Call


@dataclass(frozen=True, slots=True)
class Read:
    """Answered with the next bytes of an opened response, or None at its end."""

    opened: Opened


@dataclass(frozen=True, slots=True)
class Sleep:
    seconds: float


@dataclass(frozen=True, slots=True)
class Repeats:
    """Answered with how often a request may be sent again."""


@dataclass(frozen=True, slots=True)
class Do:
    """Answered with what the function returns; it may wait for a disk."""

    function: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Emit(Generic[Item]):
    """Hand an item to whoever iterates over the flow."""

    item: Item


Step: TypeAlias = Send | Open | Read | Sleep | Repeats | Do
Flow: TypeAlias = Generator[Step, Any, Result]
Emitting: TypeAlias = Generator[Step | Emit[Item], Any, None]
