"""A vector for each token of a sentence, from inside the graphs that compute one before they pool.

The graphs of muse and e5 have a value (batch, longest, dims) that the sentence's vector is a sum of. It is made an
output of a second session, on the CPU, of the fp32 graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitextmine.encoders.batching import token_budget_batches
from bitextmine.encoders.card import MODEL
from bitextmine.encoders.encoder import Encoder
from bitextmine.encoders.runtime import TOKEN_BUDGETS
from bitextmine.errors import EncoderError, ParameterError
from bitextmine.resources import Provider

_VALUES = ("f_padded", "padded")  # of muse, of e5; zero where there is padding
Span = tuple[int, int]  # in characters of the sentence, the end not included


@dataclass(frozen=True, slots=True)
class TokenVectors:
    """The tokens of a sentence that stand for some of its characters, in their order."""

    spans: list[Span]
    vectors: NDArray[np.float32]  # (tokens, dims), rows of length 1


def token_vectors(encoder: Encoder, sentences: list[str]) -> list[TokenVectors]:
    """The token vectors of some sentences, in batches of similar length that bound the memory of the graph's own
    values. What is beyond the encoder's max_tokens has none.

    Raises:
        ParameterError: `no-token-vectors`: the encoder's graph computes none that are known here.
        EncoderError: its files are damaged.
        InputError: a sentence is not Unicode text.
    """
    session, value = _session(encoder)
    tokens = encoder.tokenize(sentences)
    made: dict[int, TokenVectors] = {}
    for rows in token_budget_batches(tokens.lengths, TOKEN_BUDGETS[Provider.CPU]):
        ids, mask = tokens.padded(rows)
        (found,) = session.run([value], {"input_ids": ids, "attention_mask": mask})
        for row, vectors in zip(rows.tolist(), found, strict=True):
            made[row] = _of(encoder.token_spans(sentences[row]), int(tokens.lengths[row]), vectors)
    return [made[row] for row in range(len(sentences))]


def _of(spans: list[Span], length: int, vectors: NDArray[np.float32]) -> TokenVectors:
    """Marks, the prefix, and spaces alone have empty spans. A sentence that was cut to `length` ends with a mark."""
    there = spans if length == len(spans) else spans[: length - 1]
    kept = [row for row, (start, stop) in enumerate(there) if stop > start]
    lengths = np.linalg.norm(vectors[kept], axis=1, keepdims=True)
    unit = (vectors[kept] / np.maximum(lengths, 1e-9)).astype(np.float32)
    return TokenVectors([spans[row] for row in kept], unit)


def _session(encoder: Encoder) -> tuple[Any, str]:
    return _sessions(str(encoder.directory / MODEL), encoder.card.files[MODEL], encoder.name)


@lru_cache(maxsize=2)  # it holds the graph's weights
def _sessions(path: str, sha256: str, name: str) -> tuple[Any, str]:
    """A session whose only output is the token vectors; `sha256` is there to tell one installation from the next."""
    import onnx
    import onnxruntime

    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf's own, or OSError
        raise EncoderError(f"the model of {name} cannot be read") from error
    made = {output for node in model.graph.node for output in node.output}
    value = next((each for each in _VALUES if each in made), None)
    if value is None:
        message = f"encoder {name} has no vectors of tokens: those of muse and e5-small are known"
        raise ParameterError(message, code="no-token-vectors")
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info(value, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"]), value
