"""Vectors of sentences."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bitextmine.client.answers import answered, parsed
from bitextmine.client.operation import Group, Mode, operation
from bitextmine.client.results import Answer
from bitextmine.client.steps import Call, Flow
from bitextmine.errors import ParameterError, ServiceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_TEXTS, MOST_BYTES = 1024, 900_000  # of a request: the service takes 2,048 and 1 MiB


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors of sentences, in their order."""

    vectors: NDArray[np.float32]  # (sentences, dims), each of length 1
    encoder: str
    tokens: int  # that the encoder read
    truncated: int  # sentences of which only the beginning was read


class _Vector(Answer):
    index: int
    embedding: str


class _Usage(Answer):
    total_tokens: int


class _Vectors(Answer):
    data: list[_Vector]
    usage: _Usage
    truncated: int = 0


class Embedding(Group[Mode]):
    """`client.embed`"""

    @operation
    def embed(self, texts: str | Sequence[str], *, encoder: str = "muse") -> Flow[Embeddings]:
        """Vectors of a sentence or of some; more than one request takes are sent in several.

        Raises:
            ServiceError: `encoder-not-installed`, `queue-full` ...
            ParameterError: there are none.
        """
        import numpy as np

        texts = [texts] if isinstance(texts, str) else list(texts)
        if not texts:
            raise ParameterError("there are no sentences to embed")
        found: list[bytes] = []
        tokens = truncated = 0
        for batch in _batches(texts):
            wanted = {"model": encoder, "input": batch, "encoding_format": "base64"}
            response = yield from answered(Call("POST", "/v1/embeddings", json=wanted))
            answer = parsed(_Vectors, response)
            if len(answer.data) != len(batch):
                raise ServiceError(f"{len(batch)} sentences were sent and {len(answer.data)} vectors came back")
            found += (base64.b64decode(each.embedding) for each in sorted(answer.data, key=lambda each: each.index))
            tokens, truncated = tokens + answer.usage.total_tokens, truncated + answer.truncated
        vectors = np.frombuffer(b"".join(found), "<f4").reshape(len(found), -1).astype(np.float32, copy=False)
        return Embeddings(vectors, encoder, tokens, truncated)


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        length = len(json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass")) + 1
        if batch and (len(batch) == MOST_TEXTS or size + length > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += length
    yield batch
