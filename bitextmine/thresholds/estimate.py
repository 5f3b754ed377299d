"""Precision and recall at every threshold, estimated without gold, and kept as an artifact."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitextmine.artifacts import Artifact, ArtifactKey, ArtifactStore
from bitextmine.corpus import Corpus, identical_pairs
from bitextmine.embeddings import Embeddings
from bitextmine.errors import ArtifactError, ParameterError
from bitextmine.margin import Pairs, Retrieval, select_pairs
from bitextmine.mining import MiningParameters
from bitextmine.progress import Progress, silent
from bitextmine.resources import Resources
from bitextmine.search.stored import BACKWARD, FORWARD, load_neighbors
from bitextmine.thresholds.decoys import Direction, draw_decoys, held_margins
from bitextmine.thresholds.intervals import CONFIDENCE, Curves, curves
from bitextmine.thresholds.model import Observed
from bitextmine.thresholds.seeds import Seeds, plant

KIND = "thresholds"
ESTIMATE = "estimate.json"
LEAST_PAIRS = 100
LEAST_KEPT = 20  # pairs, below which no threshold is offered
_VERSION = 3  # of the method: estimates of another are made again
_BINS = 60
_STAGE = "thresholds"


@dataclass(frozen=True, slots=True)
class Choice:
    """A threshold, and what is estimated of the pairs with at least this margin, with 90 % intervals."""

    threshold: float
    precision: float
    low: float  # of the precision
    high: float
    recall: float
    recall_low: float
    recall_high: float
    pairs: int

    def line(self) -> str:
        """In one sentence."""
        return (
            f"threshold {self.threshold:.4f}: precision {self.precision:.3f} ({self.low:.3f} to {self.high:.3f}), "
            f"recall {self.recall:.3f} ({self.recall_low:.3f} to {self.recall_high:.3f}), {self.pairs:,} pairs; "
            f"intervals hold with {CONFIDENCE:.0%} confidence"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdEstimate:
    """What is known of thresholds for two corpora, an encoder and a way to mine.

    `points` are by rising threshold, and none where `unknown` says why nothing can be told. `edges` has one more than
    `counts`, the histogram of margins. `seeds` counts the planted pairs that were used.
    """

    points: tuple[Choice, ...]
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    pairs: int
    decoys: int
    seeds: int
    shift: float
    unknown: str | None

    def choose(self, precision: float) -> Choice:
        """The lowest threshold above which this share of the pairs is expected to be right.

        Raises:
            ParameterError: `invalid-target-precision`, not between 0 and 1; `precision-unknown`, nothing can be told;
                `precision-not-reached`, no threshold that leaves LEAST_KEPT pairs is expected to give it.
        """
        check_target(precision)
        if self.unknown is not None:
            raise ParameterError(f"no threshold can be chosen: {self.unknown}", code="precision-unknown")
        offered = [point for point in self.points if point.pairs >= LEAST_KEPT]
        for point in offered:
            if point.precision >= precision:
                return point
        best = max(offered, key=lambda point: point.precision)
        message = f"no threshold is expected to give a precision of {precision:g}; the best is {best.line()}"
        raise ParameterError(message, code="precision-not-reached")

    def as_json(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in ("pairs", "decoys", "seeds", "shift", "unknown")},
            "confidence": CONFIDENCE,
            "points": [asdict(point) for point in self.points],
            "histogram": {"edges": list(self.edges), "counts": list(self.counts)},
        }


def check_target(precision: float) -> None:
    """
    Raises:
        ParameterError: `invalid-target-precision`.
    """
    if not 0 < precision < 1:
        message = f"the precision asked for is {precision:g}; it must lie between 0 and 1, without these"
        raise ParameterError(message, code="invalid-target-precision")


def check_choice(precision: float, parameters: MiningParameters) -> None:
    """
    Raises:
        ParameterError: `invalid-target-precision`; `invalid-threshold`, there is a threshold already; mining by
            documents, of which nothing is estimated.
    """
    check_target(precision)
    check_documents(parameters)
    if parameters.threshold is not None:
        message = "give a threshold, or a precision for which one is chosen, not both"
        raise ParameterError(message, code="invalid-threshold")


def check_documents(parameters: MiningParameters) -> None:
    """
    Raises:
        ParameterError: mining by documents, where candidates are others than decoys have.
    """
    if parameters.documents is not None:
        raise ParameterError("precision is not estimated for mining by documents: leave out one of the two")


@dataclass(frozen=True, slots=True)
class Search:
    """Two corpora, their vectors as they were searched, and the neighbours that were found."""

    src: Corpus
    tgt: Corpus
    src_vectors: Embeddings
    tgt_vectors: Embeddings
    neighbors: Artifact


def estimate(
    search: Search,
    parameters: MiningParameters,
    store: ArtifactStore,
    *,
    seeds: Seeds | None = None,
    resources: Resources | None = None,
    progress: Progress = silent,
) -> ThresholdEstimate:
    """Estimate precision and recall at every threshold, or find the estimate that was made before.

    Args:
        parameters: its threshold does not matter; its ceiling does.

    Raises:
        ParameterError: mining by documents, for which nothing is estimated; `memory-too-small`.
    """
    check_documents(parameters)
    key = _key(search, parameters, seeds)
    if (found := store.find(key)) is None:
        progress(_STAGE, 0, 1)
        directions = _directions(search, parameters)
        pairs = _mined(search, directions, parameters)
        made = _estimated(pairs, directions, parameters, seeds, resources or Resources())
        with store.publish(key) as staging:
            (staging.path / ESTIMATE).write_text(json.dumps(made.as_json(), indent=1) + "\n", encoding="utf-8")
        progress(_STAGE, 1, 1)
        found = store.find(key)
    if found is None:
        raise ArtifactError(f"{KIND} {key.digest} vanished after it was published")
    return _read(found)


def _key(search: Search, parameters: MiningParameters, seeds: Seeds | None) -> ArtifactKey:
    return ArtifactKey(
        KIND,
        {
            "method": _VERSION,
            "margin": parameters.margin.value,
            "retrieval": parameters.retrieval.value,
            "ceiling": parameters.ceiling,
            "drop_identical": parameters.drop_identical,
        },
        {
            "src": search.src.digest,
            "tgt": search.tgt.digest,
            "neighbors": search.neighbors.digest,
            **({"seeds": seeds.digest, "seeds_vectors": seeds.src.digest + seeds.tgt.digest} if seeds else {}),
        },
    )


def _directions(search: Search, parameters: MiningParameters) -> tuple[Direction, Direction]:
    """Both ways."""
    ahead, back = (load_neighbors(search.neighbors, direction) for direction in (FORWARD, BACKWARD))
    vectors = search.src_vectors, search.tgt_vectors
    return (
        Direction.of(vectors, (ahead, back), parameters.margin),
        Direction.of((vectors[1], vectors[0]), (back, ahead), parameters.margin),
    )


def _mined(search: Search, directions: tuple[Direction, Direction], parameters: MiningParameters) -> Pairs:
    """The pairs that mining without a threshold gives."""
    pairs = select_pairs(
        directions[0].neighbors,
        directions[1].neighbors,
        margin=parameters.margin,
        retrieval=parameters.retrieval,
        ceiling=parameters.ceiling,
    )
    if not parameters.drop_identical:
        return pairs
    return pairs[~identical_pairs(search.src, search.tgt, pairs.src, pairs.tgt)]


def _estimated(
    pairs: Pairs,
    directions: tuple[Direction, Direction],
    parameters: MiningParameters,
    seeds: Seeds | None,
    resources: Resources,
) -> ThresholdEstimate:
    edges, counts = histogram(pairs.margin)
    nothing = ThresholdEstimate(
        points=(), edges=edges, counts=counts, pairs=len(pairs), decoys=0, seeds=0, shift=0.0, unknown=None
    )
    if len(pairs) < LEAST_PAIRS:
        return replace(nothing, unknown=f"there are {len(pairs)} pairs; an estimate takes {LEAST_PAIRS} at least")
    if pairs.margin.min() == pairs.margin.max():
        return replace(nothing, unknown="all pairs have the same margin")
    retrieval = parameters.retrieval
    if retrieval is Retrieval.BACKWARD:  # then the target's sentences are those that look for a partner
        directions, retrieval = (directions[1], directions[0]), Retrieval.FORWARD
        pairs = replace(pairs, src=pairs.tgt, tgt=pairs.src)
        seeds = seeds.reversed() if seeds else None
    held = held_margins(retrieval, pairs, directions[1])
    decoys = draw_decoys(directions[0], pairs, held, resources)
    planted = None
    if seeds is not None:
        planted = plant(seeds, directions, held, resources, retrieval=retrieval, ceiling=parameters.ceiling)
        decoys = decoys.joined(planted.decoys)
    observed = Observed(np.sort(pairs.margin), np.sort(directions[0].best()[1]))
    found = curves(observed, decoys, planted.found if planted else None, parameters.ceiling)
    seeds_used = len(planted.found) if planted else 0
    told = replace(nothing, decoys=round(found.decoys), shift=found.shift, seeds=seeds_used, unknown=found.unknown)
    return told if found.unknown else replace(told, points=_points(found))


def _points(found: Curves) -> tuple[Choice, ...]:
    columns = np.column_stack([found.thresholds, *found.precision, *found.recall, found.kept]).tolist()
    points = []
    for threshold, precision, low, high, recall, recall_low, recall_high, kept in columns:
        points.append(Choice(threshold, precision, low, high, recall, recall_low, recall_high, int(kept)))
    return tuple(points)


def histogram(margins: NDArray[np.float32]) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Edges and counts of equal bins from the margins' first permille to their last; the ends hold what is beyond."""
    if not len(margins):
        return (), ()
    low, high = (float(value) for value in np.quantile(margins, [0.001, 0.999]))
    if not high > low:
        low, high = low - 0.5, high + 0.5
    width = _nice((high - low) / _BINS)
    first, last = math.floor(low / width), math.ceil(high / width)
    edges = np.arange(first, last + 1) * width
    counts, _ = np.histogram(np.clip(margins, edges[0], edges[-1]), edges)
    return tuple(np.round(edges, 6).tolist()), tuple(counts.tolist())


def _nice(width: float) -> float:
    """The next width of 1, 2 or 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(width))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= width * 0.999999))


def _read(artifact: Artifact) -> ThresholdEstimate:
    """
    Raises:
        ArtifactError: the file is damaged.
    """
    try:
        told = json.loads((artifact.path / ESTIMATE).read_text(encoding="utf-8"))
        return ThresholdEstimate(
            points=tuple(Choice(**point) for point in told["points"]),
            edges=tuple(told["histogram"]["edges"]),
            counts=tuple(told["histogram"]["counts"]),
            **{name: told[name] for name in ("pairs", "decoys", "seeds", "shift", "unknown")},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{artifact.path / ESTIMATE} is damaged; delete {artifact.path}") from error
