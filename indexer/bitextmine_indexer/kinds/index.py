"""An index job: a corpus is embedded and, where it is large, indexed, so that it can be searched online."""

from __future__ import annotations

from typing import Any

from bitextmine.embeddings import embed
from bitextmine.encoders import open_encoder
from bitextmine.jobs.specs import IndexSpec
from bitextmine.mining import MiningParameters, check_languages
from bitextmine_indexer.kinds.task import Task


def run(spec: IndexSpec, task: Task) -> dict[str, Any]:
    from bitextmine.online.search_index import build_search_index  # it loads FAISS
    from bitextmine.online.searchable import SCANNED_ROWS

    resources = task.resources
    encoder = open_encoder(spec.encoder, task.workspace.encoders, threads=resources.threads, device=resources.device)
    corpus = task.corpus(spec.corpus, spec.digest)
    check_languages([corpus.lang], encoder, MiningParameters(allow_uncovered_languages=spec.allow_uncovered_languages))
    vectors = embed(corpus, encoder, task.store, progress=task.report)
    made: dict[str, Any] = {"corpus": spec.corpus, "encoder": encoder.name, "sentences": len(vectors)}
    if len(vectors) <= SCANNED_ROWS:
        return made | {"indexed": False}  # it is searched as fast without
    memory, threads = resources.memory_bytes, resources.threads
    index = build_search_index(vectors, task.store, memory_bytes=memory, threads=threads, progress=task.report)
    return made | {"indexed": True, "cells": index.spec.nlist, "bytes": index.file_bytes}
