"""An ingest job: a file becomes a named corpus, or is appended to one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bitextmine import uploads
from bitextmine.catalog import CatalogEntry
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, Limits, ingest
from bitextmine.corpus.statistics import statistics
from bitextmine.errors import ArtifactError, ConflictError, CorpusInputError, InputError, NotFoundError
from bitextmine.imports import check_import
from bitextmine.jobs.specs import IngestSpec
from bitextmine.quota import quota_kept, sentences_left
from bitextmine_indexer.kinds.task import Task

_MOST_TRIES = 20  # at appending, when others append at the same time


def run(spec: IngestSpec, task: Task) -> dict[str, Any]:
    if (done := _done_before(spec, task)) is not None:
        return done
    try:
        file = _file(spec, task)
        corpus, entry = _append(spec, file, task) if spec.append else _make(spec, file, task)
    except CorpusInputError:
        if spec.upload is not None:  # of no use to a retry; after other errors it is kept for one
            uploads.discard(task.workspace.uploads, spec.upload)
        raise
    return _result(entry, corpus, task)


def _done_before(spec: IngestSpec, task: Task) -> dict[str, Any] | None:
    """The result of a process that died when it had done everything, and perhaps deleted its upload."""
    if not task.catalog.has(spec.name):
        return None
    entry = task.catalog.get(spec.name)
    if (version := entry.made_by(spec.token)) is None:
        return None
    return _result(entry, task.corpus(spec.name, version.digest), task)


def _file(spec: IngestSpec, task: Task) -> CorpusFile:
    if spec.upload is not None:
        path = task.workspace.uploads / spec.upload
        if not path.exists():
            raise NotFoundError(f"the upload of {spec.source} is gone; upload it again", code="upload-gone")
    else:
        path = check_import(Path(str(spec.path)), Path(str(spec.root)), spec.state)
    return CorpusFile(path, spec.lang, CorpusFormat(spec.format), spec.source, spec.sha256)


def _make(spec: IngestSpec, file: CorpusFile, task: Task) -> tuple[Corpus, CatalogEntry]:
    corpus = _ingest(spec, file, task)
    statistics(corpus, task.store, progress=task.report)
    try:
        with quota_kept(task.workspace, task.catalog, spec.max_sentences, len(corpus)):
            return corpus, task.catalog.add(spec.name, corpus, spec.token)
    except (ArtifactError, InputError):
        task.catalog.delete_unnamed(corpus.digest)  # it came too late for its name, and must not stay without one
        raise


def _append(spec: IngestSpec, file: CorpusFile, task: Task) -> tuple[Corpus, CatalogEntry]:
    """Append to the corpus as it is; where someone else was faster, to what they have made of it."""
    for tries_left in reversed(range(_MOST_TRIES)):
        entry = task.catalog.get(spec.name)
        before = task.corpus(spec.name, entry.digest)
        corpus = _ingest(spec, file, task, after=before)
        statistics(corpus, task.store, progress=task.report)
        try:
            with quota_kept(task.workspace, task.catalog, spec.max_sentences, len(corpus) - len(before)):
                entry = task.catalog.append(spec.name, corpus, after=entry.digest, made_by=spec.token)
        except (ArtifactError, InputError) as error:
            task.catalog.delete_unnamed(corpus.digest)
            if not tries_left or not isinstance(error, ConflictError):
                raise
        else:
            return corpus, entry
    raise AssertionError("the last try returns or raises")


def _ingest(spec: IngestSpec, file: CorpusFile, task: Task, after: Corpus | None = None) -> Corpus:
    return ingest(
        file,
        task.store,
        limits=Limits(max_chars=spec.max_chars, max_bytes=spec.max_bytes),
        after=after,
        max_sentences=sentences_left(task.catalog, spec.max_sentences),
        progress=task.report,
    )


def _result(entry: CatalogEntry, corpus: Corpus, task: Task) -> dict[str, Any]:
    counts = {name: corpus.summary[name] for name in ("lines", "sentences", "duplicates", "refused")}
    version = 1 + [each.digest for each in entry.versions].index(corpus.digest)
    warnings = statistics(corpus, task.store, progress=task.report)["warnings"]
    return {"corpus": entry.name, "digest": corpus.digest, "version": version, **counts, "warnings": warnings}
