"""Sentences that shall not be prepared, as they are in bitexts already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from bitextmine.artifacts import file_sha256
from bitextmine.corpus import CorpusFile, Limits, Reason, Refusal, check_readable
from bitextmine.corpus.dedup import SeenSentences, hash_sentences
from bitextmine.corpus.readers import read_blocks
from bitextmine.corpus.refused import RefusalLog
from bitextmine.errors import CorpusInputError
from bitextmine.pair_files import PairFile, PairFormat, read_pairs
from bitextmine.preparation.parameters import PreparationParameters
from bitextmine.preparation.reading import Source, SourceReader
from bitextmine.preparation.sources import SourceKind, kind_of
from bitextmine.preparation.tidying import Tidy, tidier
from bitextmine.progress import Progress

STAGE = "exclude"
_TSV = ".tsv"
_TABLE_SHARE = 0.9  # of a text's lines have a tab: pairs, not sentences


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


@dataclass(frozen=True, slots=True)
class ExcludedFile:
    """A file whose sentences shall not be prepared, and how it is read: as pairs of a format, or as a source."""

    path: Path
    form: PairFormat | SourceKind
    sha256: str

    @property
    def described(self) -> list[str]:
        """All that decides which sentences are excluded, but for the language and how they are tidied."""
        return ["pairs" if isinstance(self.form, PairFormat) else "source", self.form.value, self.sha256]

    @property
    def label(self) -> str:
        return str(self.path).encode(errors="backslashreplace").decode()


def excluded_files(paths: Sequence[Path], progress: Progress, stage: str) -> tuple[ExcludedFile, ...]:
    """The files to exclude. Pairs are TSV by name, texts of which nearly all lines have a tab, and JSONL whose first
    record is a pair. Progress counts bytes.

    Raises:
        CorpusInputError: one cannot be read.
    """
    digests = digests_of(paths, progress, stage)
    return tuple(ExcludedFile(path, _form(path), sha256) for path, sha256 in zip(paths, digests, strict=True))


def excluded_sentences(
    files: Sequence[ExcludedFile], lang: str, parameters: PreparationParameters, progress: Progress
) -> SeenSentences | None:
    """The sentences of the files to exclude, cleaned and tidied as those that are prepared; None where there are none.

    Of TMX and Moses archives those in the language (deu_Latn form) are taken, of other pairs those of both sides, of
    others all. Documents are split.

    Raises:
        CorpusInputError: a file cannot be used, or `empty-corpus`: nothing in it can. An empty file, or TMX without a
            unit in the language, excludes nothing.
    """
    if not files:
        return None
    seen = SeenSentences()
    for number, file in enumerate(files, start=1):
        refused, lines, usable = RefusalLog(), 0, 0
        for texts, refusals, count in _texts(file, lang, parameters):
            refused.add(refusals)
            lines, usable = lines + count, usable + len(texts)
            if texts:
                seen.add(hash_sentences(texts))
        harmless = {Reason.EMPTY, Reason.BAD_RECORD} if file.form is SourceKind.TMX else {Reason.EMPTY}
        if not usable and set(refused.counts) - harmless:
            raise CorpusInputError(refused.why_empty(file.label, "sentence to exclude", lines), code="empty-corpus")
        progress(STAGE, number, len(files))
    return seen


def _texts(
    file: ExcludedFile, lang: str, parameters: PreparationParameters
) -> Iterator[tuple[list[str], list[Refusal], int]]:
    """Sentences, what could not be used, and how many lines were looked at."""
    if isinstance(file.form, PairFormat):
        yield from _paired(file, file.form, lang, tidier(parameters.normalization, parameters.tidy, lang))
        return
    try:
        for found in SourceReader(lang, parameters).blocks(Source(file.path, file.path.name, file.form, file.sha256)):
            yield found.sentences.texts, found.sentences.refused, found.lines
    except CorpusInputError as error:
        if file.form is not SourceKind.TMX or error.code != "empty-corpus":  # nothing in this language
            raise


def _paired(
    file: ExcludedFile, form: PairFormat, lang: str, tidy: Tidy | None
) -> Iterator[tuple[list[str], list[Refusal], int]]:
    try:
        for block in read_pairs(PairFile(file.path, lang, "", form, sha256=file.sha256), Limits()):
            texts = [*block.src.texts, *block.tgt.texts]
            if tidy:
                texts = [normalize("NFC", tidy(text)).strip() for text in texts]
            yield texts, block.refused, block.lines
    except CorpusInputError as error:
        if error.code != "unknown-columns":
            raise
        message = f"{file.label}: nothing tells which columns hold the pairs to exclude; give source, a tab, target"
        raise CorpusInputError(message, code=error.code) from error


def _form(path: Path) -> PairFormat | SourceKind:
    if _TSV in {suffix.lower() for suffix in path.suffixes}:
        return PairFormat.TSV
    kind = kind_of(path)
    if kind is SourceKind.TEXT and _is_table(path):
        return PairFormat.TSV
    if kind in (SourceKind.TEXT, SourceKind.JSONL) and _is_of_pairs(path):
        return PairFormat.JSONL
    return kind


def _is_table(path: Path) -> bool:
    """Whether nearly all lines in a text's beginning have a tab."""
    first = next(read_blocks(path, Limits(), name=str(path)), None)
    lines = [line for raw in (first.lines if first else ()) if raw and (line := raw.strip())]
    return bool(lines) and sum(b"\t" in line for line in lines) >= _TABLE_SHARE * len(lines)


def _is_of_pairs(path: Path) -> bool:
    """Whether the first record of a file is a JSON object with a pair."""
    try:
        first = next(iter(read_pairs(PairFile(path, "a", "b", PairFormat.JSONL), Limits())), None)
    except CorpusInputError:
        return False
    return first is not None and len(first) > 0
