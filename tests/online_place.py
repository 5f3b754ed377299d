"""A workspace with named corpora for tests of online search: real artifacts, made by the library's own stages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitextmine.bitext import Bitext
from bitextmine.catalog import Catalog
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, ingest
from bitextmine.embeddings import Embeddings, embed
from bitextmine.encoders import Encoder
from bitextmine.mining import MiningParameters, mine
from bitextmine.online.engine import SearchEngine
from bitextmine.online.request import SearchAnswer, SearchRequest
from bitextmine.online.searchable import SearchableCorpus, open_searchable
from bitextmine.progress import silent
from bitextmine.workspace import Workspace

SHARD_ROWS = 16


class Place:
    """Corpora in a workspace, all by one encoder."""

    def __init__(self, root: Path, encoder: Encoder) -> None:
        self.workspace = Workspace(root, encoder.directory.parent)
        self.store = self.workspace.artifacts
        self.catalog = Catalog(self.workspace.corpora, self.store)
        self.encoder = encoder

    def add(self, name: str, lang: str, records: Sequence[str | dict[str, Any]], *, embedded: bool = True) -> Corpus:
        """A corpus of sentences, or of JSON records."""
        self.workspace.root.mkdir(parents=True, exist_ok=True)
        path = self.workspace.root / f"{name}.jsonl"
        lines = [json.dumps(each if isinstance(each, dict) else {"text": each}) for each in records]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        file = CorpusFile(path, lang, CorpusFormat.JSONL, path.name)
        corpus = ingest(file, self.store, shard_rows=SHARD_ROWS)
        self.catalog.add(name, corpus)
        if embedded:
            self.embed(name)
        return corpus

    def embed(self, name: str) -> Embeddings:
        return embed(self.catalog.open(name), self.encoder, self.store, progress=silent)

    def searchable(self, name: str) -> SearchableCorpus:
        return open_searchable(name, self.catalog.open(name), self.encoder, self.store)

    def mine(self, src: str, tgt: str, **parameters: Any) -> Bitext:
        corpora = self.catalog.open(src), self.catalog.open(tgt)
        return mine(*corpora, self.encoder, self.store, MiningParameters(**parameters))

    def search(self, engine: SearchEngine, texts: Sequence[str], **request: Any) -> SearchAnswer:
        return self.search_vectors(engine, self.encoder.encode(texts), **request)

    def search_vectors(self, engine: SearchEngine, vectors: NDArray[np.floating], **request: Any) -> SearchAnswer:
        return engine.search(self.workspace, SearchRequest(**request), vectors, self.encoder)


def sentences(word: str, count: int) -> list[str]:
    """So many different ones; number n of one word is alike to number n of another."""
    return [f"{word} {n} station {n * 37 % 101} museum {n * n % 997}" for n in range(count)]
