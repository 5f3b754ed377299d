"""xSIM: the share of sentences that a margin gives a wrong translation, on files that are aligned line by line.

As in the LASER project (Heffernan, Çelebi & Schwenk 2022, "Bitext mining using distilled sentence representations for
low-resource languages"): a sentence's candidates are its k nearest of the other side, the neighbourhood means are over
the same k, and the candidate of the highest margin should be the aligned sentence. The text decides, not the line: a
copy of the aligned sentence is right too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bitextmine.encoders import Encoder
from bitextmine.errors import InputError
from bitextmine.evaluation.retrieval import check_k
from bitextmine.margin import Margin, Retrieval, select_pairs
from bitextmine.progress import Progress, silent
from bitextmine.resources import Resources
from bitextmine.search import Neighbors
from bitextmine.search.exact import ExactOptions, search_exact
from bitextmine.vectors import StoredVectors

ENCODED_ROWS = 16_384  # at a time, kept as float16


@dataclass(frozen=True, slots=True)
class Xsim:
    """Errors of n sentences in each direction; lower is better."""

    n: int
    forward_errors: int  # source sentences whose best target is not the aligned one
    backward_errors: int  # target sentences whose best source is not the aligned one

    @property
    def forward(self) -> float:
        """Percent of the source sentences, 0..100."""
        return 100 * self.forward_errors / self.n

    @property
    def backward(self) -> float:
        return 100 * self.backward_errors / self.n


def xsim(
    vectors: tuple[StoredVectors, StoredVectors],
    texts: tuple[Sequence[str], Sequence[str]],
    *,
    k: int = 4,
    margin: Margin = Margin.RATIO,
    resources: Resources | None = None,
    progress: Progress = silent,
) -> Xsim:
    """The error rates of aligned sentences, source and target; row i of one belongs to row i of the other.

    Raises:
        InputError: `not-aligned`, the sides differ in length.
        ParameterError: `invalid-k`, `k-too-large` or `memory-too-small`.
    """
    (src, tgt), n = vectors, len(texts[0])
    if {len(src), len(tgt), len(texts[1])} != {n}:
        raise InputError(f"{len(src):,} source and {len(tgt):,} target sentences are not aligned", code="not-aligned")
    check_k(k, n)
    limits = resources or Resources()
    held = 2 * (len(src) + len(tgt)) * src.dims  # bytes of the vectors themselves
    options = ExactOptions.within(limits.memory_bytes - held, n, n, src.dims, k, limits.threads)
    forward, backward, _ = search_exact(src, tgt, k, options=options, progress=progress)
    errors = [_errors(forward, backward, margin, way, texts) for way in (Retrieval.FORWARD, Retrieval.BACKWARD)]
    return Xsim(n, *errors)


def encode_stored(
    sentences: Sequence[str], encoder: Encoder, *, stage: str, progress: Progress = silent
) -> tuple[StoredVectors, int]:
    """The sentences' vectors as float16, and how many sentences were cut at the encoder's max_tokens.

    Raises:
        EncoderError, InputError: see `Encoder.encode`.
    """
    halves, truncated = np.empty((len(sentences), encoder.dims), np.float16), 0
    for start in range(0, len(sentences), ENCODED_ROWS):
        report = _from(start, len(sentences), stage, progress)
        encoding = encoder.encode_counted(sentences[start : start + ENCODED_ROWS], progress=report)
        halves[start : start + ENCODED_ROWS] = encoding.vectors
        truncated += encoding.truncated
    return StoredVectors.of(halves), truncated


def _from(start: int, total: int, stage: str, progress: Progress) -> Callable[[int], None]:
    return lambda done: progress(stage, start + done, total)


def _errors(
    forward: Neighbors,
    backward: Neighbors,
    margin: Margin,
    retrieval: Retrieval,
    texts: tuple[Sequence[str], Sequence[str]],
) -> int:
    pairs = select_pairs(forward, backward, margin=margin, retrieval=retrieval)
    asked, found = (pairs.src, pairs.tgt) if retrieval is Retrieval.FORWARD else (pairs.tgt, pairs.src)
    candidates = texts[1] if retrieval is Retrieval.FORWARD else texts[0]
    return len(texts[0]) - int(_same_text(candidates, asked, found).sum())


def _same_text(texts: Sequence[str], rows: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
    pairs = zip(rows.tolist(), others.tolist(), strict=True)
    return np.fromiter((row == other or texts[row] == texts[other] for row, other in pairs), bool, len(rows))
