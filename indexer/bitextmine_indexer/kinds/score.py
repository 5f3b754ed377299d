"""A scoring job: the pairs of an uploaded bitext get their margins."""

from __future__ import annotations

from typing import Any

from bitextmine import uploads
from bitextmine.bitext import Bitext
from bitextmine.corpus import Limits
from bitextmine.encoders import open_encoder
from bitextmine.errors import CorpusInputError, NotFoundError, ParameterError
from bitextmine.jobs.specs import ScoreSpec
from bitextmine.margin import Margin
from bitextmine.pair_files import Columns, PairFile, PairFormat, delete_ingested, ingest_pairs
from bitextmine.scoring import Background, ScoringParameters, at_work, score_file, tidy
from bitextmine_indexer.kinds.task import Task

_MAY_CHANGE = "memory-too-small"  # on another worker


def run(spec: ScoreSpec, task: Task) -> dict[str, Any]:
    try:
        with at_work(task.store):
            bitext = _score(spec, task)
    except (CorpusInputError, ParameterError) as error:
        if error.code != _MAY_CHANGE:
            uploads.discard(task.workspace.uploads, spec.upload)  # of no use to a retry
        raise
    tidy(task.store, task.catalog)
    return {"bitext": bitext.digest, **{name: value for name, value in bitext.summary.items() if name != "seconds"}}


def _score(spec: ScoreSpec, task: Task) -> Bitext:
    resources = task.resources
    parameters = ScoringParameters(
        k=spec.k, margin=Margin(spec.margin), allow_uncovered_languages=spec.allow_uncovered_languages
    )
    encoder = open_encoder(spec.encoder, task.workspace.encoders, threads=resources.threads, device=resources.device)
    src = _background(task, spec.src_background, spec.src_digest)
    tgt = _background(task, spec.tgt_background, spec.tgt_digest)
    limits = Limits(max_chars=spec.max_chars, max_bytes=spec.max_bytes)
    pairs = ingest_pairs(_file(spec, task), task.store, limits=limits, progress=task.report)
    try:
        return score_file(pairs, (src, tgt), encoder, task.store, parameters, resources=resources, progress=task.report)
    except (CorpusInputError, ParameterError) as error:
        if error.code != _MAY_CHANGE:
            delete_ingested(task.store, pairs)
        raise


def _file(spec: ScoreSpec, task: Task) -> PairFile:
    path = task.workspace.uploads / spec.upload
    if not path.exists():
        raise NotFoundError(f"the upload of {spec.source} is gone; upload it again", code="upload-gone")
    return PairFile(
        path,
        spec.src_lang,
        spec.tgt_lang,
        PairFormat(spec.format),
        columns=Columns.parse(spec.columns) if spec.columns else None,
        source=spec.source,
        sha256=spec.sha256,
    )


def _background(task: Task, name: str | None, digest: str | None) -> Background | None:
    return Background(task.corpus(name, digest), name) if name and digest else None
