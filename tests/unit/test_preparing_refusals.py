"""What cannot be prepared is said in one line, and nothing of it is published."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.errors import CorpusInputError
from bitextmine.preparation import (
    expand_sources,
    prepare,
)
from tests.unit.prepared import TEXTS, jsonl, moses, written


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def test_patterns_are_expanded_in_order(tmp_path: Path) -> None:
    for name in ("d/b.txt", "d/a.txt", "d/e/c.txt", "d/.hidden", "d/_SUCCESS", "d/.git/x", "z.txt", "odd[1].txt"):
        written(tmp_path / name, "Ein Satz.")

    def found(*patterns: str) -> list[str]:
        return [path.relative_to(tmp_path).as_posix() for path in expand_sources(patterns, tmp_path)]

    assert found("d") == ["d/a.txt", "d/b.txt", "d/e/c.txt"]
    assert found("z.txt", "d/*.txt", "d/b.txt") == ["z.txt", "d/a.txt", "d/b.txt"]
    assert found("**/c.txt") == ["d/e/c.txt"]
    assert found("odd[1].txt") == ["odd[1].txt"], "a file that is there is meant, whatever its name"
    assert found(str(tmp_path / "d" / "a*")) == ["d/a.txt"]


@pytest.mark.parametrize(
    ("pattern", "said", "code"),
    [
        ("empty", "the directory empty has no files", "file-not-found"),
        ("", "'' names no file", "file-not-found"),
        ("a\0b", r"'a\\x00b' names no file", "file-not-found"),
        ("*.xyz", r"no file matches '\*\.xyz'", "file-not-found"),
        ("missing.txt", "cannot read .*missing.txt: No such file", "file-not-found"),
        ("mixed", "mixed matches files of different formats: .*a.txt is text, .*b.jsonl is jsonl", "mixed-formats"),
        ("mixed/*", "different formats", "mixed-formats"),
        ("fifo", "not a regular file", "file-not-found"),
    ],
)
def test_patterns_that_say_nothing_useful_are_refused(pattern: str, said: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "fifo")
    written(tmp_path / "mixed" / "a.txt", "Ein Satz.")
    jsonl(tmp_path / "mixed" / "b.jsonl", {"text": "Ein Satz."})
    with pytest.raises(CorpusInputError, match=said) as caught:
        expand_sources([pattern], tmp_path)
    assert caught.value.code == code


def broken(folder: Path, name: str) -> Path:  # noqa: C901 - a list of ways
    """A file that cannot be prepared."""
    path = folder / name
    table = pa.table({"text": [f"Satz Nummer {n}." for n in range(5_000)]})
    match name:
        case "columns.parquet":
            pq.write_table(pa.table({"content": ["Ein Satz."]}), path)
        case "numbers.parquet":
            pq.write_table(pa.table({"text": [1]}), path)
        case "cut.parquet":
            pq.write_table(table, path)
            path.write_bytes(path.read_bytes()[:-100])
        case "flipped.parquet":
            pq.write_table(table, path)
            content = bytearray(path.read_bytes())
            content[40:400] = b"\xff" * 360
            path.write_bytes(content)
        case "lie.parquet":
            path.write_text("Ein Satz.\n")
        case "cut.txt.gz":
            path.write_bytes(gzip.compress(os.urandom(4_000).hex().encode())[:-50])
        case "binary.txt":
            path.write_bytes(bytes(range(128, 256)) * 10)
        case "lines.jsonl":
            path.write_text("Ein Satz.\n")
        case "list.json":
            path.write_text('[\n{"text": "Ein Satz."}\n]\n')
        case "tags":
            path.write_text('<doc id="1" url="x" title="T">\nEin Satz.\n</doc>\n')
        case "page.txt":
            path.write_text("<!DOCTYPE html><p>Ein Satz.\n")
        case "cut.tmx":
            path.write_text("<tmx><body><tu>")
        case "three.zip":
            moses(path, de="a\n", en="b\n", fr="c\n")
        case _:
            path.touch()
    return path


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("columns.parquet", "unknown-columns", "has no column 'text'; its columns are: content"),
        ("numbers.parquet", "unknown-columns", "the column 'text' holds int64, not strings"),
        ("cut.parquet", "corrupt-input", "is damaged"),
        ("flipped.parquet", "corrupt-input", "is damaged"),
        ("lie.parquet", "corrupt-input", "is no Parquet file"),
        ("cut.txt.gz", "truncated-input", "its compressed stream ends early"),
        ("binary.txt", "empty-corpus", "line 1: not UTF-8"),
        ("lines.jsonl", "empty-corpus", "line 1: not JSON"),
        ("list.json", "unsupported-input", "not JSONL"),
        ("tags", "unsupported-input", "wikiextractor --json"),
        ("page.txt", "unsupported-input", "an HTML page"),
        ("cut.tmx", "truncated-input", "ends early, line 1"),
        ("three.zip", "unsupported-input", "holds 3 texts"),
        ("empty", "empty-corpus", "nothing is left of 0 lines in 1 file"),
    ],
)
def test_a_broken_file_is_named_and_nothing_is_published(
    name: str, code: str, said: str, tmp_path: Path, store: ArtifactStore
) -> None:
    path = broken(tmp_path, name)
    with pytest.raises(CorpusInputError, match=said) as caught:
        prepare([path], "de", store)
    assert caught.value.code == code
    assert "\n" not in str(caught.value)
    good = written(tmp_path / "good.txt", "Ein guter Satz.")
    if name == "empty":
        assert len(prepare([good, path], "de", store)) == 1
        return
    with pytest.raises(CorpusInputError, match=name.replace(".", r"\.")):
        prepare([good, path], "de", store)
    assert not list(store.root.glob("corpus/*"))
    assert not list(store.root.glob(".staging/*"))


def test_nothing_to_prepare_is_said(tmp_path: Path, store: ArtifactStore) -> None:
    with pytest.raises(CorpusInputError, match="no file to prepare"):
        prepare([], "de", store)
    path = written(tmp_path / "a.txt", "%%%%", "&&&&", "x")
    with pytest.raises(CorpusInputError, match=r"nothing is left of 3 lines in 1 file \(2 punctuation, 1 length\)"):
        prepare([path], "de", store)


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path: Path, store: ArtifactStore) -> None:
    path = written(tmp_path / "a.txt", *TEXTS)
    second = written(tmp_path / "b.txt", *TEXTS)

    def meddle(stage: str, done: int, total: int | None) -> None:
        if stage == "prepare" and done:
            written(second, "Something else.")

    with pytest.raises(CorpusInputError) as caught:
        prepare([path, second], "en", store, progress=meddle)
    assert caught.value.code == "input-changed"
