"""Bitexts and their pairs, as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from bitextmine.artifacts import Artifact
from bitextmine.bitext import Bitext
from bitextmine.margin import Direction, Margin, Retrieval


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
    total: int = Field(description="Pairs that match, on all pages together.")
    next_cursor: str | None = None
