"""Judging pairs by eye: samples, verdicts, and what they tell of thresholds."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict

from bitextmine.judgements import Verdict
from bitextmine_service.models.bitexts import PairOut
from bitextmine_service.models.common import whole

MOST_VERDICTS = 1_000  # of a request
Row = Annotated[int, Strict(), Field(ge=0, lt=1 << 53), BeforeValidator(whole)]


class PrecisionOut(BaseModel):
    """The share of good pairs among those that reach a threshold, estimated from judged ones."""

    judged: int = Field(description="Judged pairs among those that reach it.")
    good: int
    precision: float = Field(description="The mean of those of the tenths, by margin, that have judged pairs.")
    low: float = Field(description="Of Wilson's 95% interval.")
    high: float
    covered: float = Field(description="Share of the tenths that have judged pairs; what the others are is not known.")


class ExpectedOut(BaseModel):
    """What is expected of the pairs that reach a threshold without anyone having judged them."""

    precision: float
    low: float = Field(description="Of a 90% interval.")
    high: float
    recall: float = Field(description="Share of the translations in both corpora that these pairs would have.")


class HistogramOut(BaseModel):
    """How the margins of a bitext are distributed, and how many pairs each threshold would keep."""

    pairs: int
    edges: list[float] = Field(description="Rising, one more than bins; empty of a bitext without pairs.")
    counts: list[int] = Field(description="Pairs of each bin, its lower edge included.")
    at_least: list[int] = Field(description="Pairs whose margin is the bin's lower edge or more.")
    precision: list[PrecisionOut | None] = Field(description="Of those pairs; null where none of them is judged.")
    expected: list[ExpectedOut | None] = Field(
        default=[],
        description="The same without judgements, of all pairs before filters: empty where no precision was asked for "
        "when the corpora were mined (`precision` of mining and matrix jobs), and where documents were linked.",
    )


class SampleOut(BaseModel):
    """Random pairs, by falling margin."""

    items: list[PairOut]
    total: int = Field(description="Pairs with such margins.")


class VerdictIn(BaseModel):
    """What someone says of a pair."""

    model_config = ConfigDict(extra="forbid")

    src_row: Row
    tgt_row: Row
    verdict: Verdict | None = Field(description="good: the sentences translate each other; null takes it back.")


class JudgementsIn(BaseModel):
    """Verdicts to set; those of other pairs stay."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"judgements": [{"src_row": 134, "tgt_row": 425, "verdict": "good"}]}]},
    )

    judgements: Annotated[list[VerdictIn], Field(min_length=1, max_length=MOST_VERDICTS)]


class JudgementOut(BaseModel):
    """A verdict, and the pair that it is of."""

    src_row: int
    tgt_row: int
    verdict: Verdict
    margin: float
    src: str
    tgt: str
    judged: datetime


class JudgementsOut(BaseModel):
    """All judgements of a bitext, by falling margin."""

    good: int
    bad: int
    items: list[JudgementOut]
