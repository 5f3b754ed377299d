"""Vectors of sentences, in the shape of OpenAI's API."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict

from bitextmine_service.models.common import EncoderName, whole

MAX_INPUTS = 2048
MAX_INPUT_CHARS = 32_768
Text = Annotated[str, Strict(), Field(min_length=1, max_length=MAX_INPUT_CHARS)]


class EncodingFormat(StrEnum):
    """How vectors are written."""

    FLOAT = "float"  # JSON numbers
    BASE64 = "base64"  # of little-endian float32


class EmbeddingsIn(BaseModel):
    """Sentences to embed, in the shape of OpenAI's API."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"model": "muse", "input": ["Guten Morgen!", "Good morning!"]}]},
    )

    model: EncoderName
    input: Text | Annotated[list[Text], Field(min_length=1, max_length=MAX_INPUTS)] = Field(
        description="A sentence, or a list of some."
    )
    encoding_format: EncodingFormat = Field(
        default=EncodingFormat.FLOAT, description="base64: of little-endian float32, smaller and exact."
    )
    dimensions: Annotated[int, Strict(), Field(ge=1, le=1 << 16), BeforeValidator(whole)] | None = Field(
        default=None, description="The encoder's own: vectors are not shortened, and any other number is refused."
    )
    user: Annotated[str, Strict(), Field(max_length=1000)] | None = Field(
        default=None, description="Whoever the vectors are for; it is looked at by nobody."
    )


class EmbeddingOut(BaseModel):
    object: Literal["embedding"] = "embedding"
    index: int = Field(description="Of the sentence in the input, from 0.")
    embedding: list[float] | str = Field(description="Of length 1; numbers, or base64 where that was asked for.")


class UsageOut(BaseModel):
    prompt_tokens: int = Field(description="That the encoder read, marks of beginning and end included.")
    total_tokens: int


class EmbeddingsOut(BaseModel):
    """The vectors, in the order of the input."""

    object: Literal["list"] = "list"
    data: list[EmbeddingOut]
    model: str
    usage: UsageOut
    truncated: int = Field(description="Sentences of which only the beginning was read: they are too long.")


class ModelOut(BaseModel):
    """An installed encoder, in the shape of OpenAI's API; GET /v1/encoders says more of it."""

    id: str = Field(description="Its name.")
    object: Literal["model"] = "model"
    created: int = Field(description="When it was installed, in seconds since 1970.")
    owned_by: str


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelOut]
