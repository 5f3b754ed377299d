"""What others do, one class each: how they prepare vectors, index one side, search it and choose pairs.

Written fresh from papers and documentation, with the settings that those projects use. Everything is on the CPU.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from bitextmine.margin import select_pairs
from bitextmine.search import MISSING, Neighbors

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]
Pairs = tuple[Ids, Ids]
Mined = tuple[Pairs, Floats | None]


class Peer:
    """A way of finding neighbours in one direction. The default: float32 unit rows, pairs chosen by the product."""

    package = "faiss"

    def __init__(self, k: int, threads: int) -> None:
        self.k, self.threads = k, threads

    @classmethod
    def missing(cls) -> str | None:
        """Why this peer cannot run here."""
        return None if importlib.util.find_spec(cls.package) else f"the package {cls.package} is not installed"

    def prepare(self, src: NDArray[np.float16], tgt: NDArray[np.float16]) -> tuple[Any, Any]:
        return unit(src), unit(tgt)

    def build(self, base: Any) -> None:
        raise NotImplementedError

    def search(self, queries: Any) -> tuple[Ids, Floats]:
        """The k nearest of the base, (n, k) ids and cosines; id -1 where there are fewer."""
        raise NotImplementedError

    def bytes_per_vector(self) -> float:
        """Of the index that `build` made last."""
        raise NotImplementedError

    def details(self) -> dict[str, object]:
        """What else the JSON should say."""
        return {}

    def select(self, sides: tuple[Any, Any], forward: tuple[Ids, Floats], backward: tuple[Ids, Floats]) -> Mined:
        """The pairs, and their margins where they come by themselves."""
        pairs = select_pairs(Neighbors(*forward), Neighbors(*backward))
        return (pairs.src, pairs.tgt), pairs.margin


class FaissKnn(Peer):
    """`faiss.knn` in float32, the base in blocks converted from float16 as they are needed, results merged."""

    base_rows = 65_536

    def prepare(self, src: NDArray[np.float16], tgt: NDArray[np.float16]) -> tuple[Any, Any]:
        return src, tgt

    def build(self, base: Any) -> None:
        self.base = base

    def search(self, queries: Any) -> tuple[Ids, Floats]:
        queries = unit(queries)
        ids, sims = np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
        for start in range(0, len(self.base), self.base_rows):
            block = unit(self.base[start : start + self.base_rows])
            more_sims, more = faiss.knn(queries, block, min(self.k, len(block)), metric=faiss.METRIC_INNER_PRODUCT)
            ids, sims = np.concatenate([ids, more + start], axis=1), np.concatenate([sims, more_sims], axis=1)
            best = np.argsort(-sims, axis=1, kind="stable")[:, : self.k]
            ids, sims = np.take_along_axis(ids, best, axis=1), np.take_along_axis(sims, best, axis=1)
        return padded(ids, sims, self.k)

    def bytes_per_vector(self) -> float:
        return 4.0 * self.base.shape[1]


class FaissIndex(Peer):
    """A FAISS index over one side, whole, in float32."""

    def make(self, base: Floats) -> Any:
        raise NotImplementedError

    def build(self, base: Floats) -> None:
        self.index = self.make(base)
        if not self.index.is_trained:
            self.index.train(base)
        self.index.add(base)

    def search(self, queries: Floats) -> tuple[Ids, Floats]:
        sims, ids = self.index.search(queries, self.k)
        return ids, np.where(ids == MISSING, -np.inf, sims)

    def bytes_per_vector(self) -> float:
        return faiss.serialize_index(self.index).nbytes / max(self.index.ntotal, 1)


class Laser(FaissIndex):
    """LASER's miner: IndexFlatIP over each side in turn, then a Python loop over every candidate for its margin.

    Artetxe and Schwenk (2019), section 3: ratio margin, both directions, greedy by score. Each candidate's cosine is
    computed anew from the vectors; candidates are sorted and taken one by one against two sets.
    """

    def make(self, base: Floats) -> Any:
        return faiss.IndexFlatIP(base.shape[1])

    def select(self, sides: tuple[Any, Any], forward: tuple[Ids, Floats], backward: tuple[Ids, Floats]) -> Mined:
        means = [neighborhood(sims) for _, sims in (forward, backward)]
        candidates = []
        for (own, other), (ids, _), (own_mean, other_mean), swap in (
            (sides, forward, means, False),
            (sides[::-1], backward, means[::-1], True),
        ):
            for row, neighbors in enumerate(ids):
                best, best_score = MISSING, -np.inf
                for neighbor in neighbors:
                    if neighbor == MISSING:
                        continue
                    score = own[row].dot(other[neighbor]) / ((own_mean[row] + other_mean[neighbor]) / 2)
                    if score > best_score:
                        best, best_score = neighbor, score
                if best != MISSING:
                    candidates.append((best_score, best, row) if swap else (best_score, row, best))
        return one_to_one(candidates), None


class SentenceTransformers(Laser):
    """The bitext mining example of sentence-transformers: PCA to 128 dimensions, IVF with 3 probes, then LASER's loop.

    The components come from 10,000 rows of either side and are applied without taking off the mean, as the example
    does by making them a dense layer; rows are made unit again. One cell for 1,000 vectors, at most 32,768; the
    margin is computed from the 128 dimensions.
    """

    dims, probes, sample = 128, 3, 10_000

    def prepare(self, src: NDArray[np.float16], tgt: NDArray[np.float16]) -> tuple[Any, Any]:
        sampled = np.concatenate([unit(src[: self.sample]), unit(tgt[: self.sample])])
        _, directions = np.linalg.eigh(np.cov(sampled, rowvar=False))
        components = np.ascontiguousarray(directions[:, ::-1][:, : self.dims], np.float32)
        return unit(unit(src) @ components), unit(unit(tgt) @ components)

    def make(self, base: Floats) -> Any:
        cells = min(32_768, max(len(base) // 1000, 1))
        return inverted_file(base.shape[1], cells, self.probes)


class IvfFlat(FaissIndex):
    """FAISS IndexIVFFlat, inner product: 4 sqrt(n) cells, 16 probes."""

    def make(self, base: Floats) -> Any:
        cells = max(min(int(4 * len(base) ** 0.5), len(base) // 39), 1)
        return inverted_file(base.shape[1], cells, 16)


class IvfPq(FaissIndex):
    """stopes' index by its table of sizes (OPQ64, IVF, PQ64; L2; 128 probes), its approximate distances as they are.

    Squared distances of unit vectors become cosines by 1 - d/2; nothing is rescored, so the margin sees the
    quantiser's error, as in stopes. To its advantage the rotation is trained for 8 iterations on 32,768 vectors
    (FAISS's own 50 on 65,536 take most of an hour on a core; stopes has GPUs and many cores for it).
    """

    rotation_iterations, rotation_rows = 8, 32_768
    sizes = ((10_000, 0), (80_000, 1024), (160_000, 2048), (250_000, 4096), (700_000, 8192), (4_000_000, 16_384))

    def make(self, base: Floats) -> Any:
        cells = next((cells for most, cells in self.sizes if len(base) <= most), 32_768)
        index = faiss.index_factory(base.shape[1], f"OPQ64,IVF{cells},PQ64" if cells else "Flat")
        if cells:
            faiss.extract_index_ivf(index).nprobe = 128
            rotation = faiss.downcast_VectorTransform(index.chain.at(0))
            rotation.niter, rotation.max_train_points = self.rotation_iterations, self.rotation_rows
        return index

    def details(self) -> dict[str, object]:
        return {"rotation_iterations": self.rotation_iterations, "rotation_rows": self.rotation_rows}

    def search(self, queries: Floats) -> tuple[Ids, Floats]:
        distances, ids = self.index.search(queries, self.k)
        return ids, np.where(ids == MISSING, -np.inf, 1 - distances / 2).astype(np.float32)


class UsearchExact(Peer):
    """usearch's brute-force search, float32, cosine."""

    package = "usearch"

    def build(self, base: Floats) -> None:
        self.base = base

    def search(self, queries: Floats) -> tuple[Ids, Floats]:
        from usearch.index import MetricKind, search

        k = min(self.k, len(self.base))
        return matched(search(self.base, queries, k, MetricKind.Cos, exact=True, threads=self.threads), self.k)

    def bytes_per_vector(self) -> float:
        return 4.0 * self.base.shape[1]


class UsearchHnsw(Peer):
    """usearch's HNSW graph over 8-bit vectors, cosine, its own defaults (16 links, 128 and 64 candidates)."""

    package = "usearch"

    def build(self, base: Floats) -> None:
        from usearch.index import Index

        self.index = Index(ndim=base.shape[1], metric="cos", dtype="i8")
        self.index.add(np.arange(len(base), dtype=np.uint64), base, threads=self.threads)

    def search(self, queries: Floats) -> tuple[Ids, Floats]:
        return matched(self.index.search(queries, self.k, threads=self.threads), self.k)

    def bytes_per_vector(self) -> float:
        return self.index.serialized_length / max(len(self.index), 1)


PEERS: dict[str, type[Peer]] = {
    "faiss.knn": FaissKnn,
    "laser": Laser,
    "sentence-transformers": SentenceTransformers,
    "faiss-ivfflat": IvfFlat,
    "faiss-ivfpq": IvfPq,
    "usearch-exact": UsearchExact,
    "usearch-hnsw": UsearchHnsw,
}


def unit(vectors: NDArray[np.floating]) -> Floats:
    rows = np.ascontiguousarray(vectors, np.float32)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)


def inverted_file(dims: int, cells: int, probes: int) -> Any:
    index = faiss.index_factory(dims, f"IVF{cells},Flat", faiss.METRIC_INNER_PRODUCT)
    index.nprobe = probes
    return index


def neighborhood(sims: Floats) -> Floats:
    """Mean of each row's similarities, of those found; 0 where there are none."""
    found = np.isfinite(sims)
    return np.where(found, sims, 0).sum(axis=1) / np.maximum(found.sum(axis=1), 1)


def one_to_one(candidates: list[tuple[float, int, int]]) -> Pairs:
    """The best first, each sentence once: a Python loop with two sets."""
    src_taken, tgt_taken, src, tgt = set(), set(), [], []
    for _, row, other in sorted(candidates, key=lambda candidate: -candidate[0]):
        if row not in src_taken and other not in tgt_taken:
            src_taken.add(row)
            tgt_taken.add(other)
            src.append(row)
            tgt.append(other)
    return np.array(src, np.int64), np.array(tgt, np.int64)


def matched(matches: Any, k: int) -> tuple[Ids, Floats]:
    """usearch's answer with MISSING where it found fewer."""
    keys, distances = np.atleast_2d(matches.keys), np.atleast_2d(matches.distances)
    found = np.arange(keys.shape[1]) < np.reshape(matches.counts, (-1, 1))
    ids = np.where(found, keys.astype(np.int64), MISSING)
    return padded(ids, (1 - np.where(found, distances, np.inf)).astype(np.float32), k)


def padded(ids: Ids, sims: Floats, k: int) -> tuple[Ids, Floats]:
    missing = ((0, 0), (0, k - ids.shape[1]))
    return np.pad(ids, missing, constant_values=MISSING), np.pad(sims, missing, constant_values=-np.inf)
