"""Jobs, as they are asked for and shown. Scalars are strict, limits are in the types, unknown fields are refused."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, Strict

from bitextmine.documents import DEFAULT_BONUS, MAX_BONUS, DocumentLinks, DocumentRule, DocumentUse
from bitextmine.errors import ParameterError
from bitextmine.jobs.listing import JobFilter
from bitextmine.jobs.record import JobError, JobKind, JobProgress, JobRecord, JobStage, JobState
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
# Of a filter: whether it runs, or its bounds. Which filters there are the library says, with what is wrong.
Bounds = dict[Literal["least", "most"], Score | None]
Filters = Annotated[
    Literal["default", "none"] | Annotated[dict[str, Annotated[bool, Strict()] | Bounds], Field(max_length=32)],
    Field(
        description="Filters that pairs must pass (docs/filters.md): default, none, or an object that names filters: "
        "true, false, or bounds of the score, null being none. The defaults that are not named run too, unless it says "
        '"defaults": false.'
    ),
]
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)


def _rfc_3339(value: object) -> object:
    """Pydantic would take numbers too."""
    if isinstance(value, str) and not _RFC_3339.fullmatch(value):
        raise ValueError("write a time with its offset, as 2026-05-01T12:00:00Z (a + is written %2B in a query)")
    return value


Time = Annotated[AwareDatetime, BeforeValidator(_rfc_3339)]
_INTERNAL = ("upload", "root", "state", "token", "max_chars", "max_bytes", "max_sentences")
_HIDDEN = {"spec", "tenant", "worker", "fruitless_attempts", "version", "request_id", "trace_id"}


MAX_LINKS = 10_000  # of a request's body, which is bounded too
DocId = Annotated[str, Strict(), Field(min_length=1, max_length=1000)]
DocumentLink = Annotated[list[DocId], Field(min_length=2, max_length=2)]


class MiningJobIn(BaseModel):
    """Which corpora to mine, and how."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"src": "news-de", "tgt": "news-en", "encoder": "muse", "threshold": 1.06, "filters": "default"}
            ]
        },
    )

    src: Name
    tgt: Name
    encoder: EncoderName = "muse"
    k: Annotated[int, Strict(), Field(ge=1, le=MAX_K), BeforeValidator(whole)] = 4
    margin: Margin = Margin.RATIO
    retrieval: Retrieval = Retrieval.MAX_SCORE
    threshold: Score | None = Field(default=None, description="Pairs with a lower margin are dropped.")
    precision: Annotated[float, Strict(), Field(gt=0, lt=1)] | None = Field(
        default=None, description="In place of a threshold: have one chosen that is expected to give this precision."
    )
    ceiling: Score | None = Field(default=None, description="Pairs with a higher margin are dropped.")
    method: Method = Field(default=Method.AUTO, description="How neighbours are searched; see GET /v1/plan.")
    target_recall: Recall = DEFAULT_RECALL
    allow_uncovered_languages: Annotated[bool, Strict()] = False
    drop_identical: Annotated[bool, Strict()] = Field(
        default=False, description="Drop pairs whose two sentences are the same text."
    )
    filters: Filters = "none"
    documents: DocumentUse | None = Field(
        default=None,
        description="What linked documents are good for. restrict: only their pairs are mined. boost: their pairs have "
        "a bonus. Both corpora need doc_ids.",
    )
    document_bonus: Annotated[
        float,
        Strict(),
        Field(ge=0, le=MAX_BONUS, allow_inf_nan=False, description="Of boost: added to the margin that is compared."),
    ] = DEFAULT_BONUS
    document_links: list[DocumentLink] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_LINKS,
        description="Links as [source document, target document]; without them, documents of one id are linked.",
    )

    @property
    def document_rule(self) -> DocumentRule | None:
        """
        Raises:
            InputError: `invalid-links`.
            ParameterError: there are links, and nothing is said of what for.
        """
        if self.documents is None:
            if self.document_links is not None:
                raise ParameterError("document_links are given without `documents`: say restrict or boost")
            return None
        given = self.document_links
        links = None if given is None else DocumentLinks.of((src, tgt) for src, tgt in given)
        return DocumentRule(use=self.documents, bonus=self.document_bonus, links=links)


class JobsWanted(BaseModel):
    """Which jobs to list: those that meet all of these."""

    model_config = ConfigDict(extra="forbid")

    state: list[JobState] = Field(default=[], max_length=10, description="In one of these states.")
    kind: list[JobKind] = Field(default=[], max_length=10, description="Of one of these kinds.")
    corpus: Name | None = Field(default=None, description="That read or make the corpus of this name.")
    created_after: Time | None = Field(
        default=None, description="Created then or later; RFC 3339 with an offset, as 2026-05-01T12:00:00Z."
    )
    created_before: Time | None = Field(default=None, description="Created earlier than that.")
    limit: int = Field(default=100, ge=1, le=1000, description="Most items of a page.")
    cursor: str | None = Field(default=None, max_length=200, description="The next_cursor of the page before.")

    @property
    def filter(self) -> JobFilter:
        return JobFilter(
            states=frozenset(self.state),
            kinds=frozenset(self.kind),
            corpus=self.corpus,
            since=self.created_after,
            until=self.created_before,
        )


_JOB = "0660e129a569836115a627"
_EXAMPLE: dict[str, JsonValue] = {
    "id": _JOB,
    "kind": "ingest",
    "state": "running",
    "request": {"name": "news-de", "lang": "deu_Latn", "format": "text", "source": "news.de.gz"},
    "plan": None,
    "retry_of": None,
    "created": "2026-05-01T12:00:00.120000Z",
    "started": "2026-05-01T12:00:00.310000Z",
    "finished": None,
    "progress": {"stage": "read", "done": 1_200_000, "total": None, "rate": 400_000.0, "eta_seconds": None},
    "stages": [
        {
            "name": "read",
            "state": "running",
            "done": 1_200_000,
            "total": None,
            "seconds": 3.0,
            "rate": 400_000.0,
            "eta_seconds": None,
        }
    ],
    "stage_seconds": {"read": 3.0},
    "attempts": 1,
    "cancel_requested": False,
    "error": None,
    "result": None,
    "links": {"self": f"/v1/jobs/{_JOB}", "events": f"/v1/jobs/{_JOB}/events", "cancel": f"/v1/jobs/{_JOB}/cancel"},
}


class JobOut(BaseModel):
    """A job, wherever it is in its life."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str
    kind: JobKind
    state: JobState
    request: dict[str, Any] = Field(description="What was asked for.")
    plan: dict[str, Any] | None = Field(description="What the job was expected to take when it was sent, where known.")
    retry_of: str | None = Field(description="The job that this one is another try of.")
    created: datetime
    started: datetime | None
    finished: datetime | None
    progress: JobProgress | None = Field(description="The stage a running job is in.")
    stages: list[JobStage] = Field(description="The stages of the last attempt, in the order in which they began.")
    stage_seconds: dict[str, float] = Field(description="Wall-clock time per stage so far.")
    attempts: int = Field(description="Processes started for the job; more than one means that one died.")
    cancel_requested: bool
    error: JobError | None
    result: dict[str, Any] | None = Field(description="A mining job names its bitext, an ingest job its corpus.")
    links: dict[str, str]

    @classmethod
    def of(cls, record: JobRecord) -> JobOut:
        request = {name: value for name, value in record.spec.items() if name not in _INTERNAL}
        fields = record.model_dump(exclude=_HIDDEN)
        return cls(**fields, request=request, links=_links(record), stage_seconds=record.stage_seconds)


def _links(record: JobRecord) -> dict[str, str]:
    """Where to go from a job: what can be done with it, and what it made."""
    own = f"/v1/jobs/{record.id}"
    links = {"self": own, "events": f"{own}/events"}
    if not record.state.final:
        links["cancel"] = f"{own}/cancel"
    elif record.state is not JobState.SUCCEEDED:
        links["retry"] = f"{own}/retry"
    if record.retry_of:
        links["retry_of"] = f"/v1/jobs/{record.retry_of}"
    if record.result and "bitext" in record.result:
        links["bitext"] = f"/v1/bitexts/{record.result['bitext']}"
    if record.kind is JobKind.MATRIX:
        links["report"] = f"/v1/matrix-jobs/{record.id}/report"
    if record.result and "corpus" in record.result:
        links["corpus"] = f"/v1/corpora/{record.result['corpus']}"
    return links


class JobPage(BaseModel):
    """Some jobs. A page may have fewer than asked for, even none, with more on the next: only the cursor tells."""

    items: list[JobOut]
    next_cursor: str | None = None
