"""Search: the sentences of corpora that are nearest to some texts or vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bitextmine.client.answers import model
from bitextmine.client.mining import given
from bitextmine.client.operation import Group, Mode, operation
from bitextmine.client.results import Found
from bitextmine.client.steps import Call, Flow
from bitextmine.errors import ParameterError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Searching(Group[Mode]):
    """`client.search`"""

    @operation
    def search(
        self,
        texts: str | Sequence[str] | None = None,
        *,
        lang: str | None = None,
        corpora: str | Sequence[str] = (),
        langs: str | Sequence[str] = (),
        vectors: NDArray[np.floating] | None = None,
        encoder: str | None = None,
        k: int | None = None,
        margin: str | None = None,
        neighborhood: int | None = None,
        background: str | None = None,
        probes: int | None = None,
        exact: bool | None = None,
        min_margin: float | None = None,
        min_cosine: float | None = None,
        doc_ids: Sequence[str] | None = None,
        meta: Mapping[str, str] | None = None,
        allow_uncovered_languages: bool | None = None,
    ) -> Flow[Found]:
        """The sentences nearest to some texts or vectors, best first, with the margins that a mining job would give.

        What is None is left to the service.

        Args:
            texts: A sentence to search for, or up to 64; or give vectors.
            lang: Their language; without it, or a background, there are no margins and hits come by cosine.
            corpora: The name of a corpus to search, or of some.
            langs: A language whose corpora to search, or some; corpora that are not searchable are skipped.
            vectors: (queries, dims) by the encoder, in place of texts.
            encoder: The one that the corpora were embedded with; muse by default.
            k: Most hits of a query; 10 by default.
            margin: ratio (the default), distance or absolute.
            neighborhood: Neighbours that a margin compares with, as a mining job's k; 4 by default.
            background: A corpus of the query's language that hits' neighbourhoods are looked for in.
            probes: Cells of an index to search; more find more and take longer.
            exact: Compare with every sentence, not by an index.
            min_margin: Drop hits with a lower margin.
            min_cosine: Drop hits with a lower cosine.
            doc_ids: Only sentences of these documents.
            meta: Only sentences with just this metadata.
            allow_uncovered_languages: Search in languages that the encoder was not trained on.

        Raises:
            ServiceError: `corpus-not-found`, `corpus-not-embedded`, `queue-full` ...
            ParameterError: neither texts nor vectors are given, or both.
        """
        if (texts is None) == (vectors is None):
            raise ParameterError("give texts or vectors to search for, and not both")
        wanted = {
            "texts": None if texts is None else _listed(texts),
            "vectors": None if vectors is None else [[float(number) for number in row] for row in vectors],
            "lang": lang,
            "corpora": _listed(corpora) or None,
            "langs": _listed(langs) or None,
            "encoder": encoder,
            "k": k,
            "margin": margin,
            "neighborhood": neighborhood,
            "background": background,
            "probes": probes,
            "exact": exact,
            "min_margin": min_margin,
            "min_cosine": min_cosine,
            "filter": given({"doc_ids": None if doc_ids is None else list(doc_ids), "meta": meta}) or None,
            "allow_uncovered_languages": allow_uncovered_languages,
        }
        return (yield from model(Found, Call("POST", "/v1/search", json=given(wanted))))


def _listed(one_or_some: str | Sequence[str]) -> list[str]:
    return [one_or_some] if isinstance(one_or_some, str) else list(one_or_some)
