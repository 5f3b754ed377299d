"""What a workspace holds, as searches need it: corpora by name, and which of their vectors were mined together."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from bitextmine.artifacts import Artifact, ArtifactStore
from bitextmine.catalog import Catalog, CatalogEntry
from bitextmine.corpus import Corpus
from bitextmine.embeddings import embeddings_digest
from bitextmine.errors import ArtifactError
from bitextmine.margin import neighborhood_means
from bitextmine.online.watched import Watched
from bitextmine.search import Neighbors
from bitextmine.search.method import Method
from bitextmine.search.stored import BACKWARD, FORWARD, KIND, load_neighbors
from bitextmine.workspace import Workspace

_CORPORA_KEPT, _DIGESTS_KEPT = 1_024, 4_096
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MinedPair:
    """Stored neighbours of the vectors `src` among those of `tgt`, and the other way round."""

    artifact: Artifact
    src: str
    tgt: str
    k: int
    exact: bool
    recall: float  # that the search aimed at

    @property
    def fidelity(self) -> tuple[bool, float, str]:
        """Higher is better: found exactly, else with a higher recall in view; then the newest."""
        return self.exact, self.recall, str(self.artifact.manifest["created"])

    def means(self, of: str, rows: NDArray[np.int64], k: int) -> NDArray[np.float32]:
        """Mean cosine of these rows of the vectors `of` to their k nearest of the other side; k is at most the pair's.

        NaN where the neighbours have been deleted meanwhile.
        """
        try:
            found = load_neighbors(self.artifact, FORWARD if of == self.src else BACKWARD, rows)
        except FileNotFoundError:
            return np.full(len(rows), np.nan, np.float32)
        return neighborhood_means(Neighbors(found.ids[:, :k], found.sims[:, :k]))


class Holdings:
    """One workspace's corpora and mined pairs. Shared by threads; changes are noticed at the next request."""

    def __init__(self, workspace: Workspace) -> None:
        self.store: ArtifactStore = workspace.artifacts
        self._catalog = Catalog(workspace.corpora, self.store)
        self._entries = Watched(workspace.corpora, self._list)
        self._pairs: dict[str, MinedPair | None] = {}  # by digest; None: damaged
        self._mined = Watched(self.store.root / KIND, self._list_mined)
        self._lock = Lock()
        self._corpora: OrderedDict[str, Corpus] = OrderedDict()
        self._digests: dict[tuple[str, str], str] = {}

    def entry(self, name: str) -> CatalogEntry:
        """
        Raises:
            NotFoundError: `corpus-not-found`.
            ArtifactError: the name is there, and what it stands for cannot be read.
            ParameterError: `invalid-name`.
        """
        return self._entries.get().get(name) or self._catalog.get(name)

    def of_language(self, lang: str) -> list[CatalogEntry]:
        """The corpora of a language, in alphabetical order."""
        return [entry for entry in self._entries.get().values() if entry.lang == lang]

    def corpus(self, entry: CatalogEntry) -> Corpus:
        """
        Raises:
            ArtifactError: it is lost or damaged.
        """
        with self._lock:
            if (known := self._corpora.get(entry.digest)) is not None:
                self._corpora.move_to_end(entry.digest)
                return known
        corpus = self._catalog.corpus(entry)
        with self._lock:
            self._corpora[entry.digest] = corpus
            while len(self._corpora) > _CORPORA_KEPT:
                self._corpora.popitem(last=False)
        return corpus

    def vectors_digest(self, entry: CatalogEntry, signature: str) -> str:
        """Of the corpus's vectors by an encoder with this signature, whether there are any.

        Raises:
            ArtifactError: it is lost or damaged.
        """
        known = self._digests.get((entry.digest, signature))
        if known is None:
            known = embeddings_digest(self.corpus(entry), signature)
            if len(self._digests) >= _DIGESTS_KEPT:
                self._digests.clear()
            self._digests[entry.digest, signature] = known
        return known

    def mined(self, one: str, other: str, k: int, *, exact: bool = False) -> MinedPair | None:
        """The stored neighbours of two corpora's vectors, either way round, of which k or more are known.

        Of several the most faithful.
        """
        pairs = self._mined.get().get(frozenset((one, other)), [])
        fit = [pair for pair in pairs if pair.k >= k and (pair.exact or not exact)]
        return max(fit, key=lambda pair: pair.fidelity, default=None)

    def _list(self) -> Mapping[str, CatalogEntry]:
        found = {entry.name: entry for entry in self._catalog.list()}
        named = {entry.digest for entry in found.values()}
        with self._lock:
            for digest in self._corpora.keys() - named:
                del self._corpora[digest]  # it may have files open
        return found

    def _list_mined(self) -> Mapping[frozenset[str], list[MinedPair]]:
        digests = [digest for _, digest in self.store.published(KIND)]
        self._pairs = {digest: self._pairs.get(digest) or self._read_pair(digest) for digest in digests}
        found: dict[frozenset[str], list[MinedPair]] = {}
        for pair in filter(None, self._pairs.values()):
            found.setdefault(frozenset((pair.src, pair.tgt)), []).append(pair)
        return found

    def _read_pair(self, digest: str) -> MinedPair | None:
        try:
            artifact = self.store.open(KIND, digest)
        except ArtifactError as error:
            _log.warning("%s", error)
            return None
        if artifact is None:
            return None
        inputs, how = artifact.manifest["inputs"], artifact.parameters
        exact = how.get("method") == Method.EXACT.value
        return MinedPair(
            artifact, inputs["src"], inputs["tgt"], int(how["k"]), exact, float(how.get("target_recall", 0))
        )
