"""What people say of the pairs of a bitext, good or bad, and what that tells of its precision at each threshold.

The judgements of a bitext are one small JSON file, not an artifact: they are people's work, and cannot be made again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from bitextmine.bitext import Bitext
from bitextmine.errors import ArtifactError, NotFoundError, ParameterError
from bitextmine.files import locked, write_atomically
from bitextmine.pairs_file import SentencePair

MOST_JUDGEMENTS = 10_000  # of a bitext: its file is written anew with each change
Rows: TypeAlias = tuple[int, int]  # a pair's src_row and tgt_row, which no other pair of its bitext has


class Verdict(StrEnum):
    GOOD = "good"  # the sentences translate each other
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and the pair that it is of."""

    src_row: int
    tgt_row: int
    verdict: Verdict
    margin: float
    src: str
    tgt: str
    judged: str  # RFC 3339

    @property
    def rows(self) -> Rows:
        return self.src_row, self.tgt_row


class Judgements:
    """The judgements of one bitext, in a file that any number of processes may change."""

    def __init__(self, directory: Path, digest: str) -> None:
        self._directory, self._path = directory, directory / f"{digest}.json"

    def all(self) -> list[Judgement]:
        """By falling margin.

        Raises:
            ArtifactError: the file is damaged.
        """
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return []
        try:
            found = [Judgement(**{**each, "verdict": Verdict(each["verdict"])}) for each in json.loads(content)]
        except (ValueError, TypeError, KeyError) as error:
            raise ArtifactError(f"{self._path} is damaged ({type(error).__name__}); move it away") from error
        return found

    def judge(self, bitext: Bitext, verdicts: Mapping[Rows, Verdict | None]) -> list[Judgement]:
        """Set the verdicts of these pairs, None to take one back, and return all judgements.

        Raises:
            NotFoundError: `pair-not-found`: the bitext has no such pair; nothing is changed.
            ParameterError: `too-many-judgements`: there would be more than MOST_JUDGEMENTS.
            ArtifactError: the bitext, or the file of judgements, is damaged.
            DiskFullError: nothing is changed.
        """
        pairs = _find(bitext, verdicts.keys())
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._directory.mkdir(parents=True, exist_ok=True)
        with locked(self._directory, wait=True):
            known = {each.rows: each for each in self.all() if each.rows not in verdicts}
            for rows, verdict in verdicts.items():
                if verdict is not None:
                    pair = pairs[rows]
                    known[rows] = Judgement(*rows, verdict, round(pair.margin, 6), pair.src, pair.tgt, now)
            if len(known) > MOST_JUDGEMENTS:
                message = f"a bitext keeps at most {MOST_JUDGEMENTS:,} judgements"
                raise ParameterError(message, code="too-many-judgements")
            ordered = sorted(known.values(), key=lambda each: (-each.margin, each.rows))
            content = json.dumps([asdict(each) for each in ordered], ensure_ascii=False, indent=0)
            write_atomically(self._path, content.encode())
        return ordered

    def forget(self) -> None:
        """Delete them all."""
        self._path.unlink(missing_ok=True)


def _find(bitext: Bitext, wanted: Iterable[Rows]) -> dict[Rows, SentencePair]:
    """These pairs of the bitext; its rows are looked through batch by batch."""
    missing, positions, first = set(wanted), {}, 0
    with bitext.opened() as reader:
        for batch in reader.batches(range(len(bitext)), ["src_row", "tgt_row"]):
            rows = zip(batch["src_row"].to_pylist(), batch["tgt_row"].to_pylist(), strict=True)
            for position, each in enumerate(rows, start=first):
                if each in missing:
                    positions[each] = position
                    missing.discard(each)
            first += len(batch)
            if not missing:
                break
        if missing:
            src_row, tgt_row = min(missing)
            message = f"bitext {bitext.digest} has no pair of src_row {src_row} and tgt_row {tgt_row}"
            raise NotFoundError(message, code="pair-not-found")
        return {rows: next(reader.pairs(range(at, at + 1))) for rows, at in positions.items()}
