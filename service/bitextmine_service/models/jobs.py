"""Jobs, as they are asked for and shown. Scalars are strict, limits are in the types, unknown fields are refused."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict

from bitextmine.jobs.record import JobError, JobKind, JobProgress, JobRecord, JobState
from bitextmine.margin import Margin, Retrieval
from bitextmine.mining import MAX_K
from bitextmine.search.method import DEFAULT_RECALL, LEAST_RECALL, MOST_RECALL, Method
from bitextmine_service.models.common import EncoderName, Name, whole

Score = Annotated[float, Strict(), Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Recall = Annotated[
    float,
    Strict(),
    Field(ge=LEAST_RECALL, le=MOST_RECALL, description="Share of true neighbours that ivf and ivfpq aim at."),
]
_INTERNAL = ("upload", "max_chars", "max_bytes")


class MiningJobIn(BaseModel):
    """Which corpora to mine, and how."""

    model_config = ConfigDict(extra="forbid")

    src: Name
    tgt: Name
    encoder: EncoderName = "muse"
    k: Annotated[int, Strict(), Field(ge=1, le=MAX_K), BeforeValidator(whole)] = 4
    margin: Margin = Margin.RATIO
    retrieval: Retrieval = Retrieval.MAX_SCORE
    threshold: Score | None = Field(default=None, description="Pairs with a lower margin are dropped.")
    ceiling: Score | None = Field(default=None, description="Pairs with a higher margin are dropped.")
    method: Method = Field(default=Method.AUTO, description="How neighbours are searched; see GET /v1/plan.")
    target_recall: Recall = DEFAULT_RECALL
    allow_uncovered_languages: Annotated[bool, Strict()] = False
    drop_identical: Annotated[bool, Strict()] = Field(
        default=False, description="Drop pairs whose two sentences are the same text."
    )


class JobOut(BaseModel):
    """A job, wherever it is in its life."""

    id: str
    kind: JobKind
    state: JobState
    request: dict[str, Any] = Field(description="What was asked for.")
    plan: dict[str, Any] | None = Field(description="What the job was expected to take when it was sent, where known.")
    created: datetime
    started: datetime | None
    finished: datetime | None
    progress: JobProgress | None = Field(description="The stage a running job is in.")
    stage_seconds: dict[str, float] = Field(description="Wall-clock time per stage so far.")
    attempts: int = Field(description="Processes started for the job; more than one means that one died.")
    cancel_requested: bool
    error: JobError | None
    result: dict[str, Any] | None = Field(description="A mining job names its bitext, an ingest job its corpus.")
    links: dict[str, str]

    @classmethod
    def of(cls, record: JobRecord) -> JobOut:
        links = {"self": f"/v1/jobs/{record.id}"}
        if not record.state.final:
            links["cancel"] = f"/v1/jobs/{record.id}/cancel"
        if record.result and "bitext" in record.result:
            links["bitext"] = f"/v1/bitexts/{record.result['bitext']}"
        if record.result and "corpus" in record.result:
            links["corpus"] = f"/v1/corpora/{record.result['corpus']}"
        request = {name: value for name, value in record.spec.items() if name not in _INTERNAL}
        fields = record.model_dump(exclude={"spec", "tenant", "worker", "fruitless_attempts"})
        return cls(**fields, request=request, links=links)


class JobPage(BaseModel):
    items: list[JobOut]
    next_cursor: str | None = None
