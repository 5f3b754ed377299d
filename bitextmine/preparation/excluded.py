"""Sentences that shall not be prepared, as they are in bitexts already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bitextmine.artifacts import file_sha256
from bitextmine.corpus import CorpusFile, Limits, check_readable
from bitextmine.corpus.dedup import SeenSentences, hash_sentences
from bitextmine.errors import CorpusInputError
from bitextmine.pair_files import PairFile, PairFormat, read_pairs
from bitextmine.preparation.parameters import PreparationParameters
from bitextmine.preparation.reading import Source, SourceReader
from bitextmine.preparation.sources import SourceKind, kind_of
from bitextmine.preparation.tidying import tidier
from bitextmine.progress import Progress

STAGE = "exclude"
_TSV = ".tsv"


def digests_of(paths: Sequence[Path], progress: Progress, stage: str) -> list[str]:
    """The SHA-256 of each file. Progress counts bytes.

    Raises:
        CorpusInputError: `file-not-found`.
    """
    sizes = [check_readable(CorpusFile(path, "")) for path in paths]
    total, done, found = sum(sizes), 0, []
    for path, size in zip(paths, sizes, strict=True):
        try:
            found.append(file_sha256(path))
        except OSError as error:
            raise CorpusInputError(f"cannot read {path}: {error.strerror}", code="file-not-found") from error
        done += size
        progress(stage, done, total)
    return found


def excluded_sentences(
    digests: Sequence[str], lang: str, parameters: PreparationParameters, progress: Progress
) -> SeenSentences | None:
    """The sentences of the files to exclude, cleaned and tidied as those that are prepared; None where there are none.

    Of TMX and Moses archives those in the language (deu_Latn form) are taken, of TSV those of both sides, of others
    all. Documents are split.

    Raises:
        CorpusInputError: a file cannot be used.
    """
    if not parameters.exclude:
        return None
    seen = SeenSentences()
    for number, (path, sha256) in enumerate(zip(parameters.exclude, digests, strict=True), start=1):
        for texts in _texts(path, sha256, lang, parameters):
            if texts:
                seen.add(hash_sentences(texts))
        progress(STAGE, number, len(parameters.exclude))
    return seen


def _texts(path: Path, sha256: str, lang: str, parameters: PreparationParameters) -> Iterator[list[str]]:
    suffixes = {suffix.lower() for suffix in path.suffixes}
    kind = kind_of(path)
    if _TSV in suffixes or (kind is SourceKind.JSONL and _is_of_pairs(path)):
        form = PairFormat.TSV if _TSV in suffixes else PairFormat.JSONL
        tidy = tidier(parameters.normalization, parameters.tidy, lang)
        for block in read_pairs(PairFile(path, lang, "", form, sha256=sha256), Limits()):
            texts = [*block.src.texts, *block.tgt.texts]
            yield [tidy(text).strip() for text in texts] if tidy else texts
        return
    try:
        for found in SourceReader(lang, parameters).blocks(Source(path, path.name, kind, sha256)):
            yield found.sentences.texts
    except CorpusInputError as error:
        if error.code != "empty-corpus":  # of TMX that has nothing in this language
            raise


def _is_of_pairs(path: Path) -> bool:
    """Whether the first record of a JSONL file is a pair."""
    try:
        first = next(iter(read_pairs(PairFile(path, "a", "b", PairFormat.JSONL), Limits())), None)
    except CorpusInputError:
        return False
    return first is not None and len(first) > 0
