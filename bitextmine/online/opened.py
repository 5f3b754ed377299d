"""Searchable corpora that a process has open: a bounded number, of all workspaces together."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from bitextmine.artifacts import MANIFEST, ArtifactStore
from bitextmine.corpus import Corpus
from bitextmine.encoders import Encoder
from bitextmine.errors import ParameterError
from bitextmine.online.searchable import SearchableCorpus, open_searchable

_LOOK_AGAIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Key:
    store: str
    corpus: str  # digest
    encoder: str  # signature


class OpenCorpora:
    """Searchable corpora, opened when they are first asked for. Shared by threads.

    Of more than `most`, or when their loaded indexes take more than `max_bytes`, the one that has not been used for
    longest is let go; a search that still has it goes on. The last one stays whatever it takes. Corpora that have been
    deleted are let go within seconds of the next request.
    """

    def __init__(self, *, most: int, max_bytes: int) -> None:
        """
        Raises:
            ParameterError: one of the bounds is below 1.
        """
        if min(most, max_bytes) < 1:
            raise ParameterError(f"1 corpus or more, of 1 byte or more, can be open, not {most} of {max_bytes}")
        self._most, self._max_bytes = most, max_bytes
        self._lock, self._opening = threading.Lock(), threading.Lock()
        self._opened: OrderedDict[_Key, SearchableCorpus] = OrderedDict()  # the last used last
        self._looked = time.monotonic()

    def get(self, name: str, corpus: Corpus, encoder: Encoder, store: ArtifactStore) -> SearchableCorpus:
        """
        Raises:
            ConflictError: `corpus-not-embedded`.
            MismatchError, ArtifactError: what is stored is damaged.
        """
        key = _Key(str(store.root), corpus.digest, encoder.signature)
        if (there := self._use(key)) is not None:
            return there
        with self._opening:  # many that wait for the same corpus must not each open it
            if (there := self._use(key)) is not None:
                return there
            opened = open_searchable(name, corpus, encoder, store, memory_bytes=self._max_bytes)
            with self._lock:
                self._opened[key] = opened
                self._opened.move_to_end(key)
                self._let_go()
            return opened

    def __len__(self) -> int:
        return len(self._opened)

    def _use(self, key: _Key) -> SearchableCorpus | None:
        """The corpus as it is open, unless it was opened without an index that it needs: there may be one by now."""
        with self._lock:
            self._forget_deleted()
            there = self._opened.get(key)
            if there is None or (there.index is None and not there.scanned):
                return None
            self._opened.move_to_end(key)
            return there

    def _let_go(self) -> None:
        loaded = sum(corpus.loaded_bytes for corpus in self._opened.values())
        while len(self._opened) > self._most or (loaded > self._max_bytes and len(self._opened) > 1):
            loaded -= self._opened.popitem(last=False)[1].loaded_bytes

    def _forget_deleted(self) -> None:
        now = time.monotonic()
        if now - self._looked < _LOOK_AGAIN_SECONDS:
            return
        self._looked = now
        for key, opened in list(self._opened.items()):
            artifacts = [opened.corpus.artifact, *opened.embeddings.artifacts[:1]]
            artifacts += [] if opened.index is None else opened.index.shards[:1]
            if not all((artifact.path / MANIFEST).exists() for artifact in artifacts):
                del self._opened[key]
