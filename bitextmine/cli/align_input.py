"""Documents to align: files of a sentence a line, or of whole paragraphs that are split first."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bitextmine.cli.console import read_corpora
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, Limits
from bitextmine.corpus.cleaning import clean_block
from bitextmine.corpus.readers import read_blocks
from bitextmine.errors import CorpusInputError
from bitextmine.preparation.sentences import sentences_in
from bitextmine.progress import Progress
from bitextmine.workspace import Workspace

_PARAGRAPHS = Limits(max_chars=1_000_000)
_STAGE = "split"


def read_documents(files: Sequence[CorpusFile], place: Workspace, progress: Progress, *, split: bool) -> list[Corpus]:
    """The corpora of both files; their lines split into sentences if `split`, and then counted by sentence.

    Raises:
        CorpusInputError: see `ingest`.
    """
    if not split:
        return read_corpora(files, place, progress)
    with tempfile.TemporaryDirectory(prefix="bitextmine-") as name:
        written = [_split(file, Path(name) / f"{side}.jsonl", progress) for side, file in enumerate(files)]
        return read_corpora(written, place, progress)


def _split(file: CorpusFile, path: Path, progress: Progress) -> CorpusFile:
    """The file's sentences as JSONL; the id of each is the line that it is of, unless that had one."""
    size, sentences = file.path.stat().st_size, 0
    with path.open("w", encoding="utf-8") as stream:
        for raw in read_blocks(file.path, _PARAGRAPHS, name=file.label):
            block = clean_block(raw, file.format, _PARAGRAPHS.max_chars)
            for text, line, identifier, document in zip(
                block.texts, block.lines, block.ids, block.doc_ids, strict=True
            ):
                for sentence in sentences_in(text, file.lang):
                    record = {"text": sentence, "id": identifier or str(line), "doc_id": document}
                    stream.write(json.dumps(record) + "\n")
                    sentences += 1
            progress(_STAGE, raw.consumed, size)
    if not sentences:
        raise CorpusInputError(f"{file.label} has no sentence", code="empty-corpus")
    return replace(file, path=path, format=CorpusFormat.JSONL, source=file.source or file.path.name)
