"""The estimate that was made for the neighbours of a bitext, where there is one."""

from __future__ import annotations

from bisect import bisect_right

from bitextmine.artifacts import ArtifactKey, ArtifactStore
from bitextmine.bitext import KIND as BITEXT
from bitextmine.bitext import Bitext
from bitextmine.filtered import filtered_from
from bitextmine.thresholds.estimate import _VERSION, KIND, Choice, ThresholdEstimate, _read

_PARAMETERS = ("margin", "retrieval", "ceiling", "drop_identical")
_INPUTS = ("src", "tgt", "neighbors")


def find_estimate(bitext: Bitext, store: ArtifactStore) -> ThresholdEstimate | None:
    """The estimate made without seeds for the candidates that a bitext was chosen from; of a filtered one, for what it
    was before the filters. None where nobody has asked for one, and of what was mined by documents.

    Raises:
        ArtifactError: it is damaged.
    """
    if (before := filtered_from(bitext)) is not None:
        artifact = store.open(BITEXT, before)
        return None if artifact is None else find_estimate(Bitext(artifact), store)
    inputs = bitext.artifact.manifest["inputs"]
    if not all(name in inputs for name in _INPUTS):  # it was given, or mined by other means
        return None
    if bitext.parameters.get("documents"):  # chosen from other candidates than those of these neighbours
        return None
    parameters = {name: bitext.parameters.get(name) for name in _PARAMETERS}
    key = ArtifactKey(KIND, {"method": _VERSION, **parameters}, {name: inputs[name] for name in _INPUTS})
    found = store.find(key)
    return None if found is None else _read(found)


def point_at(estimate: ThresholdEstimate, threshold: float) -> Choice | None:
    """What is estimated of the pairs with at least this margin: the point at or next below it."""
    at = bisect_right(estimate.points, threshold, key=lambda point: point.threshold)
    return estimate.points[at - 1] if at else None
