"""Bitexts and their pairs, as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from bitextmine.artifacts import Artifact
from bitextmine.bitext import Bitext
from bitextmine.corpus import Reason
from bitextmine.margin import Direction, Margin, Retrieval

# Not all bitexts say these.
_KNOWN_SINCE = (
    "plan",
    "search",
    "refused",
    "src_files",
    "tgt_files",
    "filters",
    "unfiltered_pairs",
    "reused",
    "changes",
)


class FileRows(BaseModel):
    """A file of a corpus: the sentences from `first_row` to the next file's are its."""

    source: str
    first_row: int


class FilterOut(BaseModel):
    """What one filter did."""

    name: str
    dropped: int = Field(description="Pairs that it dropped first of all filters.")
    alone: int = Field(description="Pairs that it would have dropped if it were alone.")
    learnt: dict[str, float] = Field(description="What was fitted to the bitext.")


class ReusedOut(BaseModel):
    """What was known from before a corpus grew."""

    neighbors: str = Field(description="The artifact of the neighbours that were not searched again.")
    src_rows: int = Field(description="Of the source corpus, the first sentences that it holds the neighbours of.")
    tgt_rows: int


class ChangesOut(BaseModel):
    """Pairs against the bitext of the same parameters from before a corpus grew; before any filters."""

    since: str = Field(description="That bitext.")
    added: int
    added_of_new: int = Field(description="Of the added ones, those with a sentence that is new.")
    removed: int
    rescored: int = Field(description="Those that are pairs in both, with another margin.")
    unchanged: int


class BitextOut(BaseModel):
    """A bitext, mined or given and scored, and what it was made of."""

    id: str
    created: datetime
    pairs: int
    src_lang: str
    tgt_lang: str
    src_source: str
    tgt_source: str
    made_by: Literal["mining", "scoring", "alignment"] = Field(
        default="mining", description="scoring: the pairs were given. alignment: of documents, sentence by sentence."
    )
    src_background: str | None = Field(
        default=None, description="Of given pairs: what targets were compared with; null: the file's sources."
    )
    tgt_background: str | None = Field(default=None, description="The same for sources; null: the file's targets.")
    refused: dict[Reason, int] = Field(default={}, description="Of given pairs: those that could not be used.")
    src_sentences: int
    tgt_sentences: int
    src_files: list[FileRows] = Field(default=[], description="Of a mined one: the files that src_line counts in.")
    tgt_files: list[FileRows] = Field(default=[], description="The same for tgt_line.")
    encoder: str
    k: int | None = Field(description="Null of aligned documents.")
    margin: Margin | None = Field(description="Null of aligned documents: a pair's margin is its alignment's score.")
    retrieval: Retrieval | None = Field(description="Null of given pairs and of aligned documents.")
    threshold: float | None
    ceiling: float | None
    seconds: dict[str, float] = Field(description="Wall-clock time per stage of the run that made it.")
    plan: dict[str, Any] = Field(default={}, description="How the search was done and what it was expected to cost.")
    search: dict[str, Any] = Field(default={}, description="What the search found out: recall, if approximate.")
    reused: ReusedOut | None = Field(default=None, description="What the search knew; null: it searched everything.")
    changes: ChangesOut | None = Field(default=None, description="What became of the pairs since a corpus grew.")

    filtered_from: str | None = Field(default=None, description="The bitext that filters made this one of.")
    filtered_by: dict[str, Any] | None = Field(default=None, description="Which filters, within which bounds.")
    unfiltered_pairs: int | None = Field(default=None, description="Pairs before the filters.")
    filters: list[FilterOut] = Field(default=[], description="What each filter did, in their order.")

    @classmethod
    def of(cls, artifact: Artifact) -> BitextOut:
        bitext = Bitext(artifact)
        summary = {name: bitext.summary[name] for name in ("pairs", "src_sentences", "tgt_sentences", "seconds")}
        summary |= {name: bitext.summary[name] for name in _KNOWN_SINCE if name in bitext.summary}
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
    src_mean: float | None = Field(
        description="Mean cosine of src to its k nearest targets; null of a given pair without a background."
    )
    tgt_mean: float | None
    direction: Direction | None = Field(description="Whose best candidate the pair is; null of given pairs.")
    src_doc_id: str | None
    tgt_doc_id: str | None
    src_line: int
    tgt_line: int
    src_row: int
    tgt_row: int


class RejectedPairOut(PairOut):
    """A pair that a filter dropped."""

    filter: str = Field(description="The first filter that dropped it; docs/filters.md has an entry for each.")
    reason: str


class RejectedPairPage(BaseModel):
    items: list[RejectedPairOut]
    total: int = Field(description="Pairs that were dropped, on all pages together.")
    next_cursor: str | None = None


class PairPage(BaseModel):
    items: list[PairOut]
    total: int = Field(description="Pairs that match, on all pages together.")
    next_cursor: str | None = None
