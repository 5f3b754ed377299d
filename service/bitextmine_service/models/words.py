"""Word alignments, as they are asked for and shown."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, Strict

from bitextmine_service.models.common import EncoderName

MOST_PAIRS, MOST_CHARS = 32, 4_096
Sentence = Annotated[str, Strict(), Field(max_length=MOST_CHARS)]


class SentencesIn(BaseModel):
    """A sentence and its translation."""

    model_config = ConfigDict(extra="forbid")

    src: Sentence
    tgt: Sentence


class WordAlignmentsIn(BaseModel):
    """Pairs whose words to link."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"pairs": [{"src": "Es schneit heute.", "tgt": "It snows today."}]}]},
    )

    pairs: Annotated[list[SentencesIn], Field(min_length=1, max_length=MOST_PAIRS)]
    encoder: EncoderName = "muse"


class WordAlignmentOut(BaseModel):
    """Words, and which stand for which."""

    src_words: list[tuple[int, int]] = Field(
        description="First character of each word, and the one after it, in code points."
    )
    tgt_words: list[tuple[int, int]]
    links: list[tuple[int, int]] = Field(description="Positions in src_words and in tgt_words, from 0.")


class WordAlignmentsOut(BaseModel):
    """The alignment of each pair, in the order of the pairs."""

    alignments: list[WordAlignmentOut]
    encoder: str
