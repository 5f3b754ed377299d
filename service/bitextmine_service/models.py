"""The shapes of requests and responses. Scalars are strict, limits are in the types, unknown fields are refused."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict

from bitextmine.artifacts import Artifact
from bitextmine.bitext import Bitext
from bitextmine.catalog import NAME_PATTERN, CatalogEntry
from bitextmine.corpus import Corpus, Reason
from bitextmine.jobs.record import JobError, JobKind, JobProgress, JobRecord, JobState
from bitextmine.margin import Direction, Margin, Retrieval
from bitextmine.mining import MAX_K
from bitextmine.search.method import DEFAULT_RECALL, LEAST_RECALL, MOST_RECALL, Method

Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$", description="1 to 64 of a-z, 0-9, '.', '_', '-'.")]
Score = Annotated[float, Strict(), Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Recall = Annotated[
    float,
    Strict(),
    Field(ge=LEAST_RECALL, le=MOST_RECALL, description="Share of true neighbours that ivf and ivfpq aim at."),
]
MAX_INPUTS = 2048
MAX_INPUT_CHARS = 32_768
_INTERNAL = ("upload", "max_chars", "max_bytes")


def _whole(value: object) -> object:
    """4.0 is an integer, to JSON Schema and so to the API's description."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class CorpusOut(BaseModel):
    """A corpus: distinct sentences of one language."""

    name: str
    lang: str = Field(description="deu_Latn form.")
    digest: str = Field(description="Names the content: the same file in the same language has the same digest.")
    source: str = Field(description="The name of the uploaded file.")
    created: datetime
    lines: int = Field(description="Lines of the file.")
    sentences: int = Field(description="Distinct sentences: what is mined.")
    duplicates: int = Field(description="Lines that repeat an earlier sentence.")
    refused: dict[Reason, int] = Field(description="Lines that could not be used, by reason.")

    @classmethod
    def of(cls, entry: CatalogEntry, corpus: Corpus) -> CorpusOut:
        counts = {name: corpus.summary[name] for name in ("lines", "sentences", "duplicates", "refused")}
        return cls(
            name=entry.name,
            lang=entry.lang,
            digest=entry.digest,
            source=corpus.source,
            created=datetime.fromisoformat(entry.created),
            **counts,
        )


class CorpusPage(BaseModel):
    items: list[CorpusOut]
    next_cursor: str | None = None


class RefusedLine(BaseModel):
    line: int = Field(description="Counted from 1 in the uploaded file.")
    reason: Reason
    detail: str


class RefusedPage(BaseModel):
    items: list[RefusedLine]
    next_cursor: str | None = None


class MiningJobIn(BaseModel):
    """Which corpora to mine, and how."""

    model_config = ConfigDict(extra="forbid")

    src: Name
    tgt: Name
    encoder: Annotated[str, Field(min_length=1, max_length=64)] = "muse"
    k: Annotated[int, Strict(), Field(ge=1, le=MAX_K), BeforeValidator(_whole)] = 4
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
        fields = record.model_dump(exclude={"spec", "worker", "fruitless_attempts"})
        return cls(**fields, request=request, links=links)


class JobPage(BaseModel):
    items: list[JobOut]
    next_cursor: str | None = None


class BitextOut(BaseModel):
    """A mined bitext and what it was made of."""

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
    k: int
    margin: Margin
    retrieval: Retrieval
    threshold: float | None
    ceiling: float | None
    seconds: dict[str, float] = Field(description="Wall-clock time per stage of the run that made it.")
    plan: dict[str, Any] = Field(default={}, description="How the search was done and what it was expected to cost.")
    search: dict[str, Any] = Field(default={}, description="What the search found out: recall, if approximate.")

    @classmethod
    def of(cls, artifact: Artifact) -> BitextOut:
        bitext = Bitext(artifact)
        summary = {name: bitext.summary[name] for name in ("pairs", "src_sentences", "tgt_sentences", "seconds")}
        summary |= {name: bitext.summary[name] for name in ("plan", "search") if name in bitext.summary}
        return cls(id=bitext.digest, created=artifact.manifest["created"], **summary, **bitext.parameters)


class BitextPage(BaseModel):
    items: list[BitextOut]
    next_cursor: str | None = None


class PairOut(BaseModel):
    """A sentence pair with all its scores and where both sentences come from."""

    src_id: str
    tgt_id: str
    src: str
    tgt: str
    margin: float
    cosine: float
    src_rank: int | None = Field(description="Of tgt among src's k neighbours, from 1; null when not among them.")
    tgt_rank: int | None
    src_mean: float = Field(description="Mean cosine of src to its k nearest targets.")
    tgt_mean: float
    direction: Direction = Field(description="Whose best candidate the pair is.")
    src_doc_id: str | None
    tgt_doc_id: str | None
    src_line: int
    tgt_line: int
    src_row: int
    tgt_row: int


class PairPage(BaseModel):
    items: list[PairOut]
    next_cursor: str | None = None


class EncoderOut(BaseModel):
    name: str
    dims: int
    languages: list[str]
    licence: str
    installed: bool
    provider: str | None = Field(
        default=None, description="What the API runs it on, once it has loaded it: CPUExecutionProvider, CUDA..."
    )


class EncoderList(BaseModel):
    items: list[EncoderOut]


class EncodingFormat(StrEnum):
    """How vectors are written."""

    FLOAT = "float"  # JSON numbers
    BASE64 = "base64"  # of little-endian float32


Text = Annotated[str, Strict(), Field(min_length=1, max_length=MAX_INPUT_CHARS)]


class EmbeddingsIn(BaseModel):
    """Sentences to embed, in the shape of OpenAI's API."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, Field(min_length=1, max_length=64, description="An installed encoder: GET /v1/encoders.")]
    input: Text | Annotated[list[Text], Field(min_length=1, max_length=MAX_INPUTS)] = Field(
        description="A sentence, or a list of some."
    )
    encoding_format: EncodingFormat = Field(
        default=EncodingFormat.FLOAT, description="base64: of little-endian float32, smaller and exact."
    )


class EmbeddingOut(BaseModel):
    object: Literal["embedding"] = "embedding"
    index: int = Field(description="Of the sentence in the input, from 0.")
    embedding: list[float] | str = Field(description="Of length 1; numbers, or base64 where that was asked for.")


class UsageOut(BaseModel):
    prompt_tokens: int = Field(description="That the encoder read, marks of beginning and end included.")
    total_tokens: int


class EmbeddingsOut(BaseModel):
    """The vectors, in the order of the input."""

    object: Literal["list"] = "list"
    data: list[EmbeddingOut]
    model: str
    usage: UsageOut
    truncated: int = Field(description="Sentences of which only the beginning was read: they are too long.")


class Check(BaseModel):
    name: str
    ok: bool
    detail: str


class Readiness(BaseModel):
    ready: bool
    checks: list[Check]


class Liveness(BaseModel):
    live: bool = True
    version: str
