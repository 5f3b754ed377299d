"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"  # it works, but not as well as it could, or not for long
    PROBLEM = "problem"  # something does not work


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, on one line, and what to do about it, which is empty where all is well."""

    check: str
    level: Level
    what: str
    todo: str = ""


def ok(check: str, what: str) -> Finding:
    return Finding(check, Level.OK, what)


def warning(check: str, what: str, todo: str) -> Finding:
    return Finding(check, Level.WARNING, what, todo)


def problem(check: str, what: str, todo: str) -> Finding:
    return Finding(check, Level.PROBLEM, what, todo)
