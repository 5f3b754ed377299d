"""The keys as the service knows them: each file is read at most once a second, so a revoked key is soon refused."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock

from bitextmine.errors import ArtifactError
from bitextmine.keys.caller import Caller
from bitextmine.keys.record import KeyRecord, Token, key_invalid, refuse_unknown
from bitextmine.keys.store import KeyStore

_FRESH_SECONDS = 1.0
_MOST_KNOWN = 4096  # ids; those that no key has are remembered too, so that asking for one is no way to find out
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    record: KeyRecord | None
    until: float  # on the monotonic clock


class KeyRing:
    """Tells callers by their tokens. For any number of threads."""

    def __init__(self, store: KeyStore, *, fresh_seconds: float = _FRESH_SECONDS) -> None:
        self._store, self._fresh_seconds = store, fresh_seconds
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._lock = Lock()

    def is_fresh(self, text: str) -> bool:
        """Whether `caller` would answer without looking at a file."""
        token = Token.parse(text)
        return token is None or self._fresh(token.key_id) is not None

    def caller(self, text: str) -> Caller:
        """The caller whose token this is. May read a file.

        Raises:
            BitextmineError: `key-invalid`, `key-expired` (both 401).
        """
        if (token := Token.parse(text)) is None:
            raise key_invalid()
        known = self._fresh(token.key_id) or self._read(token.key_id)
        if known.record is None:
            raise refuse_unknown(token)
        return known.record.open(token, datetime.now(UTC))

    def _fresh(self, key_id: str) -> _Known | None:
        known = self._known.get(key_id)
        return known if known is not None and time.monotonic() < known.until else None

    def _read(self, key_id: str) -> _Known:
        until = time.monotonic() + self._fresh_seconds  # counted from before the reading
        try:
            record = self._store.read(key_id)
        except ArtifactError as error:
            _logger.warning("%s", error)
            record = None
        known = _Known(record, until)
        with self._lock:
            self._known[key_id] = known
            self._known.move_to_end(key_id)
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        return known
