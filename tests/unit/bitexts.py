"""Bitexts for tests: of numbered sentences in corpora that were really ingested, and of any texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bitextmine.artifacts import ArtifactKey, ArtifactStore
from bitextmine.bitext import KIND, PAIRS, SCHEMA, Bitext, write_pairs
from bitextmine.corpus import Corpus, CorpusFile, ingest
from bitextmine.margin import Pairs

ROWS = 11
EVERY_BREAK = "\t\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
PARAMETERS = {"src_lang": "deu_Latn", "tgt_lang": "eng_Latn", "src_source": "news <&>.de", "tgt_source": "news.en"}


def corpus_of(texts: list[str], store: ArtifactStore) -> Corpus:
    path = store.root.parent / f"{texts[0]}.txt"
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return ingest(CorpusFile(path, "eng_Latn"), store, shard_rows=4)


def pairs_of(rows: int, margins: Sequence[float] | None = None) -> Pairs:
    """Source row i with target row rows - 1 - i; every third forward only, backward only, both."""
    up = np.arange(rows)
    scores = np.asarray(np.linspace(1.5, 0.7, rows) if margins is None else margins, np.float32)
    ranks = (up % 3).astype(np.int16)
    return Pairs(up, up[::-1], scores, scores / 2, scores / 3, scores / 4, ranks, ranks[::-1], up % 3 != 1, up % 3 != 0)


def published(store: ArtifactStore, rows: int = ROWS, margins: Sequence[float] | None = None, **more: Any) -> Bitext:
    """A bitext of so many pairs, with these margins (falling), and further parameters."""
    src, tgt = (corpus_of([f"{side} {n}" for n in range(max(rows, 1))], store) for side in ("src", "ziel"))
    key = ArtifactKey(KIND, PARAMETERS | {"k": rows, "margins": list(map(float, margins or ()))} | more, {})
    with store.publish(key) as staging:
        write_pairs(staging.path / PAIRS, pairs_of(rows, margins), src, tgt)
        staging.summary["pairs"] = rows
    return _found(store, key)


def with_texts(store: ArtifactStore, *texts: tuple[str, str], **more: Any) -> Bitext:
    """A bitext of pairs of any texts, also of those that no corpus would take."""
    rows = [_row(n, src, tgt) for n, (src, tgt) in enumerate(texts)]
    key = ArtifactKey(KIND, PARAMETERS | {"texts": [list(pair) for pair in texts]} | more, {})
    with store.publish(key) as staging:
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), staging.path / PAIRS)
        staging.summary["pairs"] = len(rows)
    return _found(store, key)


def _row(n: int, src: str, tgt: str) -> dict[str, Any]:
    row: dict[str, Any] = {field.name: n + 1 for field in SCHEMA if not pa.types.is_string(field.type)}
    row |= {"margin": 2 - n / 100, "direction": "both", "src_id": src, "tgt_id": "1", "src_doc_id": tgt}
    return row | {"src": src, "tgt": tgt}


def _found(store: ArtifactStore, key: ArtifactKey) -> Bitext:
    artifact = store.find(key)
    assert artifact is not None
    return Bitext(artifact)
