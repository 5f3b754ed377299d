"""The rate of requests against what is said of it, written out: a bucket that leaks."""

from __future__ import annotations

import math
from fractions import Fraction

import redis
from hypothesis import given
from hypothesis import strategies as st

from bitextmine.jobs.request_rates import LocalRates, RateLimiter

LIMITS = st.integers(1, 12)
PERIODS = st.sampled_from([1, 60, 3600])


class Bucket:
    """Holds `limit` requests, and leaks as many every `seconds`, without a break; in exact numbers."""

    def __init__(self, limit: int, seconds: int) -> None:
        self.limit, self.rate = limit, Fraction(limit, seconds)
        self.level, self.at = Fraction(0), Fraction(0)

    def take(self, now: Fraction) -> bool:
        self.level = max(self.level - (now - self.at) * self.rate, Fraction(0))
        self.at = now
        fits = self.level + 1 <= self.limit + Fraction(1, 2)  # half a request of tolerance
        self.level += fits
        return fits


@given(LIMITS, PERIODS, st.lists(st.integers(0, 3000), max_size=60))
def test_requests_are_taken_as_a_leaking_bucket_takes_them(limit: int, seconds: int, gaps: list[int]) -> None:
    rates, bucket, now = LocalRates(), Bucket(limit, seconds), Fraction(1000)
    for gap in gaps:
        now += Fraction(gap * 7919, 10_007)  # milliseconds of no round number: never on the edge
        moment = now * Fraction(seconds, 1000)
        taken = rates.take("key", limit, seconds, float(moment))
        assert taken.ok == bucket.take(moment)
        assert taken.remaining == max(math.floor(limit - bucket.level + Fraction(1, 2)), 0)
        assert (taken.retry_seconds > 0) == (not taken.ok)


@given(st.integers(1, 99_999), st.sampled_from([1, 60, 3600, 86_400]))
def test_as_many_as_the_limit_are_taken_at_once_and_no_more(limit: int, seconds: int) -> None:
    limit = min(limit, 3000)
    rates = LocalRates()
    at_once = [rates.take("key", limit, seconds, 5e5) for _ in range(limit + 2)]
    assert [taken.ok for taken in at_once] == [True] * limit + [False] * 2
    assert [taken.remaining for taken in at_once] == [*range(limit - 1, -1, -1), 0, 0]
    wait = at_once[-1].retry_seconds
    assert 1 <= wait <= math.ceil(seconds / limit)
    assert rates.take("key", limit, seconds, 5e5 + wait).ok
    assert rates.take("another", limit, seconds, 5e5).remaining == limit - 1


def test_without_redis_this_process_counts() -> None:
    limiter = RateLimiter(redis.Redis(host="127.0.0.1", port=1))
    assert [limiter.take("key", 2, 3600).ok for _ in range(3)] == [True, True, False]
