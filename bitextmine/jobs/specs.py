"""What a job is asked to do: the service writes these specs and the indexer reads them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class IngestSpec(BaseModel):
    """Make the corpus `name` of a file, or append the file to it: of an upload, or of one that lies on the server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    lang: str  # deu_Latn form
    format: str  # a CorpusFormat
    source: str  # the file's name, for provenance
    upload: str | None = None  # the file under the workspace's uploads
    sha256: str = ""  # of the file; where it is not known yet the job finds out
    path: str | None = None  # of a file on the server, which stays where it is
    root: str | None = None  # the directory that it must lie below
    state: str = ""  # of that file when it was asked for: see imports
    append: bool = False
    token: str = ""  # a random name, so that what was done is not done again
    max_chars: int
    max_bytes: int
    max_sentences: int | None = None  # that the tenant may have stored, these among them


class IndexSpec(BaseModel):
    """Embed a corpus and index its vectors, so that it can be searched online."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    corpus: str
    digest: str
    encoder: str
    allow_uncovered_languages: bool = False


class MatrixSpec(BaseModel):
    """Mine these pairs of these corpora. `matrix` names the run, and so its report."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    corpora: dict[str, str]  # name to digest
    pairs: list[list[str]]  # of names, the source first
    first: list[list[str]]  # those that are mined before the others
    encoder: str
    parameters: dict[str, Any]  # as bitextmine.matrix.MatrixParameters has them
    matrix: str


class ScoreSpec(BaseModel):
    """Score the pairs of an uploaded bitext against background corpora."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    upload: str  # the file under the workspace's uploads
    sha256: str
    source: str  # the file's name, for provenance
    format: str  # a PairFormat
    columns: str | None = None  # of a TSV
    src_lang: str  # deu_Latn form
    tgt_lang: str
    src_background: str | None  # corpora by name and digest
    tgt_background: str | None
    src_digest: str | None
    tgt_digest: str | None
    encoder: str
    k: int
    margin: str
    max_chars: int
    max_bytes: int
    allow_uncovered_languages: bool = False


class MineSpec(BaseModel):
    """Mine two corpora. They are named by digest too, so that a name given to other text meanwhile changes nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    src: str
    tgt: str
    src_digest: str
    tgt_digest: str
    encoder: str
    k: int
    margin: str
    retrieval: str
    threshold: float | None = None
    precision: float | None = None  # have a threshold chosen
    ceiling: float | None = None
    allow_uncovered_languages: bool = False
    drop_identical: bool = False
    method: str = "auto"
    target_recall: float = 0.99
    filters: dict[str, Any] | None = None  # as FilterSettings.as_json has them
    documents: str | None = None  # a DocumentUse
    document_bonus: float = 0.05
    document_links: str | None = None  # the digest of stored links; without them documents of one id are linked
