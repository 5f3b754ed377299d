"""Which columns of a TSV hold the sentences: said by number or by name, or told by the first line."""

from __future__ import annotations

from dataclasses import dataclass

from bitextmine.errors import CorpusInputError, ParameterError

_MOST_COLUMNS = 1_000
_SCORES = ("margin", "score")  # what a column of them is called
_HOW_TO_SAY = "say which hold source and target, counted from 1 or by their names: --columns 2,3, over HTTP columns=2,3"


@dataclass(frozen=True, slots=True)
class Columns:
    """Source's and target's: both numbers from 1, or both names in the file's first line."""

    src: int | str
    tgt: int | str

    @classmethod
    def parse(cls, text: str) -> Columns:
        """Columns as people write them: `2,3` or `german,english`.

        Raises:
            ParameterError: it is not two different ones with a comma between them.
        """
        parts = [part.strip() for part in text.split(",")]
        if len(parts) != 2 or not all(parts) or parts[0] == parts[1]:
            raise ParameterError(f"{text[:80]!r} does not name two columns; write 2,3 or german,english")
        numbers = [int(part) for part in parts if part.isdecimal() and part.isascii() and len(part) < 10]
        if not numbers:
            return cls(*parts)
        if len(numbers) == 1 or not all(1 <= number <= _MOST_COLUMNS for number in numbers):
            message = f"{text[:80]!r} does not name two columns: give two numbers from 1 to {_MOST_COLUMNS:,}, or names"
            raise ParameterError(message)
        return cls(*numbers)

    def __str__(self) -> str:
        return f"{self.src},{self.tgt}"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the sentences of a line are, from 0; `exactly` is how many columns it has, where that is known."""

    src: int
    tgt: int
    exactly: int | None = None
    header: bool = False  # the first line names the columns
    score: int | None = None

    @property
    def least(self) -> int:
        return max(self.src, self.tgt) + 1


def layout_of(columns: Columns | None, first_line: str, name: str) -> Layout:
    """The layout of a TSV whose first line that is not empty is this one.

    Untold, two columns are source and target, three that begin with a number are a score, source and target, and
    columns called src and tgt are what they say. Scores are in a column that the first line calls margin or score. If
    the last two of three columns are told by number, they are in the first, where it has a number or is called so.

    Raises:
        CorpusInputError: `unknown-columns`: a name is not in the first line, or nothing tells the columns.
    """
    cells = [cell.strip() for cell in first_line.split("\t")]
    if columns is None:
        return _told(cells, name)
    if isinstance(columns.src, int) and isinstance(columns.tgt, int):
        first_is_score = len(cells) == 3 and (_is_number(cells[0]) or cells[0].lower() in _SCORES)
        of_scores = 0 if first_is_score and {columns.src, columns.tgt} == {2, 3} else None
        return Layout(columns.src - 1, columns.tgt - 1, score=of_scores)
    for wanted in (columns.src, columns.tgt):
        if cells.count(str(wanted)) != 1:
            times = "twice" if str(wanted) in cells else "not"
            message = f"{name} has the column {wanted!r} {times} in its first line ({_shown(cells)})"
            raise CorpusInputError(message, code="unknown-columns")
    src, tgt = cells.index(str(columns.src)), cells.index(str(columns.tgt))
    score = _score_in([cell.lower() for cell in cells])
    return Layout(src, tgt, header=True, score=None if score in (src, tgt) else score)


def _told(cells: list[str], name: str) -> Layout:
    lowered = [cell.lower() for cell in cells]
    if lowered.count("src") == 1 and lowered.count("tgt") == 1 and not any(map(_is_number, cells)):
        src, tgt = lowered.index("src"), lowered.index("tgt")
        return Layout(src, tgt, len(cells), header=True, score=_score_in(lowered))
    if len(cells) <= 2:  # a line without a tab is refused like any other
        return Layout(0, 1, 2)
    if len(cells) == 3 and _is_number(cells[0]):
        return Layout(1, 2, 3, score=0)
    message = f"{name} has {len(cells)} columns in its first line ({_shown(cells)}); {_HOW_TO_SAY}"
    raise CorpusInputError(message, code="unknown-columns")


def _score_in(lowered: list[str]) -> int | None:
    """The column that a first line in small letters calls margin, or else score; None where none or several are."""
    return next((lowered.index(name) for name in _SCORES if lowered.count(name) == 1), None)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _shown(cells: list[str]) -> str:
    return ", ".join(ascii(cell[:20]) if not cell.isprintable() else cell[:20] for cell in cells[:6])
