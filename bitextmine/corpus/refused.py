"""The lines of a file that could not be used: counted, and kept as JSON lines beside what was made of the others."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO

from bitextmine.corpus.cleaning import Reason, Refusal

REFUSED = "refused.jsonl"
REFUSALS_KEPT = 1_000_000  # later ones are counted only: a file of bare newlines must not fill the disk
_MANY = 0.1  # of a file's lines


class RefusalLog:
    """Counts refusals by reason and writes them to a stream, where there is one."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self.first: Refusal | None = None  # that says more than "no text"
        self._stream = stream

    def add(self, refusals: Iterable[Refusal]) -> None:
        for refusal in refusals:
            self.counts[refusal.reason.value] += 1
            if self.first is None and refusal.reason is not Reason.EMPTY:
                self.first = refusal
            if self._stream is None or self.counts.total() > REFUSALS_KEPT:
                continue
            record = {"line": refusal.line, "reason": refusal.reason.value, "detail": refusal.detail}
            self._stream.write(json.dumps(record, ensure_ascii=False) + "\n")

    def why_empty(self, name: str, what: str, lines: int) -> str:
        """Why nothing stayed of a file of so many lines, none of which holds a usable `what`."""
        if not lines:
            return f"{name} is empty"
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.counts.most_common())
        first = f"; line {self.first.line}: {self.first.detail}" if self.first else ""
        hint = encoding_hint(self.counts, lines)
        return f"{name} holds no usable {what}: {lines:,} lines, all refused ({reasons}){first}{hint and f'; {hint}'}"


def read_refusals(path: Path, start: int = 0, limit: int | None = None) -> Iterator[Refusal]:
    """The refusals that a log wrote, from number `start` of them on, in the file's order."""
    with path.open(encoding="utf-8") as stream:
        for text in islice(stream, start, None if limit is None else start + limit):
            record = json.loads(text)
            yield Refusal(record["line"], Reason(record["reason"]), record["detail"])


def encoding_hint(refused: Mapping[str, int], lines: int) -> str:
    """What to do where much of a file is not UTF-8; empty where not."""
    if refused.get(Reason.NOT_UTF8, 0) <= _MANY * lines:
        return ""
    return "is it Latin-1? convert it: iconv -f LATIN1 -t UTF-8 FILE > NEW"
