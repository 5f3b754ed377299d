"""The pages of docs/guide, as what they have to run and what they say it prints.

Before each block of commands stands a comment: `<!-- run -->`, or `<!-- not run: why -->`. One that is to be run may be
followed by `<!-- output -->` and a block of what is printed, in which `...` stands for anything. A page that needs a
service with settings of its own says so: `<!-- settings: BITEXTMINE_AUTH=on BITEXTMINE_PORT=0 -->`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

GUIDE = Path(__file__).parents[1] / "docs" / "guide"
PRINTED_URL = "http://127.0.0.1:8000"
_FENCE = re.compile(r"(?m)^(?: *<!-- (?P<mark>[^\n]*?) -->\n)? *```(?P<kind>\w*)\n(?P<text>.*?)^ *```$", re.DOTALL)
_SETTINGS = re.compile(r"<!-- settings: (.*?) -->")


@dataclass(frozen=True)
class Block:
    language: str  # sh or python
    commands: str
    output: str | None  # None where the page does not show it
    line: int


@dataclass(frozen=True)
class Page:
    path: Path
    blocks: tuple[Block, ...]
    unmarked: tuple[int, ...]  # lines of blocks of commands that say neither whether nor why not
    settings: Mapping[str, str]

    @property
    def needs_service(self) -> bool:
        text = "".join(block.commands for block in self.blocks)
        return bool(self.settings) or PRINTED_URL in text or "--server" in text


def read_page(path: Path) -> Page:
    text = path.read_text(encoding="utf-8")
    blocks: list[Block] = []
    unmarked: list[int] = []
    for found in _FENCE.finditer(text):
        mark, kind, line = found["mark"] or "", found["kind"], text.count("\n", 0, found.start("text")) + 1
        if mark == "output":
            last = blocks.pop()
            assert last.output is None, f"{path}:{line}: a second output"
            blocks.append(Block(last.language, last.commands, found["text"], last.line))
        elif mark == "run":
            assert kind in ("sh", "python"), f"{path}:{line}: only sh and python can be run"
            blocks.append(Block(kind, found["text"], None, line))
        elif kind in ("sh", "python", "bash", "console") and not mark.startswith("not run: "):
            unmarked.append(line)
    settings = dict(each.split("=", 1) for each in " ".join(_SETTINGS.findall(text)).split())
    return Page(path, tuple(blocks), tuple(unmarked), settings)


def pages() -> list[Page]:
    return [read_page(path) for path in sorted(GUIDE.glob("*.md"))]


def shows(expected: str, printed: str) -> bool:
    """Whether that was printed, where `...` is anything and white space, as at the ends of lines, is nothing."""
    pieces = (re.escape("".join(piece.split())) for piece in expected.split("..."))
    return re.fullmatch(".*?".join(pieces), "".join(printed.split()), re.DOTALL) is not None
