"""The sentences that rules dropped: counted, shown in a few examples, and kept as JSON lines beside the corpus."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import IO, Any

from bitextmine.corpus import Corpus
from bitextmine.corpus.refused import REFUSALS_KEPT
from bitextmine.preparation.sieve import Drop

REJECTS = "rejects.jsonl"
EXAMPLES = 3  # a rule
_EXAMPLE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Reject:
    """A sentence that a rule dropped: where it stood, and why it went. `score` is the rule's."""

    source: str
    line: int  # in a Parquet file the row, in TMX the unit
    doc_id: str | None
    rule: str
    score: float
    reason: str
    text: str


class RejectLog:
    """Counts rejects by rule and writes them to a stream, of each rule the first REFUSALS_KEPT."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[dict[str, Any]]] = {}
        self._stream = stream

    def add(self, source: str, line: int, doc_id: str | None, text: str, drop: Drop) -> None:
        self.counts[drop.rule] += 1
        count = self.counts[drop.rule]
        if count > REFUSALS_KEPT:
            return
        reject = Reject(source, line, doc_id, drop.rule, round(drop.score, 4), drop.reason, text)
        if count <= EXAMPLES:
            shown = asdict(reject)
            shown["text"] = text if len(text) <= _EXAMPLE_CHARS else f"{text[:_EXAMPLE_CHARS]}..."
            self.examples.setdefault(drop.rule, []).append(shown)
        if self._stream is not None:
            self._stream.write(json.dumps(asdict(reject), ensure_ascii=False) + "\n")


def rejects(corpus: Corpus) -> Iterator[Reject]:
    """The sentences that were dropped when a corpus was prepared, in the order of its files; none of other corpora."""
    for name in dict.fromkeys(part.file(REJECTS) for part in corpus.parts):
        path = corpus.artifact.path / name
        if path.exists():
            with path.open(encoding="utf-8") as stream:
                for line in stream:
                    yield Reject(**json.loads(line))


def joined_examples(
    examples: Mapping[str, list[dict[str, Any]]], more: Mapping[str, list[dict[str, Any]]]
) -> dict[str, list[dict[str, Any]]]:
    """The first examples of each rule."""
    return {rule: [*examples.get(rule, ()), *more.get(rule, ())][:EXAMPLES] for rule in {**examples, **more}}
