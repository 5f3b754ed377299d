"""Scores of given pairs. Scalars are strict, limits are in the types, unknown fields are refused."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict

from bitextmine.margin import Margin
from bitextmine.mining import MAX_K
from bitextmine.pair_files import PairFormat
from bitextmine.uploads import ID_PATTERN
from bitextmine_service.models.common import EncoderName, Name, whole
from bitextmine_service.models.embeddings import MAX_INPUT_CHARS

MAX_PAIRS, MAX_NEIGHBORHOOD = 1_000, 64
Sentence = Annotated[str, Strict(), Field(min_length=1, max_length=MAX_INPUT_CHARS, pattern=r"\S")]
Language = Annotated[str, Strict(), Field(min_length=2, max_length=40, description="de, deu, deu_Latn, zh-Hans ...")]
SrcBackground = Annotated[
    Name | None, Field(description="A corpus of the source's language: where the targets have their neighbourhoods.")
]
TgtBackground = Annotated[
    Name | None, Field(description="A corpus of the target's language: where the sources have their neighbourhoods.")
]
_EXAMPLE: dict[str, Any] = {
    "src_lang": "de",
    "tgt_lang": "en",
    "pairs": [{"src": "Wo ist der Bahnhof?", "tgt": "Where is the station?"}],
    "src_background": "news-de",
    "tgt_background": "news-en",
}


class PairIn(BaseModel):
    """A sentence and what may be its translation."""

    model_config = ConfigDict(extra="forbid")

    src: Sentence
    tgt: Sentence


class ScoreIn(BaseModel):
    """Pairs to score, and what to score them against."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    src_lang: Language
    tgt_lang: Language
    pairs: Annotated[list[PairIn], Field(min_length=1, max_length=MAX_PAIRS)]
    src_background: SrcBackground = None
    tgt_background: TgtBackground = None
    encoder: EncoderName = "muse"
    k: Annotated[int, Strict(), Field(ge=1, le=MAX_NEIGHBORHOOD), BeforeValidator(whole)] = Field(
        default=4, description="Neighbours that a margin compares with, as in a mining job."
    )
    margin: Margin = Field(default=Margin.RATIO, description="All but absolute need both backgrounds.")
    exact: Annotated[bool, Strict()] = Field(
        default=False, description="Compare with each sentence of a large background, not with an index's candidates."
    )
    allow_uncovered_languages: Annotated[bool, Strict()] = False


class PairScoreOut(BaseModel):
    """What a pair's vectors say of it."""

    margin: float | None = Field(description="Null where the neighbourhoods' mean is not positive: it says nothing.")
    cosine: float
    src_mean: float | None = Field(description="Mean cosine of src to its k nearest in tgt_background; null without.")
    tgt_mean: float | None = Field(description="Mean cosine of tgt to its k nearest in src_background; null without.")


class BackgroundOut(BaseModel):
    corpus: str
    sentences: int
    exact: bool = Field(description="Whether pairs were compared with each sentence; else an index gave candidates.")


class ScoreOut(BaseModel):
    """The scores, in the order of the pairs."""

    scores: list[PairScoreOut]
    encoder: str
    k: int
    margin: Margin
    src_background: BackgroundOut | None
    tgt_background: BackgroundOut | None
    truncated: int = Field(description="Sentences of which only the beginning was read: they are too long.")


class ScoringJobIn(BaseModel):
    """What a file of pairs is, and what to score them against: the query of the request whose body is the file."""

    model_config = ConfigDict(extra="forbid")

    src_lang: Annotated[str, Field(max_length=40, description="Language of the source: de, deu, deu_Latn ...")]
    tgt_lang: Annotated[str, Field(max_length=40, description="Language of the target.")]
    format: PairFormat | None = Field(
        default=None,
        description="tsv: src, tgt or score, src, tgt, or as `columns` says; jsonl; tmx; moses: a zip that holds two "
        "texts, whose names end in the languages. Told by the name in `source` if absent.",
    )
    columns: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="A TSV's columns of source and target: 2,3 or, by their names, german,english."
    )
    source: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="The file's name, kept as provenance."
    )
    src_background: SrcBackground = Field(default=None, description="If absent, the file's own sources are it.")
    tgt_background: TgtBackground = Field(default=None, description="If absent, the file's own targets are it.")
    encoder: EncoderName = "muse"
    k: Annotated[int, Field(ge=1, le=MAX_K, description="Neighbours that a margin compares with.")] = 4
    margin: Margin = Field(default=Margin.RATIO, description="What a cosine is set against its neighbourhood by.")
    allow_uncovered_languages: bool = Field(
        default=False, description="Score languages that the encoder was not trained on."
    )
    upload: Annotated[str, Field(pattern=f"^{ID_PATTERN}$")] | None = Field(
        default=None, description="A finished upload in pieces, in place of a body."
    )
