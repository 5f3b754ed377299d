"""How often: the rate of requests that a key allows."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bitextmine.errors import ParameterError

_UNITS = {"s": 1, "min": 60, "h": 3600, "day": 86_400}
_RATE = re.compile(r"([1-9][0-9]{0,4})/(s|min|h|day)")


@dataclass(frozen=True, slots=True)
class Rate:
    """`limit` requests at once, and as many every `seconds` in the long run."""

    limit: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Rate:
        """`10/s`, `100/min`, `1000/h` or `5000/day`.

        Raises:
            ParameterError: it is none of these, or more than 999,999.
        """
        if (match := _RATE.fullmatch(text.strip())) is None:
            message = (
                f"{text[:40]!r} is no rate: write 10/s, 100/min, 1000/h or 5000/day, with a whole number up to 99999"
            )
            raise ParameterError(message)
        return cls(int(match[1]), _UNITS[match[2]])

    def __str__(self) -> str:
        unit = next(name for name, seconds in _UNITS.items() if seconds == self.seconds)
        return f"{self.limit}/{unit}"
