"""What the tasks of one process keep open from one to the next: encoders, indexes. The oldest are let go."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")

_MOST = 4  # things; an encoder takes up to a few GB
_kept: OrderedDict[Hashable, Any] = OrderedDict()


def opened(key: Hashable, opener: Callable[[], T]) -> T:
    """What `opener` returned for this key before, in this process, else now.

    `key` names all that the result depends on, a digest or a signature among it: what is on disk may change. Only the
    few that were used last are kept. One thread at a time may call this, as executors do.
    """
    if key in _kept:
        _kept.move_to_end(key)
        return _kept[key]  # type: ignore[no-any-return]
    while len(_kept) >= _MOST:  # before another is opened: memory is for _MOST at a time
        _kept.popitem(last=False)
    thing = opener()
    _kept[key] = thing
    return thing
