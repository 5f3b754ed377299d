"""The vectors that the engine is measured on: made up, or of real text (see debian_text.py)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Sides = tuple[NDArray[np.float16], NDArray[np.float16]]

CLUSTER_ROWS = 50  # on average; sizes fall as 1/rank, as topics do
PAIRED = 0.5  # of the rows of either side have a translation on the other
WITHIN = 0.9  # length of a point's own place around its centre, which has length 1
APART = (0.25, 1.1)  # least and most length of a side's noise: some translations are close, some hard to find
COMMON = 0.35  # length of what all sentences of a language share
_BLOCK = 65_536


def synthetic(rows: int, dims: int, seed: int = 0) -> Sides:
    """Source and target side, (rows, dims) float16 unit rows in random order: topics, sentences in them, translations.

    Both sides draw from the same cluster centres. Half of the source rows have a translation: the same point with
    noise of its own. The noise has fewer effective dimensions than the space (its spectrum falls), as embeddings do.
    """
    rng = np.random.default_rng(seed)
    clusters = max(rows // CLUSTER_ROWS, 1)
    spectrum = (1.0 / np.sqrt(1.0 + np.arange(dims) / 8.0)).astype(np.float32)
    spectrum /= np.linalg.norm(spectrum)
    centres = _unit(rng.standard_normal((clusters, dims), np.float32) * spectrum)
    shares = 1.0 / np.arange(1, clusters + 1) ** 0.5
    paired = int(rows * PAIRED)
    topics = rng.choice(clusters, 2 * rows - paired, p=shares / shares.sum())
    # points 0 to paired are on both sides; the rest is halved between them
    own = rows - paired
    src_points = np.concatenate([np.arange(paired), np.arange(paired, paired + own)])
    tgt_points = np.concatenate([np.arange(paired), np.arange(paired + own, paired + 2 * own)])
    shift, seeds = _unit(rng.standard_normal((2, dims), np.float32)) * np.float32(COMMON), rng.integers(1 << 31, size=3)
    sides = []
    for points, language, noise_seed in zip((src_points, tgt_points), shift, seeds[:2], strict=True):
        order = np.random.default_rng(noise_seed).permutation(rows)
        sides.append(_side(points[order], topics, centres, spectrum, language, (int(seeds[2]), int(noise_seed))))
    return sides[0], sides[1]


def _side(
    points: NDArray[np.int64],
    topics: NDArray[np.int64],
    centres: NDArray[np.float32],
    spectrum: NDArray[np.float32],
    language: NDArray[np.float32],
    seeds: tuple[int, int],
) -> NDArray[np.float16]:
    """Rows for these points: centre + the point's own place + noise of this side + what all of a language share."""
    dims = len(spectrum)
    side = np.empty((len(points), dims), np.float16)
    noise = np.random.default_rng(seeds[1] + 1)
    in_order = np.argsort(points, kind="stable")
    for start in range(0, len(points), _BLOCK):
        rows = in_order[start : start + _BLOCK]
        places = _places(points[rows], dims, seeds[0]) * spectrum * WITHIN
        lengths = noise.uniform(*APART, (len(rows), 1)).astype(np.float32)
        apart = noise.standard_normal((len(rows), dims), np.float32) * spectrum * lengths
        side[rows] = _unit(centres[topics[points[rows]]] + places + apart + language)
    return side


def _places(points: NDArray[np.int64], dims: int, seed: int) -> NDArray[np.float32]:
    """Standard normal vectors that depend on the point alone, so that both sides agree on them."""
    values = np.empty((len(points), dims), np.float32)
    for block in np.unique(points // 1024):
        inside = points // 1024 == block
        drawn = np.random.default_rng((seed, int(block))).standard_normal((1024, dims), np.float32)
        values[inside] = drawn[points[inside] % 1024]
    return values


def real(directory: Path, rows: int) -> Sides:
    """The first rows of src.npy and tgt.npy, mapped; fewer where a side has fewer. They are stored in random order."""
    return tuple(np.load(directory / f"{side}.npy", mmap_mode="r")[:rows] for side in ("src", "tgt"))  # type: ignore[return-value]


def known_pairs(directory: Path, rows: int) -> NDArray[np.int64]:
    """The known pairs among the first rows of real text, (n, 2): row in src, row in tgt."""
    pairs = np.load(directory / "pairs.npy")
    return pairs[(pairs < rows).all(axis=1)]


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
