"""A raw line becomes a sentence or a refusal with its reason."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bitextmine.corpus.readers import RawBlock

# C0 and C1 controls, line and paragraph separators, and surrogates (which JSON escapes can smuggle in): what breaks
# a line-oriented file or cannot be written as UTF-8.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_FORBIDDEN_IN_BLOCK = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")
BOM = b"\xef\xbb\xbf"
_TAB = "U+0009"
_TABLE_SHARE = 0.9  # of the lines that are not empty have a tab: columns, not a stray character
TAB_HINT = " (a tab, as in nearly every line: if these are lines of id, tab, sentence, say --format id-tsv)"

META_FIELDS, META_NAME_CHARS, META_VALUE_CHARS = 16, 64, 256  # the most of each that a line's `meta` may have
_Parsed = tuple[str, str | None, str | None, str | None]  # text, id, doc_id, meta


class CorpusFormat(StrEnum):
    """How a line holds its sentence."""

    TEXT = "text"  # the line is the sentence
    JSONL = "jsonl"  # a JSON object: text, and optionally id, doc_id and meta
    ID_TSV = "id-tsv"  # BUCC's: id, a tab, the sentence


class Reason(StrEnum):
    """Why a line was refused."""

    EMPTY = "empty"
    TOO_LONG = "too-long"
    NOT_UTF8 = "not-utf8"
    CONTROL_CHARACTER = "control-character"
    BAD_RECORD = "bad-record"
    NO_MARGIN = "no-margin"  # of pairs that were to be scored: their neighbourhoods' mean cosine is not positive


@dataclass(frozen=True, slots=True)
class Refusal:
    line: int
    reason: Reason
    detail: str


@dataclass(slots=True)
class SentenceBlock:
    """Sentences that passed, as parallel lists, and the lines that did not.

    `ids`, `doc_ids` and `metas` (JSON objects, written out) hold None where the input gave none.
    """

    texts: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    ids: list[str | None] = field(default_factory=list)
    doc_ids: list[str | None] = field(default_factory=list)
    metas: list[str | None] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


class RefusedLineError(Exception):
    """Why a line, or a part of it, cannot be used."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail

    @property
    def is_tab(self) -> bool:
        return self.reason is Reason.CONTROL_CHARACTER and _TAB in self.detail


def clean_block(block: RawBlock, form: CorpusFormat, max_chars: int) -> SentenceBlock:
    """Decode, normalise (NFC), strip and check each line of a block; what fails is refused, the rest goes on."""
    if form is CorpusFormat.TEXT and (texts := _clean_whole(block, max_chars)) is not None:
        count = len(texts)
        lines = list(range(block.first, block.first + count))
        return SentenceBlock(texts, lines, [None] * count, [None] * count, [None] * count)
    cleaned = SentenceBlock()
    hint = TAB_HINT if form is CorpusFormat.TEXT and _is_table(block) else ""
    for number, raw in numbered(block):
        try:
            text, identifier, document, meta = _parse(raw, form, max_chars)
        except RefusedLineError as refusal:
            cleaned.refused.append(Refusal(number, refusal.reason, refusal.detail + hint * refusal.is_tab))
            continue
        cleaned.texts.append(text)
        cleaned.lines.append(number)
        cleaned.ids.append(identifier)
        cleaned.doc_ids.append(document)
        cleaned.metas.append(meta)
    return cleaned


def numbered(block: RawBlock) -> Iterator[tuple[int, bytes | None]]:
    """The block's lines with their numbers, the file's first without a byte order mark."""
    for offset, raw in enumerate(block.lines):
        if raw is not None and block.first + offset == 1:
            yield 1, raw.removeprefix(BOM)
        else:
            yield block.first + offset, raw


def _clean_whole(block: RawBlock, max_chars: int) -> list[str] | None:
    """The block's sentences when no line needs refusing (ten times faster than line by line); else None.

    NFC never composes across a newline, so normalising the block equals normalising its lines.
    """
    if block.first == 1 or None in block.lines:
        return None
    try:
        text = (b"\n".join(block.lines) + b"\n").replace(b"\r\n", b"\n").decode()  # type: ignore[arg-type]
    except UnicodeDecodeError:
        return None
    if _FORBIDDEN_IN_BLOCK.search(text):
        return None
    texts = [line.strip() for line in unicodedata.normalize("NFC", text).split("\n")[:-1]]
    if "" in texts or max(map(len, texts)) > max_chars:
        return None
    return texts


def _is_table(block: RawBlock) -> bool:
    lines = [line for raw in block.lines if raw and (line := raw.strip())]
    rows = sum(b"\t" in line for line in lines)
    return rows > max(1, _TABLE_SHARE * len(lines))


def _parse(raw: bytes | None, form: CorpusFormat, max_chars: int) -> _Parsed:
    line = decoded(raw, max_chars)
    if form is CorpusFormat.JSONL:
        return _parse_json(line, max_chars)
    if form is CorpusFormat.ID_TSV:
        identifier, tab, text = line.partition("\t")
        if not tab:
            raise RefusedLineError(Reason.BAD_RECORD, "no tab between id and sentence")
        return clean_text(text, max_chars), clean_name("id", identifier, max_chars), None, None
    return clean_text(line, max_chars), None, None, None


def decoded(raw: bytes | None, max_chars: int) -> str:
    """A line of a RawBlock as text that is not empty.

    Raises:
        RefusedLineError: it was too long, is not UTF-8, or is empty.
    """
    if raw is None:
        raise RefusedLineError(Reason.TOO_LONG, f"a line far longer than {max_chars:,} characters")
    try:
        line = raw.decode()
    except UnicodeDecodeError as error:
        detail = f"not UTF-8: byte 0x{raw[error.start]:02x} at position {error.start}"
        raise RefusedLineError(Reason.NOT_UTF8, detail) from None
    if not line.strip():
        raise RefusedLineError(Reason.EMPTY, "no text")
    return line


def _parse_json(line: str, max_chars: int) -> _Parsed:
    record = record_with(("text",), line)
    identifier, document = (name_in(record, name, max_chars) for name in ("id", "doc_id"))
    return clean_text(record["text"], max_chars), identifier, document, meta_in(record)


def meta_in(record: dict[str, Any]) -> str | None:
    """A record's metadata as JSON with its names in order; None where there is none.

    Raises:
        RefusedLineError: it is not an object of a few short strings.
    """
    given = record.get("meta")
    if given is None:
        return None
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise RefusedLineError(Reason.BAD_RECORD, '"meta" is not an object of strings')
    if len(given) > META_FIELDS:
        detail = f'"meta" has {len(given):,} fields, more than {META_FIELDS}'
        raise RefusedLineError(Reason.BAD_RECORD, detail)
    cleaned = {
        clean_name("meta", name, META_NAME_CHARS): clean_name("meta", value, META_VALUE_CHARS) if value.strip() else ""
        for name, value in given.items()
    }
    return json.dumps(cleaned, ensure_ascii=False, sort_keys=True) if cleaned else None


def record_with(texts: tuple[str, ...], line: str) -> dict[str, Any]:
    """The JSON object on a line, which has strings of these names.

    Raises:
        RefusedLineError: it is not, or has not.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RefusedLineError(Reason.BAD_RECORD, f"not JSON: {error}") from None
    if not isinstance(record, dict) or not all(isinstance(record.get(name), str) for name in texts):
        wanted = " and ".join(f'"{name}"' for name in texts)
        raise RefusedLineError(Reason.BAD_RECORD, f"not an object with a string {wanted}")
    return record


def name_in(record: dict[str, Any], name: str, max_chars: int) -> str | None:
    """An identifier in a record; None where there is none or an empty one.

    Raises:
        RefusedLineError: it is neither a string nor an integer, or holds what a sentence must not.
    """
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | None):
        raise RefusedLineError(Reason.BAD_RECORD, f'"{name}" is neither a string nor an integer')
    given = "" if value is None else str(value).strip()
    return clean_name(name, given, max_chars) if given else None


def clean_name(what: str, name: str, max_chars: int) -> str:
    """An identifier, cleaned as a sentence is.

    Raises:
        RefusedLineError: as a bad record that says what it is.
    """
    try:
        return clean_text(name, max_chars)
    except RefusedLineError as refusal:
        raise RefusedLineError(Reason.BAD_RECORD, f'"{what}": {refusal.detail}') from None


def clean_text(text: str, max_chars: int) -> str:
    """A sentence, stripped and in NFC.

    Raises:
        RefusedLineError: it is empty, too long, or holds a control character.
    """
    text = text.strip()
    if match := _FORBIDDEN.search(text):
        detail = f"control character U+{ord(match.group()):04X} at position {match.start()}"
        raise RefusedLineError(Reason.CONTROL_CHARACTER, detail)
    text = unicodedata.normalize("NFC", text)
    if not text:
        raise RefusedLineError(Reason.EMPTY, "no text")
    if len(text) > max_chars:
        raise RefusedLineError(Reason.TOO_LONG, f"{len(text):,} characters, more than {max_chars:,}")
    return text
