"""What every kind of job is given."""

from __future__ import annotations

from dataclasses import dataclass

from bitextmine.artifacts import ArtifactStore
from bitextmine.catalog import Catalog, repair
from bitextmine.corpus import Corpus
from bitextmine.errors import NotFoundError
from bitextmine.resources import Resources
from bitextmine.workspace import Workspace
from bitextmine_indexer.child import Reporter


@dataclass(frozen=True, slots=True)
class Task:
    """The workspace of the job's tenant, its artifacts (publishing is reported), what it may use, whom to tell."""

    workspace: Workspace
    store: ArtifactStore
    resources: Resources
    report: Reporter

    @property
    def catalog(self) -> Catalog:
        return Catalog(self.workspace.corpora, self.store)

    def corpus(self, name: str, digest: str) -> Corpus:
        """The corpus that a spec names by both.

        Raises:
            NotFoundError: `corpus-not-found`.
            ArtifactError: it is damaged.
        """
        artifact = self.store.open("corpus", digest, repair=repair(name))
        if artifact is None:
            raise NotFoundError(f"corpus {name!r} was deleted before the job ran", code="corpus-not-found")
        return Corpus(artifact)
