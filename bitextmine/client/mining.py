"""Mining: send a job, and ask before what it would take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bitextmine.client.answers import model, with_key
from bitextmine.client.operation import Group, Mode, operation
from bitextmine.client.results import Job, Plan
from bitextmine.client.steps import Call, Flow


class Mining(Group[Mode]):
    """`client.mine`, `client.plan`"""

    @operation
    def mine(
        self,
        src: str,
        tgt: str,
        *,
        encoder: str | None = None,
        k: int | None = None,
        margin: str | None = None,
        retrieval: str | None = None,
        threshold: float | None = None,
        precision: float | None = None,
        ceiling: float | None = None,
        method: str | None = None,
        target_recall: float | None = None,
        allow_uncovered_languages: bool | None = None,
        drop_identical: bool | None = None,
        filters: str | Mapping[str, object] | None = None,
        documents: str | None = None,
        document_bonus: float | None = None,
        document_links: Sequence[Sequence[str]] | None = None,
    ) -> Flow[Job]:
        """Mine sentence pairs from two corpora; returns the job. What is None is left to the service.

        Args:
            src: A corpus by name.
            tgt: Another.
            encoder: One of `encoders()`; muse by default.
            k: Neighbours a side that the margin looks at; 4 by default.
            margin: ratio (the default), distance or absolute.
            retrieval: max-score (the default), intersection, forward or backward.
            threshold: Pairs with a lower margin are dropped.
            precision: In place of a threshold: have one chosen that is expected to give this precision (0 to 1).
            ceiling: Pairs with a higher margin are dropped.
            method: How neighbours are searched: auto (the default), exact, ivf or ivfpq; see `plan`.
            target_recall: Share of the true neighbours that ivf and ivfpq aim at; 0.99 by default.
            allow_uncovered_languages: Mine languages that the encoder was not trained on.
            drop_identical: Drop pairs whose two sentences are the same text.
            filters: "default", "none", or what is wanted of each filter, as {"copy": False, "numbers": {"least": 0.3}}.
            documents: restrict, to mine only within linked documents, or boost, to prefer pairs of them.
            document_bonus: Of boost: what is added to their margin where it is compared; 0.05 by default.
            document_links: Pairs of doc_ids, up to 10,000; by default documents of one id are linked.

        Raises:
            ServiceError: `corpus-not-found`, `language-not-covered`, `no-documents`, `invalid-filters` ...
        """
        wanted = {
            "src": src,
            "tgt": tgt,
            "encoder": encoder,
            "k": k,
            "margin": margin,
            "retrieval": retrieval,
            "threshold": threshold,
            "precision": precision,
            "ceiling": ceiling,
            "method": method,
            "target_recall": target_recall,
            "allow_uncovered_languages": allow_uncovered_languages,
            "drop_identical": drop_identical,
            "filters": filters,
            "documents": documents,
            "document_bonus": document_bonus,
            "document_links": None if document_links is None else [list(link) for link in document_links],
        }
        return (yield from model(Job, with_key(Call("POST", "/v1/mining-jobs", json=given(wanted)))))

    @operation
    def plan(
        self,
        src: str | int,
        tgt: str | int,
        *,
        encoder: str | None = None,
        dims: int | None = None,
        k: int | None = None,
        method: str | None = None,
        target_recall: float | None = None,
        memory: str | None = None,
        threads: int | None = None,
        gpus: int | None = None,
    ) -> Flow[Plan]:
        """What a mining job would take. What is None is left to the service.

        Args:
            src: A corpus by name, or a number of sentences.
            tgt: Another.
            encoder: Whose dimensions count; muse by default.
            dims: In place of the encoder's.
            k: Neighbours a side; 4 by default.
            method: auto (the default), exact, ivf or ivfpq.
            target_recall: Share of the true neighbours that ivf and ivfpq aim at; 0.99 by default.
            memory: Of the search, as 8GB; by default what is free where the service runs.
            threads: By default all cores there.
            gpus: GPUs that the search may use; 0 by default.

        Raises:
            ServiceError: `corpus-not-found`, `encoder-not-installed` ...
        """
        query = {
            "src" if isinstance(src, str) else "src_rows": src,
            "tgt" if isinstance(tgt, str) else "tgt_rows": tgt,
            "encoder": encoder,
            "dims": dims,
            "k": k,
            "method": method,
            "target_recall": target_recall,
            "memory": memory,
            "threads": threads,
            "gpus": gpus,
        }
        return (yield from model(Plan, Call("GET", "/v1/plan", query=query)))


def given(wanted: Mapping[str, object]) -> dict[str, object]:
    """What was given: what is None is left to the service."""
    return {name: value for name, value in wanted.items() if value is not None}
