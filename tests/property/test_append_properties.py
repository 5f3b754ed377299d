"""Appending equals ingesting the files in a row: sentences, rows, shards, copies, refusals, whatever is in them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, ingest

MEMORY = Path("/dev/shm")  # where there is one, hundreds of artifacts are published fast
SHARD_ROWS = 3
TEXT = st.sampled_from([*"abcdefghij", "", "\x00"])  # many repeat; some are refused
FILES = st.lists(st.lists(TEXT, min_size=1, max_size=9).map(lambda lines: ["z", *lines]), min_size=2, max_size=5)


def corpus_of(folder: Path, files: list[list[str]], *, form: CorpusFormat = CorpusFormat.TEXT) -> Corpus:
    corpus: Corpus | None = None
    store = ArtifactStore(folder / "artifacts")
    for number, lines in enumerate(files):
        path = folder / f"{number}.txt"
        path.write_text("".join(f"{line}\n" for line in lines))
        file = CorpusFile(path, "eng_Latn", form)
        corpus = ingest(file, store, shard_rows=SHARD_ROWS, after=corpus)
    assert corpus is not None
    return corpus


def seen(corpus: Corpus) -> dict[str, Any]:
    """All that a corpus holds, lines counted through all files."""
    before = np.cumsum([0, *(part.lines for part in corpus.parts)])
    rows = np.arange(len(corpus))
    lines = corpus.take("line", rows).to_pylist()
    return {
        **{name: corpus.take(name, rows).to_pylist() for name in ("text", "id", "doc_id", "hash", "meta")},
        "by shard": [text for shard in corpus.shards for text in corpus.shard_texts(shard)],
        "line": [int(before[corpus.part_of(row).number]) + line for row, line in enumerate(lines)],
        "shards": [(shard.start, shard.stop, shard.digest) for shard in corpus.shards],
        "copies": [(copy["sentence"], copy["id"]) for copy in corpus.copies().to_pylist()],
        "refused": [
            (int(before[part.number]) + refusal.line, refusal.reason) for part, refusal in corpus.refusals_by_part()
        ],
        "counts": {name: corpus.summary[name] for name in ("lines", "sentences", "duplicates", "refused")},
    }


@settings(max_examples=150, deadline=None)
@given(files=FILES)
@example(files=[["a", "b", "c"], ["d"]])  # the last shard is full
@example(files=[["a", "b"], ["a"], ["c", "d", "e"]])  # nothing new, then the unfilled shard grows
@example(files=[["a", "b", "c", "d"], ["e"], ["f"], ["g"], ["h"]])
def test_appending_equals_ingesting_the_files_in_a_row(files: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        one, other = Path(folder) / "one", Path(folder) / "other"
        one.mkdir()
        other.mkdir()
        appended = corpus_of(one, files)
        assert seen(appended) == seen(corpus_of(other, [[line for lines in files for line in lines]]))
        appended.artifact.verify()
        assert [part.source for part in appended.parts] == [f"{number}.txt" for number in range(len(files))]
        for row in range(len(appended)):
            text, line = (appended.take(name, np.array([row]))[0].as_py() for name in ("text", "line"))
            assert files[appended.part_of(row).number][line - 1] == text, "the line is that of its own file"


@settings(max_examples=60, deadline=None)
@given(files=FILES, with_meta=st.lists(st.booleans(), min_size=5, max_size=5), start=st.integers(0, 8))
def test_metadata_and_pages_of_refusals_stay_true(files: list[list[str]], with_meta: list[bool], start: int) -> None:
    records = [
        [json.dumps({"text": text, **({"meta": {"of": text}} if has else {})}) for text in lines]
        for lines, has in zip(files, with_meta, strict=False)
    ]
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        one, other = Path(folder) / "one", Path(folder) / "other"
        one.mkdir()
        other.mkdir()
        appended = corpus_of(one, records, form=CorpusFormat.JSONL)
        assert seen(appended) == seen(
            corpus_of(other, [[line for lines in records for line in lines]], form=CorpusFormat.JSONL)
        )
        assert list(appended.refusals(start, 3)) == list(appended.refusals())[start : start + 3]


@settings(max_examples=60, deadline=None)
@given(files=FILES)
def test_a_shard_remembers_what_it_has_grown_from(files: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        versions = [corpus_of(Path(folder), files[:count]) for count in range(1, len(files) + 1)]
        known = {shard.digest: version.shard_texts(shard) for version in versions for shard in version.shards}
        for shard in versions[-1].shards:
            texts = versions[-1].shard_texts(shard)
            sizes = [rows for _, rows in shard.grown_from]
            assert sizes == sorted(set(sizes), reverse=True)
            for digest, rows in shard.grown_from:
                assert known[digest] == texts[:rows]
                assert rows < len(texts)
        current = {shard.digest: shard.number for shard in versions[-1].shards}
        former = {shard.digest: shard.number for version in versions for shard in version.shards}
        remembered = {digest: shard.number for shard in versions[-1].shards for digest, _ in shard.grown_from}
        assert remembered == {digest: number for digest, number in former.items() if digest not in current}
