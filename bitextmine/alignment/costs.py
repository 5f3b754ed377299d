"""What it costs to align a block with a block, or to leave a sentence out (Thompson & Koehn 2019, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SAMPLES = 100  # of the other document's blocks: the S of equation 1
_SKIP_SAMPLES = 20_000
_SKIP_QUANTILE = 0.2  # of the costs of sentences that have nothing to do with one another
_LEAST_NORM = 1e-6


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
    def of(cls, src: NDArray[np.float32], tgt: NDArray[np.float32], skip: float, seed: int) -> Costs:
        """From the vectors of the blocks of both documents, neither of which is empty.

        `skip` is what leaving a sentence out costs, as a share of what aligning it with a rather unlike one would.
        """
        rng = np.random.default_rng(seed)
        src_norm, tgt_norm = _norms(src, tgt, rng), _norms(tgt, src, rng)
        count = min(_SKIP_SAMPLES, 4 * src.shape[1] * tgt.shape[1])
        rows, columns = rng.integers(src.shape[1], size=count), rng.integers(tgt.shape[1], size=count)
        away = 1 - np.einsum("sd,sd->s", src[0, rows], tgt[0, columns])
        costs = 2 * np.maximum(away, 0) / (src_norm[0, rows] + tgt_norm[0, columns])
        return cls(src, tgt, src_norm, tgt_norm, skip * float(np.quantile(costs, _SKIP_QUANTILE)))


def _norms(blocks: NDArray[np.float32], others: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The mean of 1 - cos of each block to blocks of the other document, (most, n)."""
    candidates = others.reshape(-1, others.shape[2])
    candidates = candidates[candidates.any(axis=1)]
    if not len(candidates):
        return np.ones(blocks.shape[:2], np.float32)
    sample = candidates[rng.choice(len(candidates), size=min(_SAMPLES, len(candidates)), replace=False)]
    means = 1 - (blocks.reshape(-1, blocks.shape[2]) @ sample.T).mean(axis=1)
    norms: NDArray[np.float32] = np.maximum(means, _LEAST_NORM).astype(np.float32).reshape(blocks.shape[:2])
    return norms
