"""Ingest: one file in, one corpus artifact out, streamed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from errno import EACCES
from pathlib import Path
from stat import S_ISREG
from typing import Any

from bitextmine.artifacts import ArtifactKey, ArtifactStore, Staging, file_sha256
from bitextmine.corpus.cleaning import CorpusFormat, clean_block
from bitextmine.corpus.corpus import COPIES, KIND, META, SENTENCES, Corpus
from bitextmine.corpus.kinds import refuse_other_kinds
from bitextmine.corpus.parts import CorpusPart, added, link
from bitextmine.corpus.readers import Limits, read_blocks
from bitextmine.corpus.refused import REFUSED
from bitextmine.corpus.writer import CorpusWriter
from bitextmine.errors import CorpusInputError, InputError
from bitextmine.progress import Progress, silent

SHARD_ROWS = 16_384  # a shard of LaBSE vectors is 25 MB; muse embeds one in about ten seconds
STAGE = "ingest"
_SUFFIXES = {".jsonl": CorpusFormat.JSONL, ".ndjson": CorpusFormat.JSONL, ".json": CorpusFormat.JSONL}


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """A file to ingest. `source` is the name that provenance keeps; `sha256` spares a read where it is known."""

    path: Path
    lang: str
    format: CorpusFormat = CorpusFormat.TEXT
    source: str = ""
    sha256: str = ""

    @property
    def name(self) -> str:
        """Printable: bytes of a file name that are not UTF-8 are shown as escapes."""
        return (self.source or self.path.name).encode(errors="backslashreplace").decode()

    @property
    def label(self) -> str:
        """What errors call it: the path, unless it is an upload's."""
        return (self.source or str(self.path)).encode(errors="backslashreplace").decode()


def format_of(path: Path) -> CorpusFormat:
    """The format that a file's name tells: JSONL for .jsonl, .ndjson, .json (compressed or not), else text."""
    suffixes = [suffix.lower() for suffix in reversed(path.suffixes)]
    return next((_SUFFIXES[suffix] for suffix in suffixes if suffix in _SUFFIXES), CorpusFormat.TEXT)


def ingest(
    file: CorpusFile,
    store: ArtifactStore,
    *,
    limits: Limits | None = None,
    shard_rows: int = SHARD_ROWS,
    after: Corpus | None = None,
    max_sentences: int | None = None,
    progress: Progress = silent,
) -> Corpus:
    """The corpus of a file: found if it was ingested before, made otherwise. Progress counts the file's bytes.

    Lines that cannot be used are refused one by one, counted and kept with number and reason; exact duplicates
    become one sentence that remembers its copies.

    Args:
        after: a corpus that the file is appended to: its sentences come first and keep their rows. The result has
            the sentences, rows and shards of a corpus of both files in a row; `shard_rows` is then that of `after`.
        max_sentences: how many new distinct sentences there may be.
    Raises:
        CorpusInputError: the file as a whole is unusable: `file-not-found`, `empty-corpus`, `truncated-input`,
            `corrupt-input`, `input-too-large`, `decompression-bomb`, `unsupported-input`, `input-changed`.
        InputError: `quota-exceeded`: there are more new sentences; nothing was published.
        DiskFullError: nothing was published.
    """
    wanted = _Wanted(file, limits or Limits(), after.shard_rows if after else shard_rows, after, max_sentences)
    content = file.sha256 or _content_sha256(file)
    key = wanted.key(content)
    if (artifact := store.find(key)) is None:
        with store.publish(key) as staging:
            _write(replace(wanted, file=replace(file, sha256=content)), staging, progress)
        artifact = store.find(key)
    if artifact is None:
        raise CorpusInputError(f"the corpus of {file.label} vanished while it was published")
    corpus = Corpus(artifact)
    wanted.check_quota(len(corpus) - (len(after) if after else 0))
    return corpus


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be ingested, and how."""

    file: CorpusFile
    limits: Limits
    shard_rows: int
    after: Corpus | None
    max_sentences: int | None

    def key(self, content: str) -> ArtifactKey:
        parameters: dict[str, Any] = {
            "lang": self.file.lang,
            "format": self.file.format.value,
            "source": self.file.name,
            "shard_rows": self.shard_rows,
            "limits": asdict(self.limits),
        }
        if self.file.format is CorpusFormat.JSONL:
            parameters["columns"] = [META]  # corpora from before there was metadata are other ones
        before = {"after": self.after.digest} if self.after else {}
        return ArtifactKey(KIND, parameters, {"content": content, **before})

    def check_quota(self, new_sentences: int) -> None:
        if self.max_sentences is not None and new_sentences > self.max_sentences:
            message = (
                f"{self.file.label} has more than {self.max_sentences:,} new sentences, which is all that may still be "
                "stored; delete a corpus, or ask for a larger quota"
            )
            raise InputError(message, code="quota-exceeded")


def _content_sha256(file: CorpusFile) -> str:
    check_readable(file)
    try:
        return file_sha256(file.path)
    except OSError as error:
        raise CorpusInputError(f"cannot read {file.label}: {error.strerror}", code="file-not-found") from error


def check_readable(file: CorpusFile) -> int:
    """The size of the file in bytes, which is there and can be read.

    Raises:
        CorpusInputError: `file-not-found`.
    """
    try:
        status = file.path.stat()
        if not os.access(file.path, os.R_OK):
            raise PermissionError(EACCES, os.strerror(EACCES))
    except OSError as error:
        raise CorpusInputError(f"cannot read {file.label}: {error.strerror}", code="file-not-found") from error
    if not S_ISREG(status.st_mode):
        message = f"cannot read {file.label}: not a regular file; a corpus is read twice, which a pipe cannot be"
        raise CorpusInputError(message, code="file-not-found")
    return status.st_size


def _write(wanted: _Wanted, staging: Staging, progress: Progress) -> None:
    file, limits, after = wanted.file, wanted.limits, wanted.after
    size = check_readable(file)
    lines, usable, looked_at = 0, 0, False
    meta = file.format is CorpusFormat.JSONL
    with CorpusWriter(staging.path, wanted.shard_rows, after=after, meta=meta) as writer:
        for raw in read_blocks(file.path, limits, name=file.label, sha256=file.sha256):
            looked_at = looked_at or refuse_other_kinds(raw, file.format, file.label)
            usable += len(writer.add(clean_block(raw, file.format, limits.max_chars)))
            wanted.check_quota(writer.new_sentences)
            lines += len(raw.lines)
            progress(STAGE, raw.consumed, size)
    if not usable:
        raise CorpusInputError(writer.refusals.why_empty(file.label, "sentence", lines), code="empty-corpus")
    progress(STAGE, size, size)
    staging.summary |= {
        "lines": lines,
        "sentences": writer.sentences,
        "duplicates": writer.duplicates,
        "refused": dict(writer.refusals.counts),
        "shards": writer.shard_digests,
    }
    if after is not None:
        continue_corpus(after, [writer.part(file.name, lines)], staging)


def continue_corpus(
    after: Corpus, parts: Sequence[CorpusPart], staging: Staging, names: Sequence[str] = (SENTENCES, COPIES, REFUSED)
) -> None:
    """Make parts that were written the last of a corpus: take the earlier parts in, add up the counts.

    The files of earlier parts, of these names, never change, so they get a second name and take no more room. A shard
    that has grown remembers what it has grown from: the vectors of that are known.
    """
    for file in dict.fromkeys(earlier.file(name) for earlier in after.parts for name in names):
        link(after.artifact.path / file, staging.path / file)
    summary, counted = staging.summary, after.summary
    for name in ("lines", "duplicates"):
        summary[name] += int(counted[name])
    summary["refused"] = added(counted["refused"], summary["refused"])
    summary["parts"] = [each.record() for each in (*after.parts, *parts)]
    grown = {shard.number: shard.grown_from for shard in after.shards}
    last = after.shards[-1]
    if summary["shards"][last.number] != last.digest:
        grown[last.number] = ((last.digest, last.stop - last.start), *last.grown_from)
    summary["grown"] = {str(number): origins for number, origins in grown.items() if origins}
