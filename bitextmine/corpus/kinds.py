"""Files that are not what they are said to be, told by their first line: JSON read as text would be mined as such."""

from __future__ import annotations

import json

from bitextmine.corpus.cleaning import BOM, CorpusFormat
from bitextmine.corpus.readers import RawBlock
from bitextmine.errors import CorpusInputError

_MARKUP = {b"<!doctype html": "an HTML page", b"<html": "an HTML page", b"<?xml": "an XML document"}


def refuse_other_kinds(block: RawBlock, form: CorpusFormat, name: str) -> bool:
    """Look at the block's first line that is not empty; returns whether there is one.

    Raises:
        CorpusInputError: `unsupported-input`: markup, JSONL given as text, or JSON that is not JSONL given as JSONL.
    """
    line = next((line for raw in block.lines if (line := _stripped(raw))), None)
    if line is None:
        return False
    for start, what in _MARKUP.items():
        if line.lower().startswith(start):
            message = f"{name} is {what}; extract its sentences first, one a line"
            raise CorpusInputError(message, code="unsupported-input")
    if form is CorpusFormat.TEXT and is_record(line):
        message = (
            f'{name} looks like JSONL (its first line is a JSON object with a "text"), not like text; '
            "say so: --format jsonl, over HTTP format=jsonl"
        )
        raise CorpusInputError(message, code="unsupported-input")
    if form is CorpusFormat.JSONL and (line in {b"{", b"["} or line.startswith(b"[{")):
        message = f'{name} is JSON, but not JSONL; give one object a line, each with a "text"'
        raise CorpusInputError(message, code="unsupported-input")
    return True


def _stripped(raw: bytes | None) -> bytes:
    return (raw or b"").removeprefix(BOM).strip()


def is_record(line: bytes) -> bool:
    """Whether a line is a JSON object with a "text"."""
    if not line.startswith(b"{"):
        return False
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and isinstance(record.get("text"), str)
