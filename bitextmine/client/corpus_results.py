"""What operations on corpora return."""

from __future__ import annotations

from datetime import datetime

from bitextmine.client.results import Answer


class Corpus(Answer):
    """Distinct sentences of one language, under a name."""

    name: str
    lang: str  # deu_Latn form
    digest: str  # names the content
    source: str  # the name of the uploaded file
    created: datetime
    lines: int
    sentences: int  # distinct: what is mined
    duplicates: int
    refused: dict[str, int]  # lines that could not be used, by reason


class RefusedLine(Answer):
    """A line that could not be used."""

    source: str | None = None  # the file's name

    line: int  # from 1
    reason: str
    detail: str


class Lengths(Answer):
    """How long sentences are, in `unit`; `histogram` counts those of `start` to below `stop` (None: no end)."""

    unit: str
    mean: float
    least: int
    most: int
    quantiles: dict[str, int]
    histogram: list[dict[str, int | None]]


class Languages(Answer):
    """What a sample of the sentences looks like; shares are of the sample."""

    identifier: str
    sample: int
    declared: str  # ISO 639-3
    declared_is_known: bool  # whether the identifier can tell the declared language at all
    agree: float | None = None  # share that looks like it; None where it cannot be told
    unsure: float
    shares: dict[str, float]  # by ISO 639-3 code


class Statistics(Answer):
    """What a corpus is like. `scripts` are shares of the letters in a sample, by ISO 15924 code."""

    lines: int
    sentences: int
    duplicates: int
    refused: dict[str, int]
    characters: Lengths
    words: Lengths
    languages: Languages
    scripts: dict[str, float]
    warnings: list[str]


class Index(Answer):
    """A corpus's vectors by one encoder, and its index, if it has one."""

    encoder: str
    sentences: int
    dims: int
    indexed: bool
    searchable: bool  # it has an index, or is so small that it needs none
    kind: str | None = None
    cells: int | None = None
    probes: int | None = None
    bytes: int | None = None


class UploadState(Answer):
    """How much of an upload has come."""

    id: str
    offset: int  # bytes that are there
    length: int  # bytes in the end
