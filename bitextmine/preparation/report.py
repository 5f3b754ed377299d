"""What preparation did: how many sentences there were, how many stay, and what each rule dropped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bitextmine.corpus import Corpus
from bitextmine.corpus.parts import added
from bitextmine.preparation.rejected import joined_examples

SUMMARY = "preparation"  # what a corpus's summary calls it


@dataclass(frozen=True, slots=True)
class PreparationReport:
    """Of `lines` (records, rows, units) read, `refused` could not be used, by reason; the others held `sentences`, of
    which `dropped` went, by rule, `duplicates` repeat one that stayed, and `kept` stay.
    """

    files: int
    lines: int
    sentences: int
    kept: int
    duplicates: int
    refused: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)  # by rule, as a Reject has them
    notes: tuple[str, ...] = ()  # on what the rules cannot do in this language

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def after(self, earlier: PreparationReport) -> PreparationReport:
        """This, of further files, and what was reported of the files before."""
        return PreparationReport(
            files=self.files + earlier.files,
            lines=self.lines + earlier.lines,
            sentences=self.sentences + earlier.sentences,
            kept=self.kept + earlier.kept,
            duplicates=self.duplicates + earlier.duplicates,
            refused=added(earlier.refused, self.refused),
            dropped=added(earlier.dropped, self.dropped),
            examples=joined_examples(earlier.examples, self.examples),
            notes=self.notes,
        )

    def why_empty(self) -> str:
        """Why nothing stayed."""
        reasons = {**self.refused, **self.dropped}
        ordered = sorted(reasons.items(), key=lambda each: -each[1])
        listed = ", ".join(f"{count:,} {reason}" for reason, count in ordered) or "all are empty"
        files = "1 file" if self.files == 1 else f"{self.files:,} files"
        return f"nothing is left of {self.lines:,} lines in {files} ({listed})"


def report_of(corpus: Corpus) -> PreparationReport | None:
    """What preparation did to make a corpus; None of a corpus that was made without."""
    found = corpus.summary.get(SUMMARY)
    return None if found is None else PreparationReport(**{**found, "notes": tuple(found["notes"])})
