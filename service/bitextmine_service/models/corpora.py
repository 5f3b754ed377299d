"""Corpora, as the API shows them. Scalars are strict, limits are in the types, unknown fields are refused."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from bitextmine.catalog import CatalogEntry
from bitextmine.corpus import Corpus, Reason


class CorpusFileOut(BaseModel):
    """A file that a corpus was made of."""

    source: str = Field(description="Its name.")
    lines: int
    sentences: int = Field(description="Distinct sentences that the files before it do not have.")


class CorpusOut(BaseModel):
    """A corpus: distinct sentences of one language."""

    name: str
    lang: str = Field(description="deu_Latn form.")
    digest: str = Field(description="Names the content: the same file in the same language has the same digest.")
    version: int = Field(description="Counted from 1; each appended file makes one.")
    source: str = Field(description="The names of its files.")
    files: list[CorpusFileOut] = Field(description="What it was made of, in the order in which it was appended.")
    created: datetime
    updated: datetime = Field(description="When its last version was made.")
    lines: int = Field(description="Lines of the files.")
    sentences: int = Field(description="Distinct sentences: what is mined.")
    duplicates: int = Field(description="Lines that repeat an earlier sentence.")
    refused: dict[Reason, int] = Field(description="Lines that could not be used, by reason.")
    warnings: list[str] = Field(description="What looks wrong with it, such as a language that was not declared.")

    @classmethod
    def of(cls, entry: CatalogEntry, corpus: Corpus, warnings: list[str]) -> CorpusOut:
        counts = {name: corpus.summary[name] for name in ("lines", "sentences", "duplicates", "refused")}
        return cls(
            name=entry.name,
            lang=entry.lang,
            digest=entry.digest,
            version=entry.version,
            source=corpus.source,
            files=_files_of(corpus),
            created=datetime.fromisoformat(entry.created),
            updated=datetime.fromisoformat(entry.updated),
            warnings=warnings,
            **counts,
        )


class CorpusPage(BaseModel):
    items: list[CorpusOut]
    next_cursor: str | None = None


class RefusedLine(BaseModel):
    source: str = Field(description="The name of its file.")
    line: int = Field(description="Counted from 1 in that file.")
    reason: Reason
    detail: str


class RefusedPage(BaseModel):
    items: list[RefusedLine]
    next_cursor: str | None = None


class LengthCount(BaseModel):
    start: int
    stop: int | None = Field(description="Not included; null: no end.")
    count: int


class LengthsOut(BaseModel):
    """How long sentences are."""

    unit: str = Field(description="characters, or words; where the script puts no spaces, words are characters.")
    mean: float
    least: int
    most: int
    quantiles: dict[str, int] = Field(description="Exact, of all sentences: 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99.")
    histogram: list[LengthCount] = Field(description="Without the lengths that none has.")


class LanguagesOut(BaseModel):
    """What an evenly spaced sample of the sentences looks like to a language identifier."""

    identifier: str
    sample: int = Field(description="Sentences looked at.")
    declared: str = Field(description="ISO 639-3.")
    declared_is_known: bool = Field(description="Whether the identifier can tell the declared language at all.")
    agree: float | None = Field(description="Share that looks like the declared language; null where it is not known.")
    unsure: float = Field(description="Share that looks like no language in particular.")
    shares: dict[str, float] = Field(description="Share of each language by its ISO 639-3 code, the 20 largest.")


class StatisticsOut(BaseModel):
    """What a corpus is like."""

    lines: int
    sentences: int
    duplicates: int
    refused: dict[Reason, int]
    characters: LengthsOut
    words: LengthsOut
    languages: LanguagesOut
    scripts: dict[str, float] = Field(description="Share of the sample's letters by ISO 15924 code.")
    warnings: list[str]


def _files_of(corpus: Corpus) -> list[CorpusFileOut]:
    stops = [*(part.first_row for part in corpus.parts[1:]), len(corpus)]
    return [
        CorpusFileOut(source=part.source, lines=part.lines, sentences=stop - part.first_row)
        for part, stop in zip(corpus.parts, stops, strict=True)
    ]
