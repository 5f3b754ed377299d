"""Which files a corpus is prepared from: found, told apart by what they hold, and named for provenance."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from enum import StrEnum
from glob import glob, has_magic
from pathlib import Path

from bitextmine.corpus import CorpusFile, CorpusFormat, Limits, check_readable, format_of
from bitextmine.corpus.kinds import is_record
from bitextmine.corpus.readers import read_chunks
from bitextmine.errors import CorpusInputError

_UNSEEN = (".", "_")  # begin the names of what tools put beside data: .DS_Store, _SUCCESS, _metadata
_TMX = (".tmx",)
_LOOKED_AT = 1 << 20  # bytes of a file's beginning, for its first line


class SourceKind(StrEnum):
    """What a source file holds."""

    TEXT = "text"
    JSONL = "jsonl"
    PARQUET = "parquet"
    TMX = "tmx"
    MOSES = "moses"  # a zip archive of two texts; a text of its own is TEXT


def expand_sources(patterns: Sequence[str], base: Path) -> list[Path]:
    """The files that patterns name, each once, in the patterns' order; those of one pattern in order of their paths.

    A pattern is a file, a directory (all files below it, but those whose names, or whose directories' names, begin
    with a dot or an underscore), or a glob, in which ** stands for any directories. Relative ones are below `base`.

    Raises:
        CorpusInputError: `file-not-found`: nothing is there, or a directory has no file; `mixed-formats`: the files of
            a pattern hold different things.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        if not pattern or "\0" in pattern:
            raise CorpusInputError(f"{pattern!r} names no file", code="file-not-found")
        files = _matching(pattern, base)
        if not files:
            raise CorpusInputError(f"no file matches {pattern!r}", code="file-not-found")
        _refuse_mixture(pattern, files)
        found |= dict.fromkeys(files)
    return list(found)


def _matching(pattern: str, base: Path) -> list[Path]:
    place = base / pattern
    if place.is_dir():
        if not (files := _files_below(place)):
            message = f"the directory {pattern} has no files (names that begin with . or _ are passed over)"
            raise CorpusInputError(message, code="file-not-found")
        return files
    if place.exists() or not has_magic(pattern):
        check_readable(CorpusFile(place, ""))
        return [place]
    matches = (Path(match) for match in glob(str(place), recursive=True))  # noqa: PTH207 - absolute patterns too
    files = [file for match in matches for file in (_files_below(match) if match.is_dir() else [match])]
    return sorted(set(files), key=_by_path)


def _files_below(directory: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        message = f"cannot read {error.filename}: {error.strerror}"
        raise CorpusInputError(message, code="file-not-found") from error

    found: list[Path] = []
    for folder, folders, files in os.walk(directory, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(_UNSEEN)]
        found += [Path(folder, name) for name in files if not name.startswith(_UNSEEN)]
    return sorted(found, key=_by_path)


def _by_path(path: Path) -> tuple[str, ...]:
    return path.parts


def _refuse_mixture(pattern: str, files: Iterable[Path]) -> None:
    kinds: dict[SourceKind, Path] = {}
    for file in files:
        kinds.setdefault(kind_of(file), file)
    if len(kinds) > 1:
        (one, first), (other, second), *_ = kinds.items()
        message = (
            f"{pattern} matches files of different formats: {first} is {one}, {second} is {other}; name them apart"
        )
        raise CorpusInputError(message, code="mixed-formats")


def kind_of(path: Path) -> SourceKind:
    """What a file holds: told by its first bytes, then by its name, then by its first line.

    Raises:
        CorpusInputError: `file-not-found`, `corrupt-input`, `truncated-input`.
    """
    start = _first_bytes(path)
    suffixes = {suffix.lower() for suffix in path.suffixes}
    if start == b"PAR1":
        return SourceKind.PARQUET
    if ".parquet" in suffixes:
        raise CorpusInputError(f"{path} is no Parquet file: it does not begin as one", code="corrupt-input")
    if start == b"PK\x03\x04":
        return SourceKind.MOSES
    if suffixes.intersection(_TMX):
        return SourceKind.TMX
    if format_of(path) is CorpusFormat.JSONL or is_record(_first_line(path)):
        return SourceKind.JSONL
    return SourceKind.TEXT


def _first_bytes(path: Path) -> bytes:
    check_readable(CorpusFile(path, ""))
    try:
        with path.open("rb") as stream:
            return stream.read(4)
    except OSError as error:
        raise CorpusInputError(f"cannot read {path}: {error.strerror}", code="file-not-found") from error


def _first_line(path: Path) -> bytes:
    """Without a byte order mark; as far as it is in the beginning of the file."""
    begun = b""
    for chunk, _ in read_chunks(path, Limits(), name=str(path), utf16=True):
        begun += chunk
        lines = begun.removeprefix(b"\xef\xbb\xbf").lstrip()
        if b"\n" in lines or len(begun) >= _LOOKED_AT:
            return lines.partition(b"\n")[0].strip()
    return begun.removeprefix(b"\xef\xbb\xbf").strip()


def names_of(sources: Sequence[Path]) -> list[str]:
    """What provenance calls the files: their paths below the directory that all of them are in, printable.

    So names say which file is meant, and are the same wherever the directory lies.
    """
    places = [Path(os.path.normpath(source.absolute())) for source in sources]
    common = Path(os.path.commonpath([place.parent for place in places])) if places else Path()
    return [place.relative_to(common).as_posix().encode(errors="backslashreplace").decode() for place in places]
