"""Matrix jobs, as they are asked for and shown."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, Strict

from bitextmine.margin import Margin, Retrieval
from bitextmine.matrix.plan import MOST_CORPORA
from bitextmine.matrix.record import PairState
from bitextmine.mining import MAX_K
from bitextmine.search.method import DEFAULT_RECALL, Method
from bitextmine_service.models.common import EncoderName, Name, whole
from bitextmine_service.models.jobs import Recall, Score

MOST_LISTED = 10_000
NamePair = Annotated[list[Name], Field(min_length=2, max_length=2, description="Two corpora, the source first.")]
Pivot = Annotated[str, Field(min_length=1, max_length=64)]
Pairs = Annotated[list[NamePair], Field(max_length=MOST_LISTED)]


class MatrixJobIn(BaseModel):
    """Which corpora to mine with one another, and how."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"corpora": ["news-de", "news-en", "news-fr"], "precision": 0.9}]},
    )

    corpora: Annotated[list[Name], Field(min_length=2, max_length=MOST_CORPORA)]
    pairs: Pairs | None = Field(default=None, description="These pairs only; by default all in different languages.")
    pivots: Annotated[list[Pivot], Field(max_length=MOST_CORPORA)] = Field(
        default=[], description="Corpora, or languages and so all their corpora: only pairs with one of them."
    )
    first: Pairs = Field(default=[], description="Pairs that are mined before the others; else the cheapest are.")
    encoder: EncoderName = "muse"
    k: Annotated[int, Strict(), Field(ge=1, le=MAX_K), BeforeValidator(whole)] = 4
    margin: Margin = Margin.RATIO
    retrieval: Retrieval = Retrieval.MAX_SCORE
    threshold: Score | None = Field(default=None, description="Pairs with a lower margin are dropped.")
    precision: Annotated[float, Strict(), Field(gt=0, lt=1)] | None = Field(
        default=None,
        description="Have a threshold chosen for each pair of corpora that gives it this precision; `threshold` is "
        "then for those of which none can be.",
    )
    ceiling: Score | None = Field(default=None, description="Pairs with a higher margin are dropped.")
    filters: str | dict[str, JsonValue] = Field(
        default="default", description="`default`, `none`, or a mapping of filters to their bounds."
    )
    method: Method = Field(default=Method.AUTO, description="How neighbours are searched; see GET /v1/plan.")
    target_recall: Recall = DEFAULT_RECALL
    allow_uncovered_languages: Annotated[bool, Strict()] = False
    drop_identical: Annotated[bool, Strict()] = Field(
        default=False, description="Drop pairs whose two sentences are the same text."
    )


class MatrixPairOut(BaseModel):
    """One pair of corpora, and what came of it."""

    src: str
    tgt: str
    src_lang: str
    tgt_lang: str
    expected_seconds: float = Field(description="Of the search, as planned; 0 where it was done before.")
    state: PairState
    result: dict[str, Any] = Field(description="The bitext, counts, histograms, the threshold and what filters did.")
    error: str
    code: str


class MatrixReport(BaseModel):
    """What came of a matrix job so far."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "matrix": "9796edceeb52b8a93c316d3e70aba1d4",
                    "encoder": "muse",
                    "parameters": {"mining": {}, "precision": 0.9, "filters": {"defaults": False}},
                    "plan": {"pairs": 1, "sentences": 3738, "sentences_to_embed": 3738},
                    "corpora": {
                        "news-de": {"lang": "deu_Latn", "sentences": 1000, "to_embed": 1000},
                        "news-en": {"lang": "eng_Latn", "sentences": 2738, "to_embed": 2738},
                    },
                    "pairs": [
                        {
                            "src": "news-de",
                            "tgt": "news-en",
                            "src_lang": "deu_Latn",
                            "tgt_lang": "eng_Latn",
                            "expected_seconds": 1.9,
                            "state": "done",
                            "result": {"bitext": "f2e862cbcb47457d4541cf47134e0da2", "pairs": 871, "seconds": 2.4},
                            "error": "",
                            "code": "",
                        }
                    ],
                    "started": "2026-05-01T12:00:00.120+00:00",
                    "finished": "2026-05-01T12:00:14.870+00:00",
                    "stopped": False,
                    "written": "2026-05-01T12:00:14.870+00:00",
                    "seconds": {"embeddings": 7.7, "neighbors": 1.9, "bitext": 0.2, "filter": 0.3},
                    "counts": {"waiting": 0, "running": 0, "done": 1, "failed": 0},
                }
            ]
        }
    )

    matrix: str = Field(description="Names the run: the same corpora, pairs and parameters are the same run.")
    encoder: str
    parameters: dict[str, Any]
    plan: dict[str, Any]
    corpora: dict[str, dict[str, Any]]
    pairs: list[MatrixPairOut]
    started: str
    finished: str | None
    stopped: bool = Field(default=False, description="Whether it ended before all was done: cancelled, or interrupted.")
    written: str = Field(default="", description="When this was so.")
    seconds: dict[str, float] = Field(description="By what was made, over all processes.")
    counts: dict[PairState, int] = Field(description="Pairs of corpora by state.")
