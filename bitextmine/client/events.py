"""Server-sent events: bytes in, events out (HTML Living Standard, section 9.2.6)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE_END = re.compile(b"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Event:
    """`id` is that of the last event that had one: where to go on after a reconnection."""

    name: str
    content: str
    id: str


class EventParser:
    """Fed with a stream's bytes as they come, whatever they are cut into."""

    def __init__(self) -> None:
        self.retry_seconds: float | None = None  # what the stream asks to wait before a reconnection
        self._waiting = b""
        self._lines: list[str] = []
        self._name, self._id = "message", ""

    def feed(self, block: bytes) -> Iterator[Event]:
        """The events that the bytes so far complete."""
        waiting = self._waiting + block
        # A carriage return at the end may be half of a line's end.
        whole = len(waiting) - 1 if waiting.endswith(b"\r") else len(waiting)
        start = 0
        for end in _LINE_END.finditer(waiting, 0, whole):
            line = waiting[start : end.start()].decode("utf-8", "replace")
            start = end.end()
            if line:
                self._take(line)
            elif (event := self._dispatched()) is not None:
                yield event
        self._waiting = waiting[start:]

    def _take(self, line: str) -> None:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "data":
                self._lines.append(value)
            case "event":
                self._name = value
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry_seconds = int(value) / 1000

    def _dispatched(self) -> Event | None:
        lines, name = self._lines, self._name
        self._lines, self._name = [], "message"
        return Event(name, "\n".join(lines), self._id) if lines else None
