"""Source files of every kind as blocks of sentences, streamed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from bitextmine.corpus import CorpusFormat, Limits, Reason, Refusal
from bitextmine.corpus.cleaning import (
    RefusedLineError,
    SentenceBlock,
    clean_block,
    clean_text,
    decoded,
    meta_in,
    name_in,
    numbered,
    record_with,
)
from bitextmine.corpus.kinds import refuse_other_kinds
from bitextmine.corpus.readers import RawBlock, read_blocks, read_chunks, split_lines
from bitextmine.errors import CorpusInputError
from bitextmine.pair_files.archive import entry_chunks, opened_archive, text_in
from bitextmine.pair_files.tmx import read_tmx
from bitextmine.preparation.parameters import PreparationParameters, Split, Tidying
from bitextmine.preparation.sentences import lines_in, sentences_in
from bitextmine.preparation.sources import SourceKind
from bitextmine.preparation.tidying import tidier

_BLOCK_SENTENCES, _BLOCK_CHARS = 16_384, 4_000_000  # of documents, before they are passed on
_WIKI = b"<doc "


@dataclass(frozen=True, slots=True)
class Source:
    """A file to prepare. `label` is what errors call it; what is read must amount to `sha256`."""

    path: Path
    name: str
    kind: SourceKind
    sha256: str

    @property
    def label(self) -> str:
        return str(self.path).encode(errors="backslashreplace").decode()


@dataclass(slots=True)
class SourceBlock:
    """Sentences of a source and what of it could not be used; `lines` counts its lines, records, rows or units.

    `consumed` counts the bytes of the file read so far, about.
    """

    sentences: SentenceBlock = field(default_factory=SentenceBlock)
    lines: int = 0
    consumed: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """A line, record or row that may hold several sentences."""

    line: int
    text: str
    id: str | None = None
    doc_id: str | None = None
    meta: str | None = None
    has_title: bool = False


class SourceReader:
    """Reads sources of one language (deu_Latn form) as parameters want it."""

    def __init__(self, lang: str, parameters: PreparationParameters) -> None:
        self._lang, self._parameters = lang, parameters
        self._tidy = tidier(parameters.normalization, parameters.tidy, lang)
        self._sentence_chars = Limits().max_chars
        self._limits = Limits(max_chars=max(parameters.max_document_chars, self._sentence_chars))

    def blocks(self, source: Source, before: int = 0) -> Iterator[SourceBlock]:
        """The sentences of a source, tidied, cleaned and in NFC, some thousand at a time.

        Args:
            before: lines of the sources before, from which the ids of documents without one are counted on.

        Raises:
            CorpusInputError: it is unusable: `file-not-found`, `unsupported-input`, `truncated-input`,
                `corrupt-input`, `input-too-large`, `decompression-bomb`, `input-changed`, `unknown-columns`,
                `xml-entities`, `xml-malformed`, `empty-corpus` (of TMX without a unit in the language).
        """
        match source.kind:
            case SourceKind.PARQUET:
                from bitextmine.preparation.parquet import parquet_records  # it loads pyarrow's reader

                yield from self._recorded(parquet_records(source, self._limits.max_chars), before)
            case SourceKind.JSONL:
                yield from self._recorded(self._json_records(source), before)
            case SourceKind.TMX:
                yield from self._units(source)
            case SourceKind.MOSES:
                with opened_archive(source.path, source.label, source.sha256) as archive:
                    chunks = entry_chunks(archive, text_in(archive, self._lang, source.label), Limits(), source.label)
                    yield from self._texts(split_lines(chunks, self._text_limits), source.label, before)
            case SourceKind.TEXT:
                raw = read_blocks(source.path, self._text_limits, name=source.label, sha256=source.sha256)
                yield from self._texts(raw, source.label, before)

    @property
    def _text_limits(self) -> Limits:
        return self._limits if self._parameters.split is Split.ALWAYS else Limits()

    def _texts(self, blocks: Iterator[RawBlock], label: str, before: int) -> Iterator[SourceBlock]:
        if self._parameters.split is Split.ALWAYS:
            yield from self._recorded(self._paragraphs(blocks, label), before)
            return
        looked_at = False
        for block in blocks:
            looked_at = looked_at or _refuse_markup(block, CorpusFormat.TEXT, label)
            raw = block
            if Tidying.SPACES in self._parameters.tidy:  # a tab is refused as it stands
                raw = replace(block, lines=[line and line.replace(b"\t", b" ") for line in block.lines])
            cleaned = clean_block(raw, CorpusFormat.TEXT, self._sentence_chars)
            yield SourceBlock(self._tidied(cleaned), len(block.lines), block.consumed)

    def _tidied(self, block: SentenceBlock) -> SentenceBlock:
        """A block whose sentences were cleaned, tidied up; what is then no sentence any more is refused."""
        if (tidy := self._tidy) is None:
            return block
        tidied = SentenceBlock(refused=block.refused)
        columns = (block.texts, block.lines, block.ids, block.doc_ids, block.metas)
        for text, line, identifier, document, meta in zip(*columns, strict=True):
            try:
                cleaned = clean_text(tidy(text), self._sentence_chars)
                _append(tidied, cleaned, line, identifier, document, meta)
            except RefusedLineError as refusal:
                tidied.refused.append(Refusal(line, refusal.reason, refusal.detail))
        return tidied

    def _units(self, source: Source) -> Iterator[SourceBlock]:
        chunks = read_chunks(source.path, Limits(), name=source.label, sha256=source.sha256, utf16=True)
        for pairs in read_tmx(chunks, (self._lang, self._lang), source.label, self._sentence_chars):
            block = replace(pairs.src, refused=pairs.refused, metas=[None] * len(pairs))
            yield SourceBlock(self._tidied(block), pairs.lines, pairs.consumed)

    def _paragraphs(self, blocks: Iterator[RawBlock], label: str) -> Iterator[tuple[Record | Refusal, int]]:
        looked_at = False
        for block in blocks:
            looked_at = looked_at or _refuse_markup(block, CorpusFormat.TEXT, label)
            for number, raw in numbered(block):
                try:
                    yield Record(number, decoded(raw, self._limits.max_chars)), block.consumed
                except RefusedLineError as refusal:
                    yield Refusal(number, refusal.reason, refusal.detail), block.consumed

    def _json_records(self, source: Source) -> Iterator[tuple[Record | Refusal, int]]:
        looked_at = False
        for block in read_blocks(source.path, self._limits, name=source.label, sha256=source.sha256):
            looked_at = looked_at or refuse_other_kinds(block, CorpusFormat.JSONL, source.label)
            for number, raw in numbered(block):
                try:
                    yield _record(number, decoded(raw, self._limits.max_chars), self._limits.max_chars), block.consumed
                except RefusedLineError as refusal:
                    yield Refusal(number, refusal.reason, refusal.detail), block.consumed

    def _recorded(self, records: Iterator[tuple[Record | Refusal, int]], before: int) -> Iterator[SourceBlock]:
        block, chars = SourceBlock(), 0
        for record, block.consumed in records:
            block.lines += 1
            if isinstance(record, Refusal):
                block.sentences.refused.append(record)
            elif len(record.text) > (most := self._parameters.max_document_chars):
                detail = f"{len(record.text):,} characters, more than {most:,}"
                block.sentences.refused.append(Refusal(record.line, Reason.TOO_LONG, detail))
            else:
                self._add(record, block.sentences, before)
                chars += len(record.text)
            if chars >= _BLOCK_CHARS or len(block.sentences.texts) + block.lines >= _BLOCK_SENTENCES:
                yield block
                block, chars = SourceBlock(consumed=block.consumed), 0
        yield block

    def _add(self, record: Record, block: SentenceBlock, before: int) -> None:
        texts, split = self._sentences_of(record)
        document = record.doc_id or (record.id if split else None)
        for number, text in enumerate(texts, start=1):
            identifier = f"{document or before + record.line}#{number}" if split else record.id
            try:
                tidied = self._tidy(text) if self._tidy else text
                cleaned = clean_text(tidied, self._sentence_chars)
                _append(block, cleaned, record.line, identifier, document, record.meta)
            except RefusedLineError as refusal:
                block.refused.append(Refusal(record.line, refusal.reason, refusal.detail))

    def _sentences_of(self, record: Record) -> tuple[list[str], bool]:
        """The sentences of a record, and whether it was taken apart."""
        lines = lines_in(record.text)
        wanted = self._parameters.split
        if wanted is Split.ALWAYS or (wanted is Split.AUTO and (record.has_title or len(lines) > 1)):
            return sentences_in(record.text, self._lang), True
        return (lines, True) if record.has_title or len(lines) > 1 else ([record.text], False)


def _append(
    block: SentenceBlock, text: str, line: int, identifier: str | None, document: str | None, meta: str | None
) -> None:
    block.texts.append(text)
    block.lines.append(line)
    block.ids.append(identifier)
    block.doc_ids.append(document)
    block.metas.append(meta)


def _record(number: int, line: str, max_chars: int) -> Record:
    """
    Raises:
        RefusedLineError: it is not a JSON object with a text.
    """
    record = record_with(("text",), line)
    identifier, document = (name_in(record, name, max_chars) for name in ("id", "doc_id"))
    if not record["text"].strip():
        raise RefusedLineError(Reason.EMPTY, "no text")
    return Record(number, record["text"], identifier, document, meta_in(record), isinstance(record.get("title"), str))


def _refuse_markup(block: RawBlock, form: CorpusFormat, label: str) -> bool:
    first = next((raw.strip() for raw in block.lines if raw and raw.strip()), b"")
    if first.startswith(_WIKI):
        message = f"{label} is WikiExtractor's output with tags; make JSON of it: wikiextractor --json"
        raise CorpusInputError(message, code="unsupported-input")
    return refuse_other_kinds(block, form, label)
