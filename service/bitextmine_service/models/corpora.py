"""Corpora, as the API shows them. Scalars are strict, limits are in the types, unknown fields are refused."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from bitextmine.catalog import CatalogEntry
from bitextmine.corpus import Corpus, Reason


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
