"""A client of Server-Sent Events for tests: what a stream says, part by part."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Event:
    name: str
    number: int
    content: Any


class Events:
    """The events of one open stream, as they come; comments are collected on the way."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.comments: list[str] = []
        self.retry: int | None = None
        self._parts = self._read()

    def __iter__(self) -> Iterator[Event]:
        return (part for part in self._parts if isinstance(part, Event))

    def next(self, name: str) -> Event:
        """The next event of this name; those of others in between are skipped."""
        for event in self:
            if event.name == name:
                return event
        raise AssertionError(f"the stream has ended without another {name!r}")

    def until_comment(self, text: str) -> None:
        """Go on to a comment with this text."""
        for part in self._parts:
            if isinstance(part, str) and text in part:
                return
        raise AssertionError(f"the stream has ended without a comment {text!r}")

    def _read(self) -> Iterator[Event | str]:
        fields: dict[str, str] = {}
        for line in self.response.iter_lines():
            if line.startswith(":"):
                self.comments.append(line[1:].strip())
                yield self.comments[-1]
            elif line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "event" in fields:
                yield Event(fields["event"], int(fields["id"]), json.loads(fields["data"]))
                fields = {}
            elif "retry" in fields:
                self.retry = int(fields.pop("retry"))


@contextmanager
def events(http: httpx.Client, job_id: str, last: int | None = None, timeout: float = 40) -> Iterator[Events]:
    headers = {"Last-Event-ID": str(last)} if last is not None else {}
    with http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers, timeout=timeout) as response:
        assert response.status_code == 200, response.read()
        yield Events(response)
