"""Corpora that grow by files: what a former corpus spares, and when it is passed over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import Corpus
from bitextmine.embeddings import VECTORS, embed
from bitextmine.encoders import Encoder, Encoding
from bitextmine.preparation import (
    PreparationParameters,
    prepare,
    rejects,
)
from tests.unit.prepared import TEXTS, parsed, rows_of, written


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


class RecordingEncoder(Encoder):
    """An encoder that remembers the sentences it was given."""

    seen: list[str]

    def encode_counted(self, sentences: Sequence[str], *, progress: Callable[[int], None] | None = None) -> Encoding:
        self.seen += sentences
        return super().encode_counted(sentences, progress=progress)


def bits(corpus: Corpus, encoder: Encoder, store: ArtifactStore) -> NDArray[np.uint16]:
    """The float16 bits of all vectors, as they lie on the disk."""
    shards = [np.load(shard.path / VECTORS) for shard in embed(corpus, encoder, store).artifacts]
    return np.concatenate(shards).view(np.uint16)


def test_of_added_files_only_new_sentences_are_read_and_embedded(
    tmp_path: Path, store: ArtifactStore, encoders: Path
) -> None:
    encoder = RecordingEncoder.open(encoders / "tiny")
    assert isinstance(encoder, RecordingEncoder)
    encoder.seen = []
    parameters = parsed(shard_rows=4)
    first = written(tmp_path / "a.txt", *TEXTS[:6])
    former = prepare([first], "en", store, parameters)
    before = bits(former, encoder, store)
    assert encoder.seen == TEXTS[:6]
    encoder.seen = []
    second = written(tmp_path / "b.txt", TEXTS[0], TEXTS[1].upper(), *TEXTS[6:])
    messages: list[tuple[str, int, int | None]] = []
    grown = prepare(
        [first, second], "en", store, parameters, after=former, progress=lambda *report: messages.append(report)
    )
    read = next(total for stage, _, total in messages if stage == "prepare")
    assert read == second.stat().st_size, "the first file was hashed, not read again"
    assert (bits(grown, encoder, store)[:6] == before).all()
    assert encoder.seen == TEXTS[6:]
    assert [part.source for part in grown.parts] == ["a.txt", "b.txt"]
    assert grown.shards[1].grown_from == ((former.shards[1].digest, 2),)
    (reject,) = rejects(grown)
    assert (reject.source, reject.line, reject.rule) == ("b.txt", 2, "near-duplicate")


@pytest.mark.parametrize("change", ["content", "order", "parameters", "name", "excluded"])
def test_a_former_corpus_that_does_not_fit_is_passed_over(change: str, tmp_path: Path, store: ArtifactStore) -> None:
    first, second = written(tmp_path / "a.txt", *TEXTS[:3]), written(tmp_path / "b.txt", *TEXTS[3:6])
    former = prepare([first], "en", store)
    sources, parameters = [first, second], PreparationParameters()
    match change:
        case "content":
            written(first, *TEXTS[1:4])
        case "order":
            sources = [second, first]
        case "parameters":
            parameters = parsed(rules={"length": {"most": 499}})
        case "name":
            sources = [first.rename(tmp_path / "c.txt"), second]
        case _:
            parameters = parsed(exclude=[str(written(tmp_path / "old.txt", TEXTS[0]))])
    corpus = prepare(sources, "en", store, parameters, after=former)
    assert {part.run for part in corpus.parts} == {0}
    scratch = prepare(sources, "en", ArtifactStore(tmp_path / "other"), parameters)
    assert rows_of(corpus, "text", "id", "line") == rows_of(scratch, "text", "id", "line")
    assert corpus.digest == scratch.digest


def test_a_corpus_is_found_wherever_its_files_lie(tmp_path: Path, store: ArtifactStore) -> None:
    here = [written(tmp_path / "here" / name, *TEXTS[:3]) for name in ("x/a.txt", "y/a.txt")]
    there = [written(tmp_path / "there" / name, *TEXTS[:3]) for name in ("x/a.txt", "y/a.txt")]
    corpus = prepare(here, "en", store)
    assert prepare(there, "eng_Latn", store).digest == corpus.digest
    assert [part.source for part in corpus.parts] == ["x/a.txt", "y/a.txt"]
    assert prepare(here[:1], "en", store).parts[0].source == "a.txt"


def test_documents_without_ids_are_told_apart_across_files(tmp_path: Path, store: ArtifactStore) -> None:
    first = written(tmp_path / "a.txt", "Das Haus ist alt. Der See ist kalt.", "Ja, so ist es.")
    second = written(tmp_path / "b.txt", "Wir gehen jetzt. Dann kommt ein Fluss.")
    wanted = ["1#1", "1#2", "2#1", "3#1", "3#2"]
    parameters = parsed(split="always")
    former = prepare([first], "de", store, parameters)
    grown = prepare([first, second], "de", store, parameters, after=former)
    scratch = prepare([first, second], "de", ArtifactStore(tmp_path / "other"), parameters)
    assert {part.run for part in grown.parts} == {0, 1}
    for corpus in (grown, scratch):
        assert [name for (name,) in rows_of(corpus, "id")] == wanted
        assert [line for (line,) in rows_of(corpus, "line")] == [1, 1, 2, 1, 1], "lines are those of the files"
