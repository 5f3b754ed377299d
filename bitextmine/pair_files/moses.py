"""Moses pairs: two texts aligned line by line, as two files or in a zip archive, as OPUS distributes them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from bitextmine.corpus.cleaning import RefusedLineError, decoded, numbered
from bitextmine.corpus.readers import RawBlock
from bitextmine.errors import CorpusInputError
from bitextmine.pair_files.pairs import PairBlock, Side, clean_side

_Line = tuple[int, bytes | None]


class _Lines:
    """The numbered lines of one side, a block at a time."""

    def __init__(self, blocks: Iterator[RawBlock]) -> None:
        self._blocks = blocks
        self._waiting: list[_Line] = []
        self.count = self.consumed = 0

    def fill(self) -> int:
        """How many lines wait, after a read if there were none; 0 at the end."""
        while not self._waiting and (block := next(self._blocks, None)) is not None:
            self._waiting = list(numbered(block))
            self.consumed = block.consumed
        return len(self._waiting)

    def take(self, count: int) -> list[_Line]:
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        self.count += len(taken)
        return taken

    def total(self) -> int:
        """How many lines there are in all; reads the rest."""
        rest = chain((len(self._waiting),), (len(block.lines) for block in self._blocks))
        return self.count + sum(rest)


def read_moses(
    src: Iterator[RawBlock], tgt: Iterator[RawBlock], names: tuple[str, str], max_chars: int
) -> Iterator[PairBlock]:
    """The pairs of two texts' lines of the same number.

    Raises:
        CorpusInputError: `not-aligned`: one has more lines than the other.
    """
    left, right = _Lines(src), _Lines(tgt)
    while count := min(left.fill(), right.fill()):
        pairs = PairBlock(consumed=left.consumed + right.consumed)
        for (number, source), (_, target) in zip(left.take(count), right.take(count), strict=True):
            try:
                pairs.add(number, _side("source", source, max_chars), _side("target", target, max_chars))
            except RefusedLineError as refusal:
                pairs.refuse(number, refusal)
        yield pairs
    lines = left.total(), right.total()
    if lines[0] != lines[1]:
        message = (
            f"{names[0]} has {lines[0]:,} lines and {names[1]} has {lines[1]:,}: line {min(lines) + 1:,} has no other "
            "side, so nothing says which lines belong together"
        )
        raise CorpusInputError(message, code="not-aligned")


def _side(what: str, raw: bytes | None, max_chars: int) -> Side:
    try:
        line = decoded(raw, max_chars)
    except RefusedLineError as refusal:
        raise RefusedLineError(refusal.reason, f"{what}: {refusal.detail}") from None
    return Side(clean_side(what, line, max_chars))
