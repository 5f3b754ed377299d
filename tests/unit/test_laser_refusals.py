"""What is not a LASER encoder is refused, and no checkpoint runs code."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bitextmine.encoders.card import (
    MODEL,
)
from bitextmine.encoders.laser import LaserFiles, build_laser
from bitextmine.errors import EncoderError
from tests.laser_files import (
    changed,
    laser2_files,
    laser3_files,
    small,
    student_settings,
    write_laser2,
    write_tokenizer,
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """torch's LSTM over tiny sentences waits for its threads most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build(files: LaserFiles, directory: Path, dims: int = 16, max_tokens: int = 200) -> None:
    directory.mkdir()
    build_laser(files, directory, small(dims, max_tokens), report=lambda line: None)


class Evil:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch stolen",)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = laser2_files(tmp_path)
    saved = torch.load(files.checkpoint, weights_only=True)
    for place in ("params", "extra_state"):
        torch.save({**saved, place: Evil()}, files.checkpoint)
        with pytest.raises(EncoderError, match="more than tensors and plain values") as caught:
            build(files, tmp_path / place)
        assert caught.value.code == "export-unsupported"
        assert "system" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert list((tmp_path / place).iterdir()) == []
    assert not (tmp_path / "stolen").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 and more"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    files = laser2_files(tmp_path)
    files.checkpoint.write_bytes(content)
    with pytest.raises(EncoderError, match=r"laser2\.pt") as caught:
        build(files, tmp_path / "built")
    assert "\n" not in str(caught.value)


def test_a_checkpoint_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    files = laser2_files(tmp_path)
    files.checkpoint.write_bytes(files.checkpoint.read_bytes()[:-1000])
    with pytest.raises(EncoderError, match="torch can read"):
        build(files, tmp_path / "built")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": None}, "has no model"),
        ({"model": {}}, r"no embed_tokens\.weight"),
        ({"params": {"num_embeddings": 10, "padding_idx": 1, "left": 3}}, "configuration"),
        ({"params": {"num_embeddings": 10, "padding_idx": 7}}, "padding_idx"),
        ({"dictionary": {"a": 4, "b": 4000}}, "embeddings have"),
        ({"dictionary": {"a": 4}}, "embeddings have"),
        ({"dictionary": {"a": [4]}}, "something else than an id"),
        ({"model": {"embed_tokens.weight": torch.tensor(1.0), 3: 4}}, "of two axes"),
    ],
)
def test_what_is_not_laser2_is_refused(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    files = laser2_files(tmp_path)
    changed(files.checkpoint, **change)
    with pytest.raises(EncoderError, match=reason):
        build(files, tmp_path / "built")


def test_tensors_that_do_not_fit_the_configuration_are_refused(tmp_path: Path) -> None:
    files = laser2_files(tmp_path)
    saved = torch.load(files.checkpoint, weights_only=True)
    changed(files.checkpoint, params={**saved["params"], "num_layers": 2})
    with pytest.raises(EncoderError, match="tensors are not those of its configuration") as caught:
        build(files, tmp_path / "built")
    assert caught.value.code == "export-unsupported"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"activation_fn": "swish"}, "activation_fn"),
        ({"sentemb_criterion": "mean"}, "sentemb_criterion"),
        ({"prepend_bos": False}, "begin mark that it does not add"),
        ({"encoder_attention_heads": 5}, "heads do not divide"),
        ({"encoder_layers": 3}, "tensors are not those"),
        ({"encoder_learned_pos": True}, "knows positions of 0 tokens"),
    ],
)
def test_students_of_another_kind_are_refused(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    files = laser3_files(tmp_path, student_settings())
    changed(files.checkpoint, cfg={"model": student_settings(**changes)})
    with pytest.raises(EncoderError, match=reason) as caught:
        build(files, tmp_path / "built", dims=12)
    assert caught.value.code == "export-unsupported"


def test_learned_positions_that_were_not_announced_are_refused(tmp_path: Path) -> None:
    files = laser3_files(tmp_path, student_settings(encoder_learned_pos=True))
    changed(files.checkpoint, cfg={"model": student_settings()})
    with pytest.raises(EncoderError, match="tensors are not those"):
        build(files, tmp_path / "built", dims=12)


def test_a_vocabulary_of_another_size_is_refused(tmp_path: Path) -> None:
    files = laser3_files(tmp_path, student_settings())
    vocabulary = tmp_path / "laser2.cvocab"
    lines = vocabulary.read_text("utf-8").splitlines(keepends=True)
    for number, content in enumerate((lines[:-1], [*lines, "more 1\n", "still 1\n"], [*lines[:-1], lines[0]])):
        vocabulary.write_text("".join(content), "utf-8")
        with pytest.raises(EncoderError, match="the embeddings have"):
            build(files, tmp_path / str(number), dims=12)
    vocabulary.write_text("".join([*lines[:-1], "no count\n"]), "utf-8")
    with pytest.raises(EncoderError, match=rf"line {len(lines)}: not a symbol and its count"):
        build(files, tmp_path / "line", dims=12)
    vocabulary.write_bytes(b"\xff\xfe 1\n")
    with pytest.raises(EncoderError, match="not UTF-8"):
        build(files, tmp_path / "bytes", dims=12)
    with pytest.raises(EncoderError, match="no vocabulary"):
        build(LaserFiles(files.checkpoint, files.tokenizer, None), tmp_path / "none", dims=12)


def test_a_tokenizer_that_belongs_to_another_vocabulary_is_refused(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    write_laser2(tmp_path / "laser2.pt", [f"piece{n}" for n in range(100)])
    files = LaserFiles(tmp_path / "laser2.pt", tmp_path / "laser2.spm", None)
    with pytest.raises(EncoderError, match="pieces only 0% are in the vocabulary"):
        build(files, tmp_path / "built")
    (tmp_path / "laser2.spm").write_bytes(b"not a model")
    with pytest.raises(EncoderError, match="not a SentencePiece model"):
        build(files, tmp_path / "again")


def test_a_model_of_other_dims_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="has 16 dims, 1024 are expected") as caught:
        build(laser2_files(tmp_path), tmp_path / "built", dims=1024)
    assert caught.value.code == "export-mismatch"


def test_a_graph_that_is_not_the_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = laser2_files(tmp_path)
    build(files, tmp_path / "right")
    graph = (tmp_path / "right" / MODEL).read_bytes()
    model = torch.load(files.checkpoint, weights_only=True)["model"]
    changed(files.checkpoint, model={name: 1.01 * tensor for name, tensor in model.items()})
    monkeypatch.setattr("bitextmine.encoders.laser.laser_graph", lambda *_: graph)
    with pytest.raises(EncoderError, match="differs from the original") as caught:
        build(files, tmp_path / "built")
    assert caught.value.code == "export-mismatch"


def test_without_torch_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = laser3_files(tmp_path, student_settings())
    monkeypatch.setattr("bitextmine.encoders.export.find_spec", lambda name: None)
    with pytest.raises(EncoderError, match=r"bitextmine\[export\]") as caught:
        build(files, tmp_path / "built", dims=12)
    assert caught.value.code == "export-not-installed"
