"""An index job: a corpus is embedded, so that it can be searched online."""

from __future__ import annotations

from typing import Any

from bitextmine.embeddings import embed
from bitextmine.encoders import open_encoder
from bitextmine.jobs.specs import IndexSpec
from bitextmine_indexer.kinds.task import Task


def run(spec: IndexSpec, task: Task) -> dict[str, Any]:
    resources = task.resources
    encoder = open_encoder(spec.encoder, task.workspace.encoders, threads=resources.threads, device=resources.device)
    corpus = task.corpus(spec.corpus, spec.digest)
    embeddings = embed(corpus, encoder, task.store, progress=task.report)
    return {"corpus": spec.corpus, "encoder": encoder.name, "sentences": len(embeddings)}
