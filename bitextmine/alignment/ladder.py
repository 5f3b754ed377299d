"""Gold alignments as files: the lines that vecalign writes and reads, `[0, 1]:[0]:0.31`."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from pathlib import Path

from bitextmine.alignment.score import GoldBead
from bitextmine.errors import InputError

_SIDE = r"\[\s*((?:\d+\s*,\s*)*\d+|)\s*\]"
_LINE = re.compile(rf"\s*{_SIDE}\s*:\s*{_SIDE}\s*(?::[^:]*)?", re.ASCII)
_MOST_BYTES = 256 << 20


def read_ladder(path: Path) -> list[GoldBead]:
    """The beads in a file: on each line source and target sentences, numbered from 0, and perhaps what it cost.

    Raises:
        InputError: `invalid-gold`, with the line; `file-not-found`.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path}: more than {_MOST_BYTES >> 20} MB; is it an alignment?", code="invalid-gold")
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8", code="invalid-gold") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", code="file-not-found") from error
    beads = [_bead(line, f"{path}, line {number:,}") for number, line in enumerate(lines, start=1) if line.strip()]
    if not beads:
        raise InputError(f"{path}: no bead in it", code="invalid-gold")
    return beads


def without_other_lines(beads: Iterable[GoldBead], src: Container[int], tgt: Container[int]) -> list[GoldBead]:
    """The beads without the numbers that are no sentences, as those of blank lines."""
    return [
        GoldBead(*([number for number in side if number in of] for side, of in ((bead.src, src), (bead.tgt, tgt))))
        for bead in beads
    ]


def _bead(line: str, where: str) -> GoldBead:
    match = _LINE.fullmatch(line)
    if match is None:
        message = f"{where}: not a bead, as [0, 1]:[0] is: source sentences, a colon, target sentences, from 0 on"
        raise InputError(message, code="invalid-gold")
    src, tgt = ([int(number) for number in side.split(",") if side] for side in match.groups())
    if src != sorted(set(src)) or tgt != sorted(set(tgt)):
        raise InputError(f"{where}: the numbers of a side do not rise", code="invalid-gold")
    return GoldBead(src, tgt)
