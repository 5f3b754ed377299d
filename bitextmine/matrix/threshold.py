"""The threshold that gives a pair of corpora the precision that is asked for."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import Corpus
from bitextmine.encoders import Encoder
from bitextmine.errors import ParameterError
from bitextmine.matrix.parameters import MatrixParameters
from bitextmine.mining import MiningParameters
from bitextmine.planner import Plan
from bitextmine.progress import Progress
from bitextmine.thresholds import estimate_for

_ABOVE_ALL = float(np.finfo(np.float32).max)
_NO_CHOICE = ("precision-unknown", "precision-not-reached")


def with_threshold(
    corpora: tuple[Corpus, Corpus],
    encoder: Encoder,
    store: ArtifactStore,
    wanted: MatrixParameters,
    *,
    plan: Plan,
    progress: Progress,
) -> tuple[MiningParameters, dict[str, Any]]:
    """The mining parameters with a threshold, and what there is to say of it.

    Where no threshold can be expected to give the precision, it is the one of `wanted`, and without one no pair passes:
    what is not promised is not delivered unless it was asked for.
    """
    if wanted.precision is None:
        return wanted.mining, {"value": wanted.mining.threshold}
    estimate = estimate_for(corpora, encoder, store, wanted.mining, plan=plan, progress=progress)
    margins = {"edges": list(estimate.edges), "counts": list(estimate.counts)}
    try:
        choice = estimate.choose(wanted.precision)
    except ParameterError as error:
        if error.code not in _NO_CHOICE:
            raise
        said = {"value": wanted.mining.threshold, "why": str(error), "code": error.code, "margins": margins}
        if wanted.mining.threshold is not None:
            return wanted.mining, said
        return replace(wanted.mining, threshold=_ABOVE_ALL, ceiling=None), said
    said = {"value": choice.threshold, "margins": margins, **asdict(choice)}
    return replace(wanted.mining, threshold=choice.threshold), said
