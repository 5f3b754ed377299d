"""How many sentences a tenant may store: looked at before an upload, while it is read, and when it gets its name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bitextmine.catalog import Catalog
from bitextmine.errors import ArtifactError, InputError
from bitextmine.files import locked
from bitextmine.workspace import Workspace


def sentences_stored(catalog: Catalog) -> int:
    """The sentences of all named corpora; a damaged one holds none that could be used."""
    stored = 0
    for entry in catalog.list():
        try:
            stored += len(catalog.corpus(entry))
        except ArtifactError:
            continue
    return stored


def sentences_left(catalog: Catalog, limit: int | None) -> int | None:
    """How many more may be stored; None where there is no limit.

    Raises:
        InputError: `quota-exceeded`: none at all.
    """
    if limit is None:
        return None
    stored = sentences_stored(catalog)
    if stored >= limit:
        message = f"{stored:,} sentences are stored, and {limit:,} may be; delete a corpus, or ask for a larger quota"
        raise InputError(message, code="quota-exceeded")
    return limit - stored


@contextmanager
def quota_kept(place: Workspace, catalog: Catalog, limit: int | None, new: int) -> Iterator[None]:
    """Let the block store `new` sentences more, while nobody else stores any under a limit: two that each fit may not
    fit together.

    Raises:
        InputError: `quota-exceeded`.
    """
    if limit is None:
        yield
        return
    with locked(place.root, wait=True):
        stored = sentences_stored(catalog)
        if stored + new > limit:
            message = (
                f"{new:,} new sentences beside the {stored:,} that are stored are more than the {limit:,} that may be; "
                "delete a corpus, or ask for a larger quota"
            )
            raise InputError(message, code="quota-exceeded")
        yield
