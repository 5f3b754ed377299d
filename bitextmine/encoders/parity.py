"""Whether an exported graph gives the vectors of the model it was made from."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitextmine.encoders.card import MODEL, TOKENIZER_JSON, Parity
from bitextmine.encoders.parity_sentences import PARITY_SENTENCES
from bitextmine.encoders.runtime import Graph
from bitextmine.encoders.tokenizer import JsonTokenizer
from bitextmine.encoders.verify import References, ReferenceSentence
from bitextmine.errors import EncoderError

DIFFERENCE_BOUND = 1e-4
BATCH_DIFFERENCE_BOUND = 1e-5
_COSINE_BOUND = 0.9999  # the references are kept in 16 bits
_SHORT = 300  # characters: `verify` encodes all in one batch
_ROWS = 8  # of a batch; its sentences are of all lengths, so that most of it is padding


@dataclass(frozen=True, slots=True)
class Original:
    """What the original makes of the sentences that it gives any token for."""

    sentences: tuple[str, ...]
    tokens: tuple[list[int], ...]
    alone: NDArray[np.float32]  # (n, dims), one by one
    together: NDArray[np.float32]  # (n, dims), in the original's own batches
    reference: str


def original_vectors(model: Any, prefix: str) -> Original:
    """Encode the sentences of `parity_sentences` with a SentenceTransformer.

    Raises:
        EncoderError: it cannot encode them (code export-unsupported).
    """
    import sentence_transformers

    try:
        tokens = [_original_tokens(model, sentence, prefix) for sentence in PARITY_SENTENCES]
        kept = [row for row, ids in enumerate(tokens) if ids]  # without marks, an empty sentence has none
        sentences = [PARITY_SENTENCES[row] for row in kept]
        vectors = [
            model.encode(sentences, prompt=prefix, normalize_embeddings=True, batch_size=rows, show_progress_bar=False)
            for rows in (1, _ROWS)
        ]
    except Exception as error:  # any library below may fail in its own way on a model that is not right
        message = f"sentence-transformers cannot encode with the model: {_one_line(error)}"
        raise EncoderError(message, code="export-unsupported") from error
    reference = f"sentence-transformers {sentence_transformers.__version__}, fp32"
    return Original(tuple(sentences), tuple(tokens[row] for row in kept), vectors[0], vectors[1], reference)


def measure_parity(directory: Path, original: Original, *, prefix: str, max_tokens: int) -> Parity:
    """Compare `model.onnx` and `tokenizer.json` in a directory with the original, alone and in batches.

    Raises:
        EncoderError: the tokens differ, or the vectors by more than 1e-4, or a vector alone differs from that in a
            batch by more than 1e-5 (code export-mismatch).
    """
    tokenizer = JsonTokenizer((directory / TOKENIZER_JSON).read_bytes(), prefix=prefix, max_tokens=max_tokens)
    tokens = tokenizer(original.sentences)
    for row, (start, length) in enumerate(zip(tokens.starts, tokens.lengths, strict=True)):
        if tokens.ids[start : start + length].tolist() != original.tokens[row]:
            message = f"the saved tokenizer cuts {original.sentences[row][:40]!r} otherwise than the original does"
            raise EncoderError(message, code="export-mismatch")
    graph = Graph(directory / MODEL, dims=original.alone.shape[1], name="the exported model")
    rows = np.arange(len(original.sentences))
    alone = np.concatenate([graph.run(*tokens.padded(rows[row : row + 1])) for row in rows])
    together = np.concatenate([graph.run(*tokens.padded(rows[row : row + _ROWS])) for row in rows[::_ROWS]])
    differences = np.abs(np.stack([alone - original.alone, together - original.together]))
    parity = Parity(
        sentences=len(rows),
        max_difference=float(differences.max()),
        mean_difference=float(differences.mean()),
        batch_difference=float(np.abs(alone - together).max()),
        reference=original.reference,
    )
    check_parity(parity)
    return parity


def references(original: Original, name: str) -> References:
    """What `verify` compares with later: the original's vectors of the shorter sentences, each encoded alone."""
    rows = [row for row, sentence in enumerate(original.sentences) if len(sentence) < _SHORT]
    return References(
        encoder=name,
        source=original.reference,
        dims=original.alone.shape[1],
        sentences=tuple(ReferenceSentence(language="und", text=original.sentences[row]) for row in rows),
        mean_cosine_bound=_COSINE_BOUND,
        vectors=base64.b64encode(original.alone[rows].astype("<f2").tobytes()).decode(),
    )


def check_parity(parity: Parity) -> None:
    """
    Raises:
        EncoderError: `export-mismatch`: a difference is above its bound.
    """
    if not parity.max_difference <= DIFFERENCE_BOUND:
        raise EncoderError(
            f"the exported graph differs from the original by up to {parity.max_difference:.1e} "
            f"(mean {parity.mean_difference:.1e}); allowed is {DIFFERENCE_BOUND:.0e}; nothing was installed",
            code="export-mismatch",
        )
    if not parity.batch_difference <= BATCH_DIFFERENCE_BOUND:
        raise EncoderError(
            f"the exported graph's vectors depend on their batch, by up to {parity.batch_difference:.1e}; allowed is "
            f"{BATCH_DIFFERENCE_BOUND:.0e}; nothing was installed",
            code="export-mismatch",
        )


def _original_tokens(model: Any, sentence: str, prefix: str) -> list[int]:
    found = model[0].tokenizer(prefix + sentence, truncation=True, max_length=model.max_seq_length)["input_ids"]
    return [int(token) for token in found]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
