"""Documents to align: files of a sentence a line, or of whole paragraphs that are split first."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bitextmine.cli.console import MANY_REFUSED, REFUSALS_SHOWN, read_corpora
from bitextmine.cli.stages import say
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, Limits, Reason, Refusal, encoding_hint
from bitextmine.corpus.cleaning import RefusedLineError, SentenceBlock, clean_block, clean_text
from bitextmine.corpus.kinds import refuse_other_kinds
from bitextmine.corpus.readers import read_blocks
from bitextmine.corpus.refused import RefusalLog
from bitextmine.errors import CorpusInputError
from bitextmine.preparation.sentences import sentences_in
from bitextmine.progress import Progress
from bitextmine.workspace import Workspace

_PARAGRAPHS, _SENTENCES = Limits(max_chars=1_000_000), Limits()
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
    """The file's sentences as JSONL; the id of each is the line that it is of, unless that had one. What cannot be used
    is said, by its line in the file.
    """
    size, sentences, lines = file.path.stat().st_size, 0, 0
    refused, shown, looked_at = RefusalLog(), list[Refusal](), False
    with path.open("w", encoding="utf-8") as stream:
        for raw in read_blocks(file.path, _PARAGRAPHS, name=file.label):
            looked_at = looked_at or refuse_other_kinds(raw, file.format, file.label)
            block = clean_block(raw, file.format, _PARAGRAPHS.max_chars)
            for record in _records(block, file.lang):
                stream.write(json.dumps(record) + "\n")
                sentences += 1
            lines += len(raw.lines)
            refused.add(block.refused)
            told = [each for each in block.refused if each.reason is not Reason.EMPTY]
            shown += sorted(told, key=lambda each: each.line)[: REFUSALS_SHOWN - len(shown)]
            progress(_STAGE, raw.consumed, size)
    if not sentences:
        raise CorpusInputError(refused.why_empty(file.label, "sentence", lines), code="empty-corpus")
    _report(file, lines, refused, shown)
    return replace(file, path=path, format=CorpusFormat.JSONL, source=file.source or file.path.name)


def _records(block: SentenceBlock, lang: str) -> list[dict[str, str | None]]:
    """The sentences of a block's lines; those that are too long are among its refused then."""
    records: list[dict[str, str | None]] = []
    for text, line, identifier, document in zip(block.texts, block.lines, block.ids, block.doc_ids, strict=True):
        for sentence in sentences_in(text, lang):
            try:
                cleaned = clean_text(sentence, _SENTENCES.max_chars)
                records.append({"text": cleaned, "id": identifier or str(line), "doc_id": document})
            except RefusedLineError as refusal:
                block.refused.append(Refusal(line, refusal.reason, refusal.detail))
    return records


def _report(file: CorpusFile, lines: int, refused: RefusalLog, shown: Sequence[Refusal]) -> None:
    """Say what could not be used; blank lines, which part paragraphs, are none of it."""
    total = refused.counts.total() - refused.counts[Reason.EMPTY.value]
    if not total:
        return
    say(f"{file.label}: {total:,} of {lines:,} lines or their sentences refused, the others are used:")
    for refusal in shown:
        say(f"  line {refusal.line}: {refusal.reason}: {refusal.detail}")
    if total > len(shown):
        say(f"  ... and {total - len(shown):,} more")
    if total > MANY_REFUSED * lines:
        hint = encoding_hint(refused.counts, lines) or "is that the right file, and the right --format?"
        say(f"warning: {file.label}: {total / lines:.0%} of the lines were refused; {hint}")
