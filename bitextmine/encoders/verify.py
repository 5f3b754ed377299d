"""Check an installed encoder against vectors of the original it was made from."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from bitextmine.encoders.card import REFERENCES, Precision
from bitextmine.encoders.encoder import Encoder
from bitextmine.errors import NotFoundError

BATCH_DIFFERENCE_BOUND = 1e-5
_LEAST_COSINE = 0.99  # of the mean of another precision than fp32, as when it was made
_REFERENCES = Path(__file__).parent / "references"


class ReferenceSentence(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    language: str  # deu_Latn
    text: str


class References(BaseModel):
    """Sentences and what the original graph makes of each, encoded alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str
    source: str  # the graph that made the vectors, in words
    dims: int
    sentences: tuple[ReferenceSentence, ...]
    mean_cosine_bound: float  # what an intact encoder exceeds: an original that rounds its activations is not matched
    vectors: str  # (sentences, dims) little-endian float16, row after row, as base64

    def matrix(self) -> NDArray[np.float32]:
        """(sentences, dims) float32."""
        numbers = np.frombuffer(base64.b64decode(self.vectors), "<f2")
        return numbers.reshape(len(self.sentences), self.dims).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Verification:
    """How close an encoder is to its original; every cosine is in -1 .. 1, higher is better."""

    sentences: int
    mean_cosine: float
    min_cosine: float
    max_batch_difference: float  # largest difference of a component, alone and in one padded batch
    language_cosines: Mapping[str, float]  # the mean of each language
    bound: float  # of the mean cosine

    @property
    def passed(self) -> bool:
        return self.mean_cosine >= self.bound and self.max_batch_difference <= BATCH_DIFFERENCE_BOUND


def load_references(name: str) -> References:
    """The reference vectors of a preset.

    Raises:
        NotFoundError: there are none for this encoder.
    """
    path = _REFERENCES / f"{name}.json"
    if not path.is_file():
        raise NotFoundError(f"there are no reference vectors for the encoder {name}")
    return References.model_validate_json(path.read_bytes())


def references_of(encoder: Encoder) -> References:
    """The reference vectors of an installed encoder: its own, from when it was exported, or the preset's.

    Raises:
        NotFoundError: there are none.
        EncoderError: its own are damaged.
    """
    path = encoder.directory / REFERENCES
    if REFERENCES not in encoder.card.files:
        return load_references(encoder.name)
    encoder.check()
    return References.model_validate_json(path.read_bytes())


def verify(encoder: Encoder) -> Verification:
    """Encode the reference sentences, alone and in one padded batch, and compare.

    Raises:
        NotFoundError: there are no reference vectors for this encoder.
        EncoderError: the encoder is damaged.
    """
    references = references_of(encoder)
    bound = references.mean_cosine_bound
    texts = [sentence.text for sentence in references.sentences]
    alone = np.concatenate([encoder.encode_batch([text]) for text in texts])
    together = encoder.encode_batch(texts)
    expected = references.matrix()
    cosines = (alone * expected).sum(axis=1) / np.linalg.norm(expected, axis=1)
    languages = np.array([sentence.language for sentence in references.sentences])
    return Verification(
        sentences=len(texts),
        mean_cosine=float(cosines.mean()),
        min_cosine=float(cosines.min()),
        max_batch_difference=float(np.abs(alone - together).max()),
        language_cosines={
            str(language): float(cosines[languages == language].mean()) for language in np.unique(languages)
        },
        bound=bound if encoder.precision is Precision.FP32 else min(bound, _LEAST_COSINE),
    )
