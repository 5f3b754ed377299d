"""What it costs to align a block with a block, or to leave a sentence out (Thompson & Koehn 2019, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLES = 100  # of the other document's blocks: the S of equation 1
_LEAST_SAMPLES = 10
_SKIP_SAMPLES = 20_000
_SKIP_QUANTILE = 0.2  # of the costs of sentences that have nothing to do with one another
_LEAST_NORM = 1e-6

Rows = NDArray[np.float32]  # (n, dims)


@dataclass(frozen=True, slots=True)
class Background:
    """Sentences at random of both languages, (rows, dims) each: what documents that are short are compared with too.

    A document of a few sentences does not tell what text that has nothing to do with a sentence is like: most of what
    is there belongs to it.
    """

    src: Rows
    tgt: Rows


@dataclass(frozen=True, slots=True)
class Costs:
    """All that decides the cost of any pair of blocks.

    Of `x` of a sentences and `y` of b it is a b (1 - cos(x, y)) over half the sum of both norms: a norm is the mean of
    1 - cos to blocks of the other document at random, which makes up for blocks that are near to everything
    (equation 1, with means in place of sums). About 1 for a sentence and one that has nothing to do with it.
    """

    src: NDArray[np.float32]  # (most, n, dims)
    tgt: NDArray[np.float32]  # (most, m, dims)
    src_norm: NDArray[np.float32]  # (most, n)
    tgt_norm: NDArray[np.float32]  # (most, m)
    skip: float  # the cost of a sentence without a counterpart

    @classmethod
    def of(
        cls,
        src: NDArray[np.float32],
        tgt: NDArray[np.float32],
        skip: float,
        seed: int,
        background: Background | None = None,
    ) -> Costs:
        """From the vectors of the blocks of both documents, neither of which is empty.

        `skip` is what leaving a sentence out costs, as a share of what aligning it with a rather unlike one would.
        """
        rng = np.random.default_rng(seed)
        dims = src.shape[2]
        at_random = background or Background(np.empty((0, dims), np.float32), np.empty((0, dims), np.float32))
        src_sample, tgt_sample = _sample(src, at_random.src, rng), _sample(tgt, at_random.tgt, rng)
        src_norm, tgt_norm = _norms(src, tgt_sample), _norms(tgt, src_sample)
        lefts, left_norms = _with_background(src[0], src_norm[0], at_random.src, tgt_sample)
        rights, right_norms = _with_background(tgt[0], tgt_norm[0], at_random.tgt, src_sample)
        rows, columns = _pairs(len(lefts), len(rights), rng)
        away = 1 - np.einsum("sd,sd->s", lefts[rows], rights[columns])
        costs = np.sort(2 * np.maximum(away, 0) / (left_norms[rows] + right_norms[columns]))
        related = min(src.shape[1], tgt.shape[1]) * len(rows) // (len(lefts) * len(rights))  # as many as there may be
        unrelated = costs[related:]
        typical = float(np.quantile(unrelated, _SKIP_QUANTILE)) if len(unrelated) else 1.0
        return cls(src, tgt, src_norm, tgt_norm, skip * typical)


def _sample(blocks: NDArray[np.float32], background: Rows, rng: np.random.Generator) -> Rows:
    """Blocks at random to compare the other document's with, from the background too where a document is short.

    Where there is hardly anything, vectors of zeros stand for text that has nothing to do with it.
    """
    own = blocks.reshape(-1, blocks.shape[2])
    own = own[own.any(axis=1)]
    if len(own) > SAMPLES:
        return np.asarray(own[rng.choice(len(own), size=SAMPLES, replace=False)])
    own = np.concatenate([own, background[: SAMPLES - len(own)]])
    return np.concatenate([own, np.zeros((max(_LEAST_SAMPLES - len(own), 0), own.shape[1]), np.float32)])


def _norms(blocks: NDArray[np.float32], sample: Rows) -> NDArray[np.float32]:
    """The mean of 1 - cos of each block to the sample, of the shape of the blocks."""
    means = 1 - (blocks.reshape(-1, blocks.shape[-1]) @ sample.T).mean(axis=1)
    norms: NDArray[np.float32] = np.maximum(means, _LEAST_NORM).astype(np.float32).reshape(blocks.shape[:-1])
    return norms


def _with_background(
    sentences: Rows, norms: NDArray[np.float32], background: Rows, sample: Rows
) -> tuple[Rows, NDArray[np.float32]]:
    """A document's sentences and their norms; where it is short, with as many of the background as it takes."""
    more = background[: max(SAMPLES - len(sentences), 0)]
    return np.concatenate([sentences, more]), np.concatenate([norms, _norms(more, sample)])


def _pairs(n: int, m: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of rows, or if these are many some at random."""
    if n * m <= _SKIP_SAMPLES:
        return np.repeat(np.arange(n), m), np.tile(np.arange(m), n)
    return rng.integers(n, size=_SKIP_SAMPLES), rng.integers(m, size=_SKIP_SAMPLES)
