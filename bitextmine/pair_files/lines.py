"""Files with a pair a line: TSV and JSONL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bitextmine.corpus.cleaning import BOM, RefusedLineError, decoded, name_in, numbered, record_with
from bitextmine.corpus.readers import RawBlock
from bitextmine.errors import CorpusInputError
from bitextmine.pair_files.columns import Columns, Layout, layout_of
from bitextmine.pair_files.pairs import NOTHING, PairBlock, Side, bad_record, clean_side

_XML = (b"<?xml", b"<tmx", b"<!doctype tmx", b"<!doctype", b"<html")


def read_tsv(blocks: Iterable[RawBlock], columns: Columns | None, name: str, max_chars: int) -> Iterator[PairBlock]:
    """The pairs of a TSV's lines.

    Raises:
        CorpusInputError: `unsupported-input`, `unknown-columns`.
    """
    layout: Layout | None = None
    for block in blocks:
        pairs = PairBlock(consumed=block.consumed)
        for number, raw in numbered(block):
            if layout is None and raw and (first := _first_text(raw)):
                _refuse_other_kinds(raw, name)
                layout = layout_of(columns, first, name)
                if layout.header:
                    continue
            try:
                pairs.add(number, *_split(decoded(raw, max_chars), layout, max_chars))
            except RefusedLineError as refusal:
                pairs.refuse(number, refusal)
        yield pairs


def read_jsonl(blocks: Iterable[RawBlock], name: str, max_chars: int) -> Iterator[PairBlock]:
    """The pairs of JSON records, such as a bitext's export: strings `src` and `tgt`, and what else is known of them.

    Raises:
        CorpusInputError: `unsupported-input`.
    """
    looked_at = False
    for block in blocks:
        pairs = PairBlock(consumed=block.consumed)
        for number, raw in numbered(block):
            if not looked_at and raw and raw.strip():
                looked_at = True
                _refuse_json_document(raw, name)
            try:
                pairs.add(number, *_parse_record(decoded(raw, max_chars), max_chars))
            except RefusedLineError as refusal:
                pairs.refuse(number, refusal)
        yield pairs


def _first_text(raw: bytes) -> str:
    """A line as text, to see its columns; empty where it is not UTF-8 or blank."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return ""
    return text if text.strip() else ""


def _split(line: str, layout: Layout | None, max_chars: int) -> tuple[Side, Side, Mapping[str, Any]]:
    cells = line.split("\t")
    if layout is None or len(cells) == 1:
        raise bad_record("no tab between source and target")
    if layout.exactly is not None and len(cells) != layout.exactly:
        raise bad_record(f"{len(cells)} columns, not {layout.exactly}")
    if len(cells) < layout.least:
        raise bad_record(
            f"{len(cells)} columns, and the sentences are in columns {layout.src + 1} and {layout.tgt + 1}"
        )
    src, tgt = clean_side("source", cells[layout.src], max_chars), clean_side("target", cells[layout.tgt], max_chars)
    if layout.score is None or layout.score >= len(cells):
        return Side(src), Side(tgt), NOTHING
    return Side(src), Side(tgt), {"margin": cells[layout.score]}


def _parse_record(line: str, max_chars: int) -> tuple[Side, Side, Mapping[str, Any]]:
    record = record_with(("src", "tgt"), line)
    sides = []
    for side, what in (("src", "source"), ("tgt", "target")):
        text = clean_side(what, record[side], max_chars)
        identifier, document = (name_in(record, f"{side}_{name}", max_chars) for name in ("id", "doc_id"))
        sides.append(Side(text, identifier, document))
    return sides[0], sides[1], record


def _refuse_other_kinds(raw: bytes, name: str) -> None:
    line = raw.removeprefix(BOM).strip()
    if line.lower().startswith(_XML):
        message = f"{name} is XML or HTML, not lines of pairs; if it is TMX, say so: --format tmx, over HTTP format=tmx"
        raise CorpusInputError(message, code="unsupported-input")
    if line.startswith(b"{") and _is_object(line):
        message = f"{name} looks like JSONL, not like TSV; say so: --format jsonl, over HTTP format=jsonl"
        raise CorpusInputError(message, code="unsupported-input")


def _refuse_json_document(raw: bytes, name: str) -> None:
    line = raw.removeprefix(BOM).strip()
    if line in {b"{", b"["} or line.startswith(b"[{"):
        message = f'{name} is JSON, but not JSONL; give one object a line, each with a "src" and a "tgt"'
        raise CorpusInputError(message, code="unsupported-input")


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
