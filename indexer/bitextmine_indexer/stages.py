"""What a job does, as functions of its spec: the library's stages on the files of a workspace."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from bitextmine.artifacts import ArtifactStore
from bitextmine.calibration import load_calibration
from bitextmine.catalog import Catalog, repair
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, Limits, ingest
from bitextmine.encoders import open_encoder
from bitextmine.errors import ArtifactError, ConflictError, NotFoundError
from bitextmine.jobs.record import JobKind
from bitextmine.jobs.specs import IngestSpec, MineSpec
from bitextmine.margin import Margin, Retrieval
from bitextmine.mining import MiningParameters, mine, plan_mining
from bitextmine.resources import Resources
from bitextmine.search.method import Method
from bitextmine.workspace import Workspace
from bitextmine_indexer.child import Reporter

log = logging.getLogger(__name__)


def run(
    kind: JobKind, spec: Mapping[str, Any], workspace: Workspace, resources: Resources, report: Reporter
) -> dict[str, Any]:
    """Do the job and return what its record shall hold as its result. Doing it again changes nothing."""
    store = ArtifactStore(workspace.artifacts.root, report.published)
    if kind is JobKind.INGEST:
        return _ingest(IngestSpec.model_validate(spec), workspace, store, report)
    return _mine(MineSpec.model_validate(spec), workspace, store, resources, report)


def _ingest(spec: IngestSpec, workspace: Workspace, store: ArtifactStore, report: Reporter) -> dict[str, Any]:
    upload = workspace.uploads / spec.upload
    file = CorpusFile(upload, spec.lang, CorpusFormat(spec.format), spec.source, spec.sha256)
    limits = Limits(max_chars=spec.max_chars, max_bytes=spec.max_bytes)
    try:
        corpus = ingest(file, store, limits=limits, progress=report)
        _give_name(spec.name, corpus, Catalog(workspace.corpora, store))
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


def _mine(
    spec: MineSpec, workspace: Workspace, store: ArtifactStore, resources: Resources, report: Reporter
) -> dict[str, Any]:
    parameters = MiningParameters(
        k=spec.k,
        margin=Margin(spec.margin),
        retrieval=Retrieval(spec.retrieval),
        threshold=spec.threshold,
        ceiling=spec.ceiling,
        allow_uncovered_languages=spec.allow_uncovered_languages,
        drop_identical=spec.drop_identical,
        method=Method(spec.method),
        target_recall=spec.target_recall,
    )
    encoder = open_encoder(spec.encoder, workspace.encoders, threads=resources.threads, device=resources.device)
    src, tgt = _corpus(spec.src, spec.src_digest, store), _corpus(spec.tgt, spec.tgt_digest, store)
    rates = load_calibration(workspace.root)
    plan = plan_mining(src, tgt, encoder, parameters, resources=resources, calibration=rates)
    log.info("%s", plan.line())
    bitext = mine(src, tgt, encoder, store, parameters, plan=plan, progress=report)
    return {"bitext": bitext.digest, **{name: value for name, value in bitext.summary.items() if name != "seconds"}}


def _corpus(name: str, digest: str, store: ArtifactStore) -> Corpus:
    artifact = store.open("corpus", digest, repair=repair(name))
    if artifact is None:
        raise NotFoundError(f"corpus {name!r} was deleted before the job ran", code="corpus-not-found")
    return Corpus(artifact)
