"""The two texts in a zip archive, read where they lie: nothing is written anywhere, and paths in it mean nothing."""

from __future__ import annotations

import hashlib
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from bitextmine.corpus.readers import BLOCK_BYTES, Limits, changed, check_size
from bitextmine.errors import CorpusInputError, LanguageError
from bitextmine.languages import parse_language

MAX_ENTRIES = 64  # OPUS has five at most
_MAX_DIRECTORY_BYTES = 1 << 20
_END, _END_64, _LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_END_BYTES, _END_64_BYTES, _LOCATOR_BYTES, _MAX_COMMENT = 22, 56, 20, 0xFFFF
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BESIDE = ("readme", "license", "licence", "copying", ".ds_store")  # what OPUS and others put next to the texts
_BESIDE_SUFFIXES = (".ids", ".xml", ".md", ".html", ".scores", ".json", ".info", ".log")
_PACKED = {b"PK\x03\x04": "another zip archive", b"\x1f\x8b": "a gzip file", b"\xfd7zXZ": "an xz file"}
_PACKED |= {b"\x28\xb5\x2f\xfd": "a zstd file", b"BZh": "a bzip2 file", b"7z\xbc\xaf": "a 7z archive"}


@contextmanager
def opened_archive(path: Path, name: str, sha256: str = "") -> Iterator[zipfile.ZipFile]:
    """A zip archive whose list of entries is short, and that stays as it is until it has been read.

    Args:
        sha256: what the file's bytes must amount to in the end; not looked at when empty.

    Raises:
        CorpusInputError: `file-not-found`, `unsupported-input`, `truncated-input`, `corrupt-input`, `input-changed`.
    """
    try:
        stream = path.open("rb")
    except OSError as error:
        raise CorpusInputError(f"cannot read {name}: {error.strerror}", code="file-not-found") from error
    with stream, _errors_named(name):
        before = _state(path)
        _check_directory(stream, name)
        with zipfile.ZipFile(stream) as archive:
            yield archive
        stream.seek(0)
        if _state(path) != before or (sha256 and hashlib.file_digest(stream, "sha256").hexdigest() != sha256):
            raise changed(name)


@contextmanager
def _errors_named(name: str) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, struct.error, OSError) as error:  # an OSError is a place before the file's beginning
        raise CorpusInputError(f"{name} is damaged: {error}", code="corrupt-input") from error
    except (NotImplementedError, ValueError) as error:  # a version or a flag that zipfile does not know
        raise CorpusInputError(f"{name} cannot be unpacked: {error}", code="unsupported-input") from error


def two_texts(archive: zipfile.ZipFile, langs: tuple[str, str], name: str) -> tuple[zipfile.ZipInfo, zipfile.ZipInfo]:
    """The entries in these languages, which the ends of their names tell; there are two texts, and no third.

    Raises:
        CorpusInputError: `unsupported-input`.
    """
    found = texts_by_language(archive, name)
    if set(found) != set(langs):
        listed = _listed(list(found.values()))
        message = f"{name} holds {listed}, whose names do not end in {langs[0]} and {langs[1]}, as .de and .en"
        raise CorpusInputError(message, code="unsupported-input")
    return found[langs[0]], found[langs[1]]


def text_in(archive: zipfile.ZipFile, lang: str, name: str) -> zipfile.ZipInfo:
    """The one of the two texts that is in this language.

    Raises:
        CorpusInputError: `unsupported-input`.
    """
    found = texts_by_language(archive, name)
    if lang not in found:
        message = f"{name} holds {_listed(list(found.values()))}, none of whose names ends in {lang}, as in .de"
        raise CorpusInputError(message, code="unsupported-input")
    return found[lang]


def texts_by_language(archive: zipfile.ZipFile, name: str) -> dict[str, zipfile.ZipInfo]:
    """The two texts by the languages that the ends of their names tell; there is one under "" if they tell none.

    Raises:
        CorpusInputError: `unsupported-input`: there are not two.
    """
    texts = [entry for entry in archive.infolist() if not entry.is_dir() and not _is_beside(entry.filename)]
    for entry in texts:
        _check_entry(archive, entry, name)
    if len(texts) != 2:
        message = f"{name} holds {len(texts)} texts ({_listed(texts)}), and must hold the two of one pair"
        raise CorpusInputError(message, code="unsupported-input")
    return {_language(entry): entry for entry in texts}


def entry_chunks(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limits: Limits, name: str
) -> Iterator[tuple[bytes, int]]:
    """The content of an entry, each chunk with the share of its compressed bytes that is likely read by now.

    Raises:
        CorpusInputError: `truncated-input`, `corrupt-input`, `input-too-large`, `decompression-bomb`.
    """
    expanded, label = 0, f"{shown(entry)} in {name}"
    packed = min(entry.compress_size, _file_size(archive))  # what the entry says of itself may be a lie
    try:
        with archive.open(entry) as stream:
            while chunk := stream.read(BLOCK_BYTES):
                expanded += len(chunk)
                check_size(label, expanded, packed, limits)
                yield chunk, min(packed, expanded * packed // max(entry.file_size, 1))
    except EOFError as error:
        raise CorpusInputError(f"{label} is truncated; transfer it again", code="truncated-input") from error
    except (zipfile.BadZipFile, zlib.error) as error:
        raise CorpusInputError(f"{label} is damaged: {error}", code="corrupt-input") from error


def _check_directory(stream: IO[bytes], name: str) -> None:
    """Refuse what would fill the memory before anything is read: `zipfile` makes an object of every entry."""
    size = stream.seek(0, 2)
    tail_bytes = min(size, _END_BYTES + _MAX_COMMENT + _END_64_BYTES + _LOCATOR_BYTES)
    stream.seek(size - tail_bytes)
    tail = stream.read(tail_bytes)
    stream.seek(0)
    if not stream.read(4).startswith(b"PK"):
        message = f"{name} is no zip archive; a Moses pair is two files, or a zip archive that holds two texts"
        raise CorpusInputError(message, code="unsupported-input")
    end = tail.rfind(_END)
    if end < 0 or len(tail) < end + _END_BYTES:
        message = f"{name} is truncated: the list at the end of the archive is not there; transfer it again"
        raise CorpusInputError(message, code="truncated-input")
    entries, directory = struct.unpack("<HL", tail[end + 10 : end + 16])
    locator, end_64 = end - _LOCATOR_BYTES, end - _LOCATOR_BYTES - _END_64_BYTES
    if end_64 >= 0 and tail[locator:].startswith(_LOCATOR_64) and tail[end_64:].startswith(_END_64):
        entries, directory = struct.unpack("<QQ", tail[end_64 + 32 : end_64 + 48])
    if entries > MAX_ENTRIES or directory > _MAX_DIRECTORY_BYTES:
        message = f"{name} holds {entries:,} files, and must hold the two texts of one pair"
        raise CorpusInputError(message, code="unsupported-input")


def _check_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> None:
    label = f"{shown(entry)} in {name}"
    if entry.flag_bits & 0x41:
        raise CorpusInputError(f"{label} is encrypted; give it unencrypted", code="unsupported-input")
    if entry.compress_type not in _METHODS:
        message = f"{label} is compressed in a way that is not read; make the archive with: zip"
        raise CorpusInputError(message, code="unsupported-input")
    try:
        with archive.open(entry) as stream:
            start = stream.read(8)
    except (EOFError, zlib.error):
        return  # reading it all says so
    for magic, what in _PACKED.items():
        if start.startswith(magic):
            raise CorpusInputError(f"{label} is {what}; unpack it first", code="unsupported-input")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CorpusInputError(f"{label} is UTF-16 text; give UTF-8", code="unsupported-input")


def _is_beside(filename: str) -> bool:
    place = PurePosixPath(filename.lower())
    return place.name.startswith(_BESIDE) or place.suffix in _BESIDE_SUFFIXES or "__macosx" in place.parts


def _language(entry: zipfile.ZipInfo) -> str:
    try:
        return parse_language(PurePosixPath(entry.filename).suffix.removeprefix("."))
    except LanguageError:
        return ""


def _listed(entries: list[zipfile.ZipInfo]) -> str:
    return ", ".join(map(shown, entries[:4])) + (", ..." if len(entries) > 4 else "") if entries else "none"


def shown(entry: zipfile.ZipInfo) -> str:
    """The last part of an entry's name, printable."""
    return ascii(PurePosixPath(entry.filename).name[:80])[1:-1] or "a file without a name"


def _file_size(archive: zipfile.ZipFile) -> int:
    return os.fstat(archive.fp.fileno()).st_size if archive.fp else 0


def _state(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
