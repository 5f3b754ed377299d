"""`bitextmine embed`: a row for each line, whole or not at all."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bitextmine import line_vectors
from bitextmine.cli import run
from bitextmine.corpus import CorpusFile, CorpusFormat
from bitextmine.corpus.readers import RawBlock
from bitextmine.encoders import Encoder
from bitextmine.errors import CorpusInputError, DiskFullError, ParameterError
from bitextmine.line_vectors import embed_lines

LINES = ["the museum opens at nine", "", "Wo ist der Bahnhof?", "the museum opens at nine", "خريطة", "ตลาด 🙂 ", "a\tb"]
TEXTS = {0: LINES[0], 2: LINES[2], 3: LINES[3], 4: LINES[4], 5: "ตลาด 🙂"}


@pytest.fixture
def tiny(encoders: Path) -> Encoder:
    return Encoder.open(encoders / "tiny", threads=2)


@pytest.fixture
def folder(tmp_path: Path, encoders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BITEXTMINE_ENCODERS_DIR", str(encoders))
    monkeypatch.chdir(tmp_path)
    Path("text").write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    return tmp_path


def embed(*more: str, file: str = "text") -> int:
    return run(["embed", file, "-o", "out.npy", "--encoder", "tiny", *more])


def only_output(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("window", [1, 2, 3, 7, 100])
def test_there_is_a_row_for_each_line(
    folder: Path, tiny: Encoder, dtype: str, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_vectors, "_WINDOW", window)
    assert embed("--dtype", dtype) == 0
    vectors = np.load("out.npy", allow_pickle=False)
    assert vectors.shape == (7, tiny.dims)
    assert vectors.dtype == np.dtype(dtype)
    assert vectors.flags.c_contiguous
    np.testing.assert_allclose(vectors[list(TEXTS)], tiny.encode(list(TEXTS.values())), atol=1e-3)
    assert not vectors[[1, 6]].any()
    np.testing.assert_allclose(vectors[0], vectors[3], atol=1e-3)


def test_what_was_done_is_said(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Path("text").open("a") as stream:
        stream.write("museum " * 100 + "\n")
    assert embed("--lang", "de") == 0
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "text: 2 of 8 lines have a row of zeros (1 empty, 1 control-character)" in printed.err
    assert "1 lines are longer than the encoder's 64 tokens" in printed.err
    assert "out.npy: 8 x 32 float32, on CPUExecutionProvider" in printed.err


@pytest.mark.parametrize(("name", "end"), [("a.gz", "\n"), ("a", ""), ("a", "\r\n")])
def test_lines_are_those_that_mine_counts(folder: Path, tiny: Encoder, name: str, end: str) -> None:
    content = b"museum\n\nstation" + end.encode()
    Path(name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert embed(file=name) == 0
    vectors = np.load("out.npy")
    assert len(vectors) == 3
    np.testing.assert_allclose(vectors[[0, 2]], tiny.encode(["museum", "station"]), atol=1e-6)


def test_records_give_their_text(folder: Path, tiny: Encoder) -> None:
    Path("a.jsonl").write_text("".join(json.dumps({"id": n, "text": f"museum {n}"}) + "\n" for n in range(3)))
    assert embed(file="a.jsonl") == 0
    np.testing.assert_allclose(np.load("out.npy"), tiny.encode([f"museum {n}" for n in range(3)]), atol=1e-6)


def test_long_runs_of_blank_lines_take_no_more_memory(
    folder: Path, tiny: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_vectors, "_WINDOW", 10)
    largest = 0
    zeros = np.zeros

    def recording(shape: tuple[int, int], dtype: type) -> object:
        nonlocal largest
        largest = max(largest, shape[0])
        return zeros(shape, dtype)

    Path("blank").write_text("museum" + "\n" * 95 + "station\n")
    monkeypatch.setattr(line_vectors.np, "zeros", recording)
    assert embed(file="blank") == 0
    monkeypatch.undo()
    vectors = np.load(folder / "out.npy")
    assert np.flatnonzero(vectors.any(axis=1)).tolist() == [0, 95]
    assert largest == 10


def test_an_output_that_is_there_is_replaced_only_by_force(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("out.npy").write_text("precious")
    assert embed() == 2
    assert "out.npy is there already; --force replaces it" in capfd.readouterr().err
    assert Path("out.npy").read_text() == "precious"
    assert embed("--force") == 0
    assert len(np.load("out.npy")) == 7


@pytest.mark.parametrize("output", ["nowhere/out.npy", "."])
def test_an_output_that_cannot_be_is_refused_before_the_work(folder: Path, tiny: Encoder, output: str) -> None:
    with pytest.raises(ParameterError) as caught:
        embed_lines(CorpusFile(Path("text"), ""), tiny, Path(output))
    assert caught.value.code == "output-not-writable"
    assert not tiny.loaded


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "empty-corpus"), (b"PAR1", "unsupported-input"), (b"\x1f\x8b\x08\0\0\0\0\0\0\0", "truncated-input")],
)
def test_files_that_are_no_text_are_refused(folder: Path, tiny: Encoder, content: bytes, code: str) -> None:
    Path("bad").write_bytes(content)
    with pytest.raises(CorpusInputError) as caught:
        embed_lines(CorpusFile(Path("bad"), ""), tiny, Path("out.npy"))
    assert caught.value.code == code
    assert only_output(folder) == {"text", "bad"}


def test_jsonl_given_as_text_is_refused(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("records").write_text('{"text": "museum"}\n')
    assert embed(file="records") == 2
    assert "looks like JSONL" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--lang", "hi"], "does not cover hin_Deva"),
        (["--lang", "nonsense"], "nonsense"),
        (["--encoder", "none-such"], "no encoder named"),
        (["--provider", "cuda"], "CUDA was asked for and cannot be used"),
    ],
)
def test_what_cannot_be_done_leaves_nothing(
    folder: Path, capfd: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert embed(*options) == 2
    assert message in capfd.readouterr().err
    assert only_output(folder) == {"text"}


def test_an_uncovered_language_can_be_allowed(folder: Path) -> None:
    assert embed("--lang", "hi", "--allow-uncovered") == 0


def test_cuda_may_fall_back_where_that_is_allowed(folder: Path) -> None:
    assert embed("--provider", "cuda", "--allow-cpu-fallback") == 0


def test_an_interrupted_run_leaves_nothing(folder: Path, tiny: Encoder) -> None:
    def interrupt(stage: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_lines(CorpusFile(Path("text"), ""), tiny, Path("out.npy"), progress=interrupt)
    assert only_output(folder) == {"text"}


def test_progress_counts_lines(folder: Path, tiny: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_vectors, "_WINDOW", 2)
    seen: list[tuple[str, int, int | None]] = []
    embed_lines(CorpusFile(Path("text"), ""), tiny, Path("out.npy"), progress=lambda *report: seen.append(report))
    assert {(stage, total) for stage, _, total in seen} == {("embed", 7)}
    done = [count for _, count, _ in seen]
    assert done == sorted(done)
    assert {2, 4, 6, 7} <= set(done)


def test_a_file_that_grows_meanwhile_is_an_error(folder: Path, tiny: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    read, reads = line_vectors.read_blocks, []

    def growing(path: Path, *arguments: object, **more: object) -> Iterator[RawBlock]:
        if reads:
            path.write_text("another line\n" * 20)
        reads.append(path)
        return read(path, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(line_vectors, "read_blocks", growing)
    with pytest.raises(CorpusInputError) as caught:
        embed_lines(CorpusFile(Path("text"), "", CorpusFormat.TEXT), tiny, Path("out.npy"))
    assert caught.value.code == "input-changed"
    assert only_output(folder) == {"text"}


def test_a_full_disk_is_said_and_nothing_is_left(folder: Path, tiny: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(line_vectors.os, "fsync", full)
    with pytest.raises(DiskFullError, match=r"out\.npy"):
        embed_lines(CorpusFile(Path("text"), ""), tiny, Path("out.npy"))
    assert only_output(folder) == {"text"}
