"""A corpus as a run's configuration describes it: its files, and how they become sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, format_of, ingest
from bitextmine.errors import CorpusInputError
from bitextmine.progress import Progress, silent


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusSource:
    """Files of one language, in their order. With `preparation` (its parameters) they are prepared; without, lines are
    sentences, and only exact duplicates are dropped.
    """

    name: str
    lang: str  # deu_Latn form
    files: tuple[str, ...]  # absolute paths
    form: str | None = None  # a CorpusFormat; by the files' names if there is none
    preparation: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CorpusSource:
        return cls(**{**values, "files": tuple(values["files"])})


def read_source(source: CorpusSource, store: ArtifactStore, progress: Progress = silent) -> Corpus:
    """The corpus of the files; what was read before is found.

    Raises:
        CorpusInputError: a file cannot be used.
        DiskFullError: nothing was published.
    """
    if source.preparation is not None:
        from bitextmine.preparation import PreparationParameters, prepare

        parameters = PreparationParameters.parse(source.preparation)
        return prepare([Path(file) for file in source.files], source.lang, store, parameters, progress=progress)
    corpus: Corpus | None = None
    for name in source.files:
        path = Path(name)
        form = CorpusFormat(source.form) if source.form else format_of(path)
        corpus = ingest(CorpusFile(path, source.lang, form), store, after=corpus, progress=progress)
    if corpus is None:
        raise CorpusInputError(f"the corpus {source.name!r} has no files", code="empty-corpus")
    return corpus
