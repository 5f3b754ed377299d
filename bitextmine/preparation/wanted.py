"""What is to be prepared, and which corpus made before it goes on from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

from bitextmine.artifacts import Artifact, ArtifactKey, ArtifactStore
from bitextmine.corpus import Corpus
from bitextmine.corpus.corpus import KIND
from bitextmine.corpus.identify import IDENTIFIER
from bitextmine.errors import CorpusInputError
from bitextmine.languages import parse_language
from bitextmine.preparation.excluded import ExcludedFile, digests_of, excluded_files
from bitextmine.preparation.language import Language
from bitextmine.preparation.parameters import PreparationParameters, Split
from bitextmine.preparation.reading import Source
from bitextmine.preparation.report import SUMMARY
from bitextmine.preparation.sources import kind_of, names_of
from bitextmine.progress import Progress

_FORMAT = "prepared"
_SCHEMA = 2  # of what the rules do; another makes other corpora
_HASHING, _HASHING_EXCLUDED = "hash", "hash-exclude"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Sources in their order, their language (deu_Latn form) and how they are prepared."""

    sources: tuple[Source, ...]
    lang: str
    parameters: PreparationParameters
    excluded: tuple[ExcludedFile, ...]

    @classmethod
    def of(cls, paths: Sequence[Path], lang: str, parameters: PreparationParameters, progress: Progress) -> Wanted:
        """
        Raises:
            CorpusInputError: there is no file, or one cannot be read.
            LanguageError
        """
        code = parse_language(lang)
        if not paths:
            raise CorpusInputError("there is no file to prepare", code="file-not-found")
        kinds = [kind_of(path) for path in paths]
        digests = digests_of(paths, progress, _HASHING)
        sources = tuple(map(Source, paths, names_of(paths), kinds, digests))
        return cls(sources, code, parameters, excluded_files(parameters.exclude, progress, _HASHING_EXCLUDED))

    @property
    def key(self) -> ArtifactKey:
        """Of the corpus, however it comes about: from scratch or after a corpus of the first of the sources."""
        inputs = {"sources": _digest([[source.name, source.sha256] for source in self.sources])}
        if self.excluded:
            inputs["excluded"] = _digest(sorted(file.described for file in self.excluded))
        return ArtifactKey(KIND, self._described, inputs)

    @property
    def _described(self) -> dict[str, Any]:
        made_by = {}
        if self.parameters.split is not Split.NEVER:
            made_by["sentencex"] = metadata.version("sentencex")
        if Language.name in self.parameters.bounds:
            made_by["identifier"] = IDENTIFIER
        return {
            "lang": self.lang,
            "format": _FORMAT,
            "shard_rows": self.parameters.shard_rows,
            "schema": _SCHEMA,
            **self.parameters.described(self.lang),
            **made_by,
        }

    def continues(self, former: Artifact) -> bool:
        """Whether a corpus was made with the same parameters from the first of the sources, and not from all."""
        known = former.summary.get("parts")
        if SUMMARY not in former.summary or not known or len(known) >= len(self.sources):
            return False
        first = [(source.name, source.sha256) for source in self.sources[: len(known)]]
        key = self.key
        return (
            [(part["source"], part["sha256"]) for part in known] == first
            and _plain(former.parameters) == _plain(key.parameters)
            and former.manifest["inputs"].get("excluded") == key.inputs.get("excluded")
        )


def find_former(wanted: Wanted, store: ArtifactStore) -> Corpus | None:
    """Of the corpora that the wanted one goes on from, the one with most of its sources."""
    formers = [artifact for artifact in store.list(KIND) if wanted.continues(artifact)]
    return Corpus(max(formers, key=lambda former: len(former.summary["parts"]))) if formers else None


def _digest(values: Any) -> str:
    return sha256(json.dumps(values, ensure_ascii=True).encode()).hexdigest()


def _plain(parameters: Any) -> Any:
    return json.loads(json.dumps(parameters))
