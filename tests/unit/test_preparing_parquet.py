"""Parquet as a source: long strings that a small file holds, and files that are replaced meanwhile."""

from __future__ import annotations

import shutil
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import Limits
from bitextmine.errors import CorpusInputError
from bitextmine.pair_files.parquet import read_parquet
from bitextmine.preparation import prepare
from tests.unit.prepared import moses, rows_of

LONG = "x" * 1_080_000
MANY = 300  # times LONG is 324 MB


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


@contextmanager
def memory_below(limit: int) -> Iterator[None]:
    """Of Python's objects and of Arrow's arrays."""
    pool, former = pa.proxy_memory_pool(pa.default_memory_pool()), pa.default_memory_pool()
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
        assert pool.max_memory() < limit
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(former)


def test_a_string_that_many_rows_repeat_is_held_once(tmp_path: Path, store: ArtifactStore) -> None:
    path = tmp_path / "a.parquet"
    good = ["Ein guter Satz.", "Noch ein guter Satz."]
    columns = {"text": [good[0], *[LONG] * MANY, good[1]], "id": ["a", *["b"] * (MANY - 1), LONG, "c"]}
    pq.write_table(pa.table(columns), path, compression="zstd")
    assert path.stat().st_size < 100_000
    with memory_below(100_000_000):
        corpus = prepare([path], "de", store)
    assert rows_of(corpus, "text", "id", "line") == [(good[0], "a", 1), (good[1], "c", MANY + 2)]
    assert corpus.summary["refused"] == {"too-long": MANY}
    assert next(corpus.refusals()).detail == "1,080,000 characters, more than 1,000,000"


def test_long_ids_are_refused_without_being_held(tmp_path: Path, store: ArtifactStore) -> None:
    path = tmp_path / "a.parquet"
    texts = [f"Satz Nummer {n} von vielen." for n in range(MANY)]
    pq.write_table(pa.table({"text": texts, "id": [*[LONG] * (MANY - 1), "a"]}), path, compression="zstd")
    with memory_below(100_000_000):
        corpus = prepare([path], "de", store)
    assert rows_of(corpus, "text", "id") == [(texts[-1], "a")]
    assert corpus.summary["refused"] == {"bad-record": MANY - 1}
    assert next(corpus.refusals()).detail == '"id": 1,080,000 characters, more than 1,000,000'


def test_long_strings_of_pairs_are_refused_without_being_held(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    columns = {"src": ["Ja.", *[LONG] * MANY], "tgt": ["Yes."] * (MANY + 1), "comment": [LONG] * (MANY + 1)}
    pq.write_table(pa.table(columns | {"margin": [1.5] * (MANY + 1)}), path, compression="zstd")
    with memory_below(100_000_000):
        blocks = list(read_parquet(path, Limits()))
    assert [(block.src.texts, block.tgt.texts) for block in blocks if len(block)] == [(["Ja."], ["Yes."])]
    assert blocks[0].extras[0]["margin"] == 1.5
    refused = [refusal for block in blocks for refusal in block.refused]
    assert [(each.line, each.reason.value) for each in refused] == [(n + 2, "too-long") for n in range(MANY)]
    assert refused[0].detail == "source: 1,080,000 characters, more than 10,000"


def test_columns_of_other_kinds_are_let_be(tmp_path: Path, store: ArtifactStore) -> None:
    path, texts = tmp_path / "a.parquet", ["Ein guter Satz.", "Noch ein guter Satz."]
    others = {
        "tags": [["a", "b"], []],
        "meta": [{"text": "x"}, {"text": "y"}],
        "raw": [b"\xff", b"\xfe"],
        "x.y": ["a", "b"],
    }
    pq.write_table(pa.table({"text": texts, "src": texts, "tgt": texts, **others}), path)
    assert [text for (text,) in rows_of(prepare([path], "de", store), "text")] == texts
    (block,) = read_parquet(path, Limits())
    assert block.src.texts == texts
    assert block.extras[0] == {"text": texts[0], "x.y": "a"}


def test_spaces_around_a_sentence_do_not_make_it_too_long(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    text = "x" * 9_999
    pq.write_table(pa.table({"src": [f"{text:>20000}"], "tgt": [text]}), path)
    (block,) = read_parquet(path, Limits())
    assert block.src.texts == block.tgt.texts == [text]


def test_a_file_that_expands_without_measure_is_refused(tmp_path: Path, store: ArtifactStore) -> None:
    path = tmp_path / "a.parquet"
    texts = [f"{n}{'x' * 2_000_000}" for n in range(40)]
    pq.write_table(pa.table({"text": texts}), path, compression="zstd", use_dictionary=False)
    with pytest.raises(CorpusInputError) as caught:
        prepare([path], "de", store)
    assert caught.value.code == "decompression-bomb"
    assert not list(store.root.glob("corpus/*"))


@pytest.mark.parametrize("name", ["a.parquet", "a.zip"])
def test_a_file_that_is_replaced_after_it_was_hashed_is_noticed(
    name: str, tmp_path: Path, store: ArtifactStore
) -> None:
    path, other = tmp_path / name, tmp_path / f"other.{name}"
    for place, text in ((path, "Ein guter Satz."), (other, "Etwas ganz anderes.")):
        if name == "a.zip":
            moses(place, de=f"{text}\n", en="A sentence.\n")
        else:
            pq.write_table(pa.table({"text": [text]}), place)

    def meddle(stage: str, done: int, total: int | None) -> None:
        if stage == "hash" and done == total and other.exists():
            shutil.move(other, path)

    with pytest.raises(CorpusInputError) as caught:
        prepare([path], "de", store, progress=meddle)
    assert caught.value.code == "input-changed"
    assert not list(store.root.glob("corpus/*"))
    assert len(prepare([path], "de", store)) == 1, "what nothing writes to is read"
