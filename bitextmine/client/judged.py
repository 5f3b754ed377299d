"""What the service answers about thresholds and judged pairs, as typed, frozen objects."""

from __future__ import annotations

from datetime import datetime

from bitextmine.client.results import Answer, Pair


class Precision(Answer):
    """The share of good pairs among those that reach a threshold, estimated from judged ones."""

    judged: int
    good: int
    precision: float
    low: float  # of a 95% interval
    high: float
    covered: float  # share of the tenths of the pairs, by margin, that have judged ones


class Expected(Answer):
    """What is expected of the pairs that reach a threshold without anyone having judged them."""

    precision: float
    low: float  # of a 90% interval
    high: float
    recall: float


class Histogram(Answer):
    """How margins are distributed: `counts[i]` pairs from `edges[i]` on, below `edges[i + 1]`."""

    pairs: int
    edges: list[float]
    counts: list[int]
    at_least: list[int]  # pairs whose margin is the bin's lower edge or more
    precision: list[Precision | None]  # of those pairs; None where none of them is judged
    expected: tuple[Expected | None, ...] = ()  # the same without judgements; empty where there is no estimate


class Sample(Answer):
    """Random pairs."""

    items: list[Pair]
    total: int  # pairs with such margins


class Judgement(Answer):
    """A verdict, and the pair that it is of."""

    src_row: int
    tgt_row: int
    verdict: str  # good or bad
    margin: float
    src: str
    tgt: str
    judged: datetime


class Judgements(Answer):
    """All judgements of a bitext, by falling margin."""

    good: int
    bad: int
    items: list[Judgement]
