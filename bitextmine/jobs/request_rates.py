"""Rates of requests, held across all processes that share a Redis, and by each of them alone while it is gone.

The generic cell rate algorithm (ITU-T I.371, annex A): a request is taken if the moment at which all that was taken
would have been due at the steady rate (the theoretical arrival time) is no more than a window ahead. One number a key.
Half an interval more is allowed, so that what rounding adds to a window full of intervals refuses none of them.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import cast

import redis

from bitextmine.jobs.names import requests_key

_MICROSECONDS = 1_000_000
_MOST_LOCAL = 4096
_PAUSE_SECONDS = 5.0  # for which a Redis that did not answer is not asked again
# The server's clock, one for all. tostring would write 14 digits, which is not enough.
_TAKE = """
local now = redis.call('time')
local t = now[1] * 1000000 + now[2]
local due = math.max(tonumber(redis.call('get', KEYS[1]) or t), t)
local interval, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local over = due + interval / 2 - window - t
if over > 0 then return {math.ceil(over), math.ceil(due - t)} end
due = due + interval
redis.call('set', KEYS[1], string.format('%.2f', due), 'px', math.ceil((due - t) / 1000))
return {0, math.ceil(due - t)}
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a request: `retry_seconds` is 0 where it was taken; `remaining` ones would be taken now;
    `full_seconds` from now as many as the limit would be.
    """

    retry_seconds: int
    remaining: int
    full_seconds: int

    @property
    def ok(self) -> bool:
        return self.retry_seconds == 0


class RateLimiter:
    """Counts requests by name. For any number of threads."""

    def __init__(self, client: redis.Redis) -> None:
        self._script = client.register_script(_TAKE)
        self._local = LocalRates()
        self._asked_again_at = 0.0

    def take(self, name: str, limit: int, seconds: float) -> Taken:
        """Count a request if no more than `limit` at once, and as many every `seconds`, come under this name.

        Waits for Redis; where that does not answer, this process counts by itself.
        """
        if time.monotonic() >= self._asked_again_at:
            try:
                interval, window = _microseconds(limit, seconds)
                over, ahead = cast(list[int], self._script(keys=[requests_key(name)], args=[interval, window]))
            except redis.RedisError:
                self._asked_again_at = time.monotonic() + _PAUSE_SECONDS
            else:
                return _taken(over, ahead, interval, window)
        return self._local.take(name, limit, seconds, time.monotonic())


class LocalRates:
    """The same, counted in this process."""

    def __init__(self) -> None:
        self._due: OrderedDict[str, float] = OrderedDict()  # microseconds
        self._lock = Lock()

    def take(self, name: str, limit: int, seconds: float, now: float) -> Taken:
        """`now` in seconds, on a clock that does not go back."""
        interval, window = _microseconds(limit, seconds)
        moment = now * _MICROSECONDS
        with self._lock:
            due = max(self._due.get(name, moment), moment)
            over = due + interval / 2 - window - moment
            if over > 0:
                return _taken(over, due - moment, interval, window)
            self._due[name] = due + interval
            self._due.move_to_end(name)
            while len(self._due) > _MOST_LOCAL:
                self._due.popitem(last=False)
        return _taken(0, due + interval - moment, interval, window)


def _microseconds(limit: int, seconds: float) -> tuple[float, float]:
    """From one request to the next at the steady rate, and of the whole window."""
    return seconds * _MICROSECONDS / limit, seconds * _MICROSECONDS


def _taken(over: float, ahead: float, interval: float, window: float) -> Taken:
    """
    Args:
        over: microseconds until a request would be taken; 0 for one that was.
        ahead: microseconds that the theoretical arrival time is ahead.
    """
    room = math.floor((window - ahead) / interval + 0.5)
    return Taken(math.ceil(over / _MICROSECONDS), max(room, 0), math.ceil(ahead / _MICROSECONDS))
