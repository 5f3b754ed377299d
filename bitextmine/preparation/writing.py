"""A prepared corpus as a file: one sentence a line, or JSON lines that keep where each came from."""

from __future__ import annotations

import json
from collections.abc import Iterator

from bitextmine.corpus import Corpus


def text_chunks(corpus: Corpus) -> Iterator[bytes]:
    """The sentences, one a line, a shard a chunk."""
    for shard in corpus.shards:
        yield "".join(f"{text}\n" for text in corpus.shard_texts(shard)).encode()


def jsonl_chunks(corpus: Corpus) -> Iterator[bytes]:
    """An object a sentence, a shard a chunk: text, id, doc_id (or null), source, line."""
    for shard in corpus.shards:
        names = ("text", "id", "doc_id", "line")
        columns = [corpus.shard_column(name, shard).to_pylist() for name in names]
        lines = []
        for row, values in enumerate(zip(*columns, strict=True), start=shard.start):
            record = dict(zip(names, values, strict=True)) | {"source": corpus.part_of(row).source}
            lines.append(json.dumps(record, ensure_ascii=False) + "\n")
        yield "".join(lines).encode()
