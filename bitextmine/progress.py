"""How long work reports where it is: one small protocol, with no opinion on how it is shown."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told where a stage is. Called from one thread, seldom enough to be cheap (a batch, a block)."""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """`done` of `total` units of `stage`; `total` is None while it is not known."""


def silent(stage: str, done: int, total: int | None) -> None:
    """The Progress that shows nothing."""
