"""What operations return: the service's answers as typed, frozen objects. What a newer service adds is left out.

Enumerations are plain strings, so that a value that a newer service has does not make an older client fail.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

FINAL_STATES = frozenset({"succeeded", "failed", "cancelled"})


class Answer(BaseModel):
    """An answer of the service, or a part of one."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Failure(Answer):
    """Why a job failed: a stable code (docs/errors.md) and one line for people."""

    code: str
    detail: str


class Stage(Answer):
    """Where a running job is."""

    stage: str
    done: int
    total: int | None = None
    rate: float | None = None  # units a second
    eta_seconds: float | None = None


class Job(Answer):
    """A job, wherever it is in its life."""

    id: str
    kind: str
    state: str  # queued, running, succeeded, failed or cancelled
    request: dict[str, Any]
    created: datetime
    plan: dict[str, Any] | None = None  # what it was expected to take when it was sent
    retry_of: str | None = None
    started: datetime | None = None
    finished: datetime | None = None
    progress: Stage | None = None
    stage_seconds: dict[str, float] = {}
    attempts: int = 0
    cancel_requested: bool = False
    error: Failure | None = None
    result: dict[str, Any] | None = None  # of a succeeded job: names its `bitext` or its `corpus`
    links: dict[str, str] = {}

    @property
    def over(self) -> bool:
        """Whether the state is a final one, which never changes."""
        return self.state in FINAL_STATES


class FilterCount(Answer):
    """What one filter did."""

    name: str
    dropped: int  # pairs that it dropped first of all filters
    alone: int  # pairs that it would have dropped if it were alone
    learnt: dict[str, float] = {}  # what was fitted to the bitext


class Bitext(Answer):
    """A bitext, mined or given and scored, and what it was made of."""

    id: str
    created: datetime
    pairs: int
    src_lang: str
    tgt_lang: str
    src_source: str
    tgt_source: str
    src_sentences: int
    tgt_sentences: int
    encoder: str
    k: int | None = None  # None, with margin and retrieval, of aligned documents: pairs have the alignment's score
    margin: str | None = None
    retrieval: str | None = None  # None also of pairs that were given and scored
    threshold: float | None = None
    ceiling: float | None = None
    seconds: dict[str, float] = {}  # a stage
    plan: dict[str, Any] = {}
    search: dict[str, Any] = {}  # recall, where the search was approximate
    made_by: str = "mining"  # or scoring, alignment
    src_background: str | None = None  # of given pairs: what targets were compared with; None: the file's sources
    tgt_background: str | None = None
    refused: dict[str, int] = {}  # of given pairs: those that could not be used, by reason
    filtered_from: str | None = None  # the bitext that filters made this one of
    filtered_by: dict[str, Any] | None = None  # which filters, within which bounds
    unfiltered_pairs: int | None = None  # before the filters
    filters: list[FilterCount] = []  # what each did, in their order


class Pair(Answer):
    """A sentence pair with all its scores, and where both sentences come from."""

    src: str
    tgt: str
    margin: float
    cosine: float
    src_id: str
    tgt_id: str
    src_rank: int | None = None  # of tgt among src's k neighbours, from 1; None where it is not among them
    tgt_rank: int | None = None
    src_mean: float | None = None  # mean cosine of src to its k nearest targets
    tgt_mean: float | None = None
    direction: str | None = None  # whose best candidate the pair is; None where it was given
    src_doc_id: str | None = None
    tgt_doc_id: str | None = None
    src_line: int
    tgt_line: int
    src_row: int
    tgt_row: int


class RejectedPair(Pair):
    """A pair that a filter dropped."""

    filter: str
    reason: str


class Hit(Answer):
    """A sentence near a query."""

    rank: int  # from 1
    text: str
    corpus: str
    lang: str
    row: int
    id: str
    doc_id: str | None = None
    source: str
    line: int
    meta: dict[str, Any] = {}
    cosine: float
    margin: float | None = None  # None where there is no background, or a mean is not positive
    query_mean: float | None = None  # mean cosine of the query to its nearest in the hit's corpus
    hit_mean: float | None = None


class Hits(Answer):
    """The hits of a query, best first."""

    hits: list[Hit]


class Searched(Answer):
    """A corpus that was searched, and how."""

    corpus: str
    lang: str
    sentences: int
    exact: bool  # every sentence was compared; else an index gave candidates
    background: str | None = None
    background_mined: bool = False


class Skipped(Answer):
    """A corpus of a language asked for that could not be searched, and why, as a code."""

    corpus: str
    code: str


class Found(Answer):
    """The hits of each query, in the order of the queries, and where they were looked for."""

    results: list[Hits]
    order: str  # margin, or cosine where a corpus has no background
    searched: list[Searched]
    skipped: list[Skipped]
    encoder: str
    truncated: int


class Encoder(Answer):
    """An encoder that is installed with the service, or that could be."""

    name: str
    dims: int
    languages: list[str]
    licence: str
    installed: bool
    provider: str | None = None  # what it runs on, once it is loaded


class Estimate(Answer):
    """What a mining job would take by one method."""

    method: str
    seconds: float
    memory_bytes: int
    disk_bytes: int
    how: str
    refusal: str  # why it cannot be used; empty if it can


class Plan(Answer):
    """How a search would be done on a machine like the one that answers."""

    method: str
    reason: str
    src_rows: int
    tgt_rows: int
    dims: int
    k: int
    target_recall: float
    threads: int
    memory_bytes: int
    gpus: int
    calibrated: bool
    estimates: list[Estimate]


class Check(Answer):
    """One thing that jobs need."""

    name: str
    ok: bool
    detail: str


class Readiness(Answer):
    """Whether a job sent now would be done."""

    ready: bool
    checks: list[Check]


class Liveness(Answer):
    """That the service answers."""

    live: bool
    version: str
