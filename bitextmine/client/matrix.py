"""Matrix jobs: every pair of many corpora."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bitextmine.client.answers import model, with_key
from bitextmine.client.mining import given
from bitextmine.client.operation import Group, Mode, operation
from bitextmine.client.results import Answer, Job
from bitextmine.client.steps import Call, Flow


class MatrixPair(Answer):
    """One pair of corpora; `result` names the `bitext` when it is done, `error` says why it failed."""

    src: str
    tgt: str
    src_lang: str
    tgt_lang: str
    expected_seconds: float
    state: str  # waiting, running, done or failed
    result: dict[str, Any]
    error: str
    code: str


class MatrixReport(Answer):
    """What came of a matrix job so far."""

    matrix: str
    encoder: str
    parameters: dict[str, Any]
    plan: dict[str, Any]
    corpora: dict[str, dict[str, Any]]
    pairs: list[MatrixPair]
    started: str
    finished: str | None
    seconds: dict[str, float]  # by what was made, over all processes
    counts: dict[str, int]  # pairs by state
    stopped: bool = False  # whether it ended before all was done
    written: str = ""  # when this was so


class Matrices(Group[Mode]):
    """`client.mine_matrix`, `client.matrix_report`"""

    @operation
    def mine_matrix(
        self,
        corpora: Sequence[str],
        *,
        pairs: Sequence[tuple[str, str]] | None = None,
        pivots: Sequence[str] | None = None,
        first: Sequence[tuple[str, str]] | None = None,
        encoder: str | None = None,
        k: int | None = None,
        margin: str | None = None,
        retrieval: str | None = None,
        threshold: float | None = None,
        precision: float | None = None,
        ceiling: float | None = None,
        filters: str | Mapping[str, Any] | None = None,
        method: str | None = None,
        target_recall: float | None = None,
        allow_uncovered_languages: bool | None = None,
        drop_identical: bool | None = None,
    ) -> Flow[Job]:
        """Mine every pair of many corpora; returns the job. What is None is left to the service.

        Args:
            corpora: By name.
            pairs: These only, source and target each; by default all in different languages.
            pivots: Corpora or languages: only pairs with one of them.
            first: Pairs that are mined before the others.
            encoder: One of `encoders()`; muse by default.
            k: Neighbours a side that the margin looks at; 4 by default.
            margin: ratio (the default), distance or absolute.
            retrieval: max-score (the default), intersection, forward or backward.
            threshold: Pairs with a lower margin are dropped.
            precision: Have a threshold chosen for each pair of corpora that gives it this precision; `threshold` is
                then for pairs of which none can be.
            ceiling: Pairs with a higher margin are dropped.
            filters: default (the default), none, or a mapping of filters to their bounds.
            method: auto (the default), exact, ivf or ivfpq.
            target_recall: Share of the true neighbours that ivf and ivfpq aim at; 0.99 by default.
            allow_uncovered_languages: Mine languages that the encoder was not trained on.
            drop_identical: Drop pairs whose two sentences are the same text.

        Raises:
            ServiceError: `corpus-not-found`, `no-pairs`, `same-language`, `language-not-covered`, `too-many-jobs` ...
        """
        wanted = {
            "corpora": list(corpora),
            "pairs": None if pairs is None else [list(pair) for pair in pairs],
            "pivots": None if pivots is None else list(pivots),
            "first": None if first is None else [list(pair) for pair in first],
            "encoder": encoder,
            "k": k,
            "margin": margin,
            "retrieval": retrieval,
            "threshold": threshold,
            "precision": precision,
            "ceiling": ceiling,
            "filters": filters,
            "method": method,
            "target_recall": target_recall,
            "allow_uncovered_languages": allow_uncovered_languages,
            "drop_identical": drop_identical,
        }
        return (yield from model(Job, with_key(Call("POST", "/v1/matrix-jobs", json=given(wanted)))))

    @operation
    def matrix_report(self, job_id: str) -> Flow[MatrixReport]:
        """What came of each pair of a matrix job, while it runs and afterwards.

        Args:
            job_id: Of the job.

        Raises:
            ServiceError: `job-not-found`; `matrix-not-found`: it is no matrix job, or has not begun.
        """
        return (yield from model(MatrixReport, Call("GET", f"/v1/matrix-jobs/{job_id}/report")))
