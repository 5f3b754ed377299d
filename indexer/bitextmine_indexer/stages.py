"""What a job does, as functions of its spec: the library's stages on the files of a workspace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitextmine.catalog import Catalog
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, Limits, ingest
from bitextmine.encoders import open_encoder
from bitextmine.errors import NotFoundError
from bitextmine.jobs.record import JobKind
from bitextmine.jobs.specs import IngestSpec, MineSpec
from bitextmine.margin import Margin, Retrieval
from bitextmine.mining import MiningParameters, mine
from bitextmine.progress import Progress
from bitextmine.search.method import Method
from bitextmine.workspace import Workspace


def run(
    kind: JobKind, spec: Mapping[str, Any], workspace: Workspace, threads: int | None, progress: Progress
) -> dict[str, Any]:
    """Do the job and return what its record shall hold as its result. Doing it again changes nothing."""
    if kind is JobKind.INGEST:
        return _ingest(IngestSpec.model_validate(spec), workspace, progress)
    return _mine(MineSpec.model_validate(spec), workspace, threads, progress)


def _ingest(spec: IngestSpec, workspace: Workspace, progress: Progress) -> dict[str, Any]:
    upload = workspace.uploads / spec.upload
    file = CorpusFile(upload, spec.lang, CorpusFormat(spec.format), spec.source, spec.sha256)
    limits = Limits(max_chars=spec.max_chars, max_bytes=spec.max_bytes)
    try:
        corpus = ingest(file, workspace.artifacts, limits=limits, progress=progress)
        Catalog(workspace.corpora, workspace.artifacts).add(spec.name, corpus)
    except Exception:
        upload.unlink(missing_ok=True)  # the job has failed; one that is interrupted (SystemExit) is tried again
        raise
    upload.unlink(missing_ok=True)
    counts = {name: corpus.summary[name] for name in ("lines", "sentences", "duplicates", "refused")}
    return {"corpus": spec.name, "digest": corpus.digest, **counts}


def _mine(spec: MineSpec, workspace: Workspace, threads: int | None, progress: Progress) -> dict[str, Any]:
    parameters = MiningParameters(
        k=spec.k,
        margin=Margin(spec.margin),
        retrieval=Retrieval(spec.retrieval),
        threshold=spec.threshold,
        ceiling=spec.ceiling,
        allow_uncovered_languages=spec.allow_uncovered_languages,
        method=Method(spec.method),
        target_recall=spec.target_recall,
    )
    encoder = open_encoder(spec.encoder, workspace.encoders, threads=threads)
    src = _corpus(spec.src, spec.src_digest, workspace)
    tgt = _corpus(spec.tgt, spec.tgt_digest, workspace)
    bitext = mine(src, tgt, encoder, workspace.artifacts, parameters, progress=progress)
    return {"bitext": bitext.digest, **{name: value for name, value in bitext.summary.items() if name != "seconds"}}


def _corpus(name: str, digest: str, workspace: Workspace) -> Corpus:
    artifact = workspace.artifacts.open("corpus", digest)
    if artifact is None:
        raise NotFoundError(f"corpus {name!r} was deleted before the job ran", code="corpus-not-found")
    return Corpus(artifact)
