"""Numbers and dates that stand on one side and not on the other."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bitextmine.filters.pair_filter import Bounded, PairBatch

# Every part begins where none before it can have begun, and gives nothing back: a line of digits takes linear time.
_SAID = re.compile(
    r"""
    (?=\d) (?:
    (?P<date> (?<!\d)(?<!\d[./-]) (?: \d{1,2}(?P<a>[./-])\d{1,2}(?P=a)\d{4} | \d{4}(?P<b>[./-])\d{1,2}(?P=b)\d{1,2} )
              (?!\d)(?![./-]\d) )
  | (?P<time> (?<!\d) \d{1,2} (?: [:：]\d{2}(?!\d) | \.\d{2}(?=\s?(?:Uhr|[ap]\.?\s?m)\b) ) )
  | (?P<decade> \b\d{3,}+(?<=0)(?=['’]?s\b|['’]?ern?e?\b|-(?:х|е|ті|тих|talet|tallet|årene)\b)
              | (?<!\d)\d{3,}+(?<=[0０])(?=\s*+(?:年代|년대)) )
  | (?P<loose> \b\d0(?=['’]?s\b|['’]?ern?e?\b|-(?:х|е|ті|тих|talet|tallet|årene)\b)      # 90s
             | (?<!\d)\d++(?=\s*+(?:年代|년대|世[纪紀]|세기)) )                                  # 20世纪
  | (?P<number> (?<!\d[.,’'٫٬\u00a0\u202f]) (?:
                  \d{1,2}(?:,\d{2}(?!\d))++,\d{3}(?!\d)                                      # 12,00,000
                | \d{1,3}(?P<by>[.,’'٬\u00a0\u202f])\d{3}(?!\d)(?:(?P=by)\d{3}(?!\d))*+
                  (?!(?P=by)\d)(?:[.,٫]\d++)?+ )                                              # 1,200,000.5
              | \d++(?:\.\d++){2,}+                                                          # versions, sections
              | (?<!\d[.,’'٫٬\u00a0\u202f])\d++[.,٫]\d++(?![.,’'٫٬]\d)                       # 3,5
              | \d++ ) )
    """,
    re.VERBOSE,
)
_SPACED = re.compile(r"(?<!\d)(?<!\d )\d{1,3}(?: \d{3}(?!\d))++")  # 1 200 000, or numbers that stand side by side
_WHOLE = ("date", "time", "decade")  # compared as they are where both sides have as many of them
_OFTEN_IN_WORDS = 12  # up to here the other side may have the number in words, and months by name
_NEVER_IN_WORDS = 3  # significant digits of a number that is missing if the other side has none at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers(Bounded):
    """Drops pairs whose numbers, years and dates disagree.

    The score is the share of numbers that both sides have, of all that either has (Jaccard); 1 where there are none.
    Numbers are compared by their digits without zeros at either end, in whatever script, so that 1,200,000, 1.2 million
    and 120万 agree. Dates in digits are one number in any order, or three (day, month, year) where the other side has
    not as many; a time is one of 12 hours. Many are written otherwise on the other side: those up to 12, times and
    decades where it has not as many, centuries, and those of one or two digits beside zeros where it has no digits for
    any. Such count only if they agree.
    """

    name: ClassVar[str] = "numbers"
    least: float = 0.5

    def fitted(self, batches: Iterable[PairBatch]) -> Numbers:
        return self

    def score(self, pairs: PairBatch) -> NDArray[np.float64]:
        return np.array([_agreement(src, tgt) for src, tgt in zip(pairs.src, pairs.tgt, strict=True)], np.float64)

    def reason(self, score: float) -> str:
        return f"the numbers disagree: {score:.0%} of them are on both sides"


@dataclass(frozen=True, slots=True)
class _Number:
    """A number, date or time of a text: its kind, a group of _SAID, and its runs of digits, as ASCII."""

    kind: str
    runs: tuple[str, ...]


@dataclass(slots=True)
class _Side:
    """`asked` has each number's key, and whether the other side must have it; `given` the keys that it may ask for."""

    asked: dict[str, bool]
    given: set[str]


def _agreement(src: str, tgt: str) -> float:
    """Of both readings of digits with spaces between them, on either side, that which agrees better."""
    return max(_share(one, other) for one, other in product(_readings(src), _readings(tgt)))


def _readings(text: str) -> Iterator[list[_Number]]:
    yield _numbers(text)
    joined = _SPACED.sub(lambda found: found[0].replace(" ", "\u202f"), text)
    if joined != text:
        yield _numbers(joined)


def _numbers(text: str) -> list[_Number]:
    found = []
    for match in _SAID.finditer(text):
        digits = (str(unicodedata.digit(mark)) if mark.isdecimal() else " " for mark in match[0])
        found.append(_Number(str(match.lastgroup), tuple("".join(digits).split())))
    return found


def _share(src: list[_Number], tgt: list[_Number]) -> float:
    counts = [Counter(number.kind for number in numbers) for numbers in (src, tgt)]
    whole = {kind for kind in _WHOLE if counts[0][kind] == counts[1][kind]}
    one, other = _side(src, whole), _side(tgt, whole)
    both = one.asked.keys() & other.asked.keys()
    missing = _missing(one, other) | _missing(other, one)
    return len(both) / len(both | missing) if both or missing else 1.0


def _missing(here: _Side, there: _Side) -> set[str]:
    """What `there` should have of these numbers, and has not."""
    counted = {key for key, asked in here.asked.items() if asked and key not in there.given}
    return counted if any(there.asked.values()) else {key for key in counted if len(key) >= _NEVER_IN_WORDS}


def _side(numbers: Iterable[_Number], whole: set[str]) -> _Side:
    side = _Side({}, set())
    for number in numbers:
        if number.kind == "date" and number.kind not in whole:
            keys = {_significant(run): _is_large(run) for run in number.runs}
        elif number.kind in ("date", "time"):
            keys = {_date(number.runs) if number.kind == "date" else _time(*number.runs): number.kind in whole}
        else:
            digits = "".join(number.runs)
            keys = {_significant(digits): number.kind in whole or (number.kind == "number" and _is_large(digits))}
        for key, asked in keys.items():
            side.asked[key] = side.asked.get(key, False) or asked
        side.given |= keys.keys() | _written_otherwise(number)
    return side


def _written_otherwise(number: _Number) -> set[str]:
    """Keys of what else may stand for it on the other side: 14 and 30, 14.30 or 2.30 for 14:30, 90 for 1990s."""
    if number.kind == "time":
        hour, minutes = int(number.runs[0]), number.runs[1]
        hours = (f"{hour}", f"{(hour + 12) % 24}")
        return {_significant(each) for hour in hours for each in (hour, hour + minutes)} | {_significant(minutes)}
    return {_significant(number.runs[0][-2:])} if number.kind == "decade" else set()


def _significant(digits: str) -> str:
    return digits.strip("0") or "0"


def _is_large(digits: str) -> bool:
    digits = digits.lstrip("0")
    return len(digits) > 2 or int(digits or "0") > _OFTEN_IN_WORDS


def _date(runs: Iterable[str]) -> str:
    return "/".join(sorted(map(_significant, runs)))


def _time(hour: str, minutes: str) -> str:
    return f"{int(hour) % 12}:{minutes}"
