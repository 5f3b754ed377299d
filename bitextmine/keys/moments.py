"""Moments and spans of time as people write them: 90d, 12h, 2027-01-01."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from bitextmine.errors import ParameterError

_SPAN = re.compile(r"([0-9]{1,5})(s|min|h|d)")
_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}


def parse_span(text: str) -> timedelta:
    """`30s`, `15min`, `12h` or `90d`.

    Raises:
        ParameterError: it is none of these, or 0.
    """
    match = _SPAN.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise ParameterError(f"{text[:40]!r} is no span of time: write 15min, 12h or 90d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def parse_moment(text: str, now: datetime) -> datetime:
    """A span counted from `now`, or a date or time in ISO 8601's form (UTC unless it says otherwise), in UTC.

    Raises:
        ParameterError: it is neither, or not after `now`.
    """
    try:
        moment = now + parse_span(text) if _SPAN.fullmatch(text.strip()) else datetime.fromisoformat(text.strip())
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = f"{text[:40]!r} is no time that can be: write 90d, 12h, 2027-01-01 or 2027-01-01T12:00"
        raise ParameterError(message) from error
    if moment <= now:
        raise ParameterError(f"{text[:40]!r} is over already; a date means its first moment in UTC")
    return moment
