"""The web page: a shell of HTML around what each of its pages holds, and static files beside it; no build step.

All URLs in it are relative to the root, where all its pages lie, so that a proxy may add a prefix.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PageOf:
    """A page: its path, the name of its files (main/NAME.html, static/NAME.js), and what it is called."""

    path: str
    name: str
    title: str


PAGES = (
    PageOf("/", "try", "Try it"),
    PageOf("/corpora", "corpora", "Corpora"),
    PageOf("/jobs", "jobs", "Jobs"),
    PageOf("/bitexts", "bitexts", "Bitexts"),
    PageOf("/matrix", "matrix", "Matrix"),
)
PATHS = frozenset(page.path for page in PAGES)
STATIC = "/static/"
