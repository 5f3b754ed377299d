"""Searches, and the indexes that they use. Scalars are strict, limits are in the types, unknown fields are refused."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, model_validator
from pydantic.config import JsonDict

from bitextmine.margin import Margin
from bitextmine_service.models.common import EncoderName, Name, whole
from bitextmine_service.models.embeddings import MAX_INPUT_CHARS
from bitextmine_service.models.jobs import Score

MAX_QUERIES, MAX_HITS, MAX_NEIGHBORHOOD = 64, 100, 64
MAX_CORPORA, MAX_DIMS, MAX_PROBES = 64, 16_384, 1 << 16
_MAX_DOCUMENTS, _MAX_FIELDS = 1_000, 16
_BASE64_CHARS = -(-4 * MAX_DIMS // 3) * 4

Query = Annotated[str, Strict(), Field(min_length=1, max_length=MAX_INPUT_CHARS, pattern=r"\S")]
Language = Annotated[str, Strict(), Field(min_length=2, max_length=40, description="de, deu, deu_Latn, zh-Hans ...")]
Number = Annotated[float, Strict(), Field(ge=-1e30, le=1e30, allow_inf_nan=False)]
Vector = (
    Annotated[list[Number], Field(min_length=1, max_length=MAX_DIMS)]
    | Annotated[str, Strict(), Field(min_length=8, max_length=_BASE64_CHARS)]
)
Cosine = Annotated[float, Strict(), Field(ge=-1, le=1, allow_inf_nan=False)]
ShortText = Annotated[str, Strict(), Field(min_length=1, max_length=1_000)]


class FilterIn(BaseModel):
    """Which sentences may be hits: those that pass all of it."""

    model_config = ConfigDict(extra="forbid")

    doc_ids: Annotated[list[ShortText], Field(min_length=1, max_length=_MAX_DOCUMENTS)] | None = Field(
        default=None, description="Those of one of these documents."
    )
    meta: Annotated[
        dict[ShortText, Annotated[str, Strict(), Field(max_length=1_000)]], Field(max_length=_MAX_FIELDS)
    ] = Field(default={}, description="Those with just this metadata, as JSONL corpora can have.")


_EITHER: JsonDict = {
    "oneOf": [{"required": ["texts"]}, {"required": ["vectors"]}],
    "anyOf": [{"required": ["corpora"]}, {"required": ["langs"]}],
    "examples": [{"texts": ["Wo ist der Bahnhof?"], "lang": "de", "corpora": ["news-en"], "k": 3}],
}


class SearchIn(BaseModel):
    """What to search for, where, and which hits to keep."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_EITHER)

    texts: Annotated[list[Query], Field(min_length=1, max_length=MAX_QUERIES)] = Field(
        default=[], description="Sentences to search for; either these or vectors."
    )
    vectors: Annotated[list[Vector], Field(min_length=1, max_length=MAX_QUERIES)] = Field(
        default=[],
        description="Vectors by the encoder: numbers, or base64 of little-endian float32, as /v1/embeddings gives.",
    )
    lang: Language | None = Field(
        default=None, description="Of the texts; needed for margins, unless background is given."
    )
    corpora: Annotated[list[Name], Field(min_length=1, max_length=MAX_CORPORA)] = Field(
        default=[], description="Corpora to search; these, or langs, or both."
    )
    langs: Annotated[list[Language], Field(min_length=1, max_length=MAX_CORPORA)] = Field(
        default=[], description="Search all corpora of these languages; those that are not ready are skipped."
    )
    encoder: EncoderName = "muse"
    k: Annotated[int, Strict(), Field(ge=1, le=MAX_HITS), BeforeValidator(whole)] = Field(
        default=10, description="Most hits of a query. Of each corpus the k nearest by cosine are looked at."
    )
    margin: Margin = Margin.RATIO
    neighborhood: Annotated[int, Strict(), Field(ge=1, le=MAX_NEIGHBORHOOD), BeforeValidator(whole)] = Field(
        default=4, description="Neighbours that a margin compares with: a mining job's k."
    )
    background: Name | None = Field(
        default=None,
        description="A corpus of the query's language, that a hit's neighbourhood is looked for in. By default the one "
        "that was mined with the corpus searched, else the largest of that language.",
    )
    probes: Annotated[int, Strict(), Field(ge=1, le=MAX_PROBES), BeforeValidator(whole)] | None = Field(
        default=None, description="Cells of an index to search; more find more and take longer."
    )
    exact: Annotated[bool, Strict()] = Field(default=False, description="Compare with every sentence, not by an index.")
    min_margin: Score | None = Field(default=None, description="Drop hits with a lower margin.")
    min_cosine: Cosine | None = Field(default=None, description="Drop hits with a lower cosine.")
    filter: FilterIn = FilterIn()
    allow_uncovered_languages: Annotated[bool, Strict()] = False

    @model_validator(mode="after")
    def _either(self) -> SearchIn:
        if bool(self.texts) == bool(self.vectors):
            raise ValueError("give texts or vectors, and not both")
        if not self.corpora and not self.langs:
            raise ValueError("give corpora or langs to search, or both")
        return self

    @property
    def queries(self) -> int:
        return len(self.texts) or len(self.vectors)


class HitOut(BaseModel):
    """A sentence near a query."""

    rank: int = Field(description="From 1.")
    text: str
    corpus: str
    lang: str
    row: int = Field(description="In the corpus, from 0.")
    id: str = Field(description="The input's own, or its line number.")
    doc_id: str | None
    source: str = Field(description="The name of the file that it came from.")
    line: int = Field(description="Of the file, counted from 1; of its first appearance there.")
    meta: dict[str, Any] = Field(description="Metadata that the input gave.")
    cosine: float
    margin: float | None = Field(
        description="As a mining job scores the pair; null where no background is there, or a mean is not positive."
    )
    query_mean: float | None = Field(description="Mean cosine of the query to its nearest in the hit's corpus.")
    hit_mean: float | None = Field(description="Mean cosine of the hit to its nearest in the background.")


class HitsOut(BaseModel):
    """The hits of a query, best first."""

    hits: list[HitOut]


class SearchedOut(BaseModel):
    """A corpus that was searched, and how."""

    corpus: str
    lang: str
    sentences: int
    exact: bool = Field(description="Every sentence was compared; else an index gave candidates.")
    background: str | None = Field(description="The corpus that hits' means come from.")
    background_mined: bool = Field(description="Those means are what a mining job has stored.")


class SkippedOut(BaseModel):
    """A corpus of a language asked for that could not be searched."""

    corpus: str
    code: str = Field(description="Why; docs/errors.md explains each.")


class SearchOut(BaseModel):
    """The hits of each query, in the order of the queries, and where they were looked for."""

    results: list[HitsOut]
    order: str = Field(description="margin, or cosine where a corpus has no background.")
    searched: list[SearchedOut]
    skipped: list[SkippedOut]
    encoder: str
    truncated: int = Field(description="Texts of which only the beginning was read: they are too long.")


class IndexIn(BaseModel):
    """By which encoder a corpus shall be searchable."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"encoder": "muse"}]})

    encoder: EncoderName = "muse"
    allow_uncovered_languages: Annotated[bool, Strict()] = False


class IndexOut(BaseModel):
    """A corpus's vectors by one encoder, and its index, if it has one."""

    encoder: str
    sentences: int
    dims: int
    indexed: bool
    searchable: bool = Field(description="It has an index, or is so small that it needs none.")
    kind: str | None = Field(description="How the index keeps vectors: pq-fastscan is loaded, rabitq mapped.")
    cells: int | None
    probes: int | None = Field(description="Cells that are searched unless a request says otherwise.")
    bytes: int | None


class IndexList(BaseModel):
    items: list[IndexOut]
