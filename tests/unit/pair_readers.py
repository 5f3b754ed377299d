"""What tests of the readers of bitexts share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bitextmine.corpus import Limits
from bitextmine.errors import CorpusInputError
from bitextmine.pair_files import PairFile, PairFormat, read_pairs

DEU, ENG = "deu_Latn", "eng_Latn"


@dataclass
class Read:
    """What came out of a file: (line, source, target), and (line, reason) of what did not."""

    pairs: list[tuple[int, str, str]]
    refused: list[tuple[int, str]]
    details: list[str]
    ids: list[tuple[str | None, str | None]]
    lines: int


def read(path: Path, form: PairFormat, limits: Limits | None = None, **fields: Any) -> Read:
    file = PairFile(path, fields.pop("src_lang", DEU), fields.pop("tgt_lang", ENG), form, **fields)
    found = Read([], [], [], [], 0)
    for block in read_pairs(file, limits or Limits()):
        found.pairs += zip(block.src.lines, block.src.texts, block.tgt.texts, strict=True)
        assert block.src.lines == block.tgt.lines
        found.ids += zip(block.src.ids, block.tgt.ids, strict=True)
        found.refused += [(each.line, each.reason.value) for each in block.refused]
        found.details += [each.detail for each in block.refused]
        found.lines += block.lines
    assert found.lines == len(found.pairs) + len(found.refused)
    return found


def refusal(path: Path, form: PairFormat, code: str, limits: Limits | None = None, **fields: Any) -> str:
    """What is said of a file that is unusable as a whole: one line that names it."""
    with pytest.raises(CorpusInputError) as caught:
        read(path, form, limits, **fields)
    assert caught.value.code == code, caught.value
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message
