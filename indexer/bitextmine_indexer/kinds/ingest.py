"""An ingest job: an uploaded file becomes a named corpus."""

from __future__ import annotations

from typing import Any

from bitextmine.catalog import Catalog
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, Limits, ingest
from bitextmine.errors import ArtifactError, ConflictError
from bitextmine.jobs.specs import IngestSpec
from bitextmine_indexer.kinds.task import Task


def run(spec: IngestSpec, task: Task) -> dict[str, Any]:
    upload = task.workspace.uploads / spec.upload
    file = CorpusFile(upload, spec.lang, CorpusFormat(spec.format), spec.source, spec.sha256)
    limits = Limits(max_chars=spec.max_chars, max_bytes=spec.max_bytes)
    try:
        corpus = ingest(file, task.store, limits=limits, progress=task.report)
        _give_name(spec.name, corpus, task.catalog)
    except Exception:
        upload.unlink(missing_ok=True)  # the job has failed; one that is interrupted (SystemExit) is tried again
        raise
    upload.unlink(missing_ok=True)
    counts = {name: corpus.summary[name] for name in ("lines", "sentences", "duplicates", "refused")}
    return {"corpus": spec.name, "digest": corpus.digest, **counts}


def _give_name(name: str, corpus: Corpus, catalog: Catalog) -> None:
    """Name the corpus; one that comes too late for its name must not stay without one."""
    try:
        catalog.add(name, corpus)
    except (ArtifactError, ConflictError):
        catalog.delete_unnamed(corpus.digest)
        raise
