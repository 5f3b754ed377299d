"""Encoders in 8 and 16 bits: close to fp32, the same in every batch, published whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from bitextmine.cli import run
from bitextmine.encoders import Encoder, load_card, open_encoder
from bitextmine.encoders import precision as precision_module
from bitextmine.encoders.card import CARD, MODEL, Precision, hash_files, write_card
from bitextmine.encoders.parity_sentences import PARITY_SENTENCES
from bitextmine.encoders.precision import add_precision
from bitextmine.errors import EncoderError, ParameterError
from bitextmine.resources import Device, Provider
from tests.tiny_encoder import build_tiny_encoder
from tests.tiny_transformer import build_tiny_transformer

INT8, FP16, FP32 = Precision.INT8, Precision.FP16, Precision.FP32
CPU = Device(provider=Provider.CPU)
SENTENCES = [sentence for sentence in PARITY_SENTENCES if sentence]


def quiet(_line: str) -> None:
    """A report that nobody reads."""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder in fp32, int8 and fp16."""
    directory = tmp_path_factory.mktemp("encoders") / "tiny"
    build_tiny_transformer(directory)
    for precision in (INT8, FP16):
        add_precision(directory, precision, report=quiet)
    return directory


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    build_tiny_transformer(tmp_path / "tiny")
    return tmp_path / "tiny"


def opened(directory: Path, precision: Precision) -> Encoder:
    return Encoder.open(directory, threads=1, precision=precision, device=CPU)


@pytest.mark.parametrize(("precision", "mean", "lowest"), [(INT8, 0.999, 0.998), (FP16, 0.99999, 0.9999)])
def test_vectors_are_close_to_those_of_fp32(both: Path, precision: Precision, mean: float, lowest: float) -> None:
    expected, found = (opened(both, each).encode(SENTENCES) for each in (FP32, precision))
    cosines = (expected * found).sum(axis=1)
    assert cosines.mean() >= mean
    assert cosines.min() >= lowest
    assert not np.array_equal(expected, found)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_an_int8_vector_is_the_same_in_every_batch(both: Path) -> None:
    encoder = opened(both, INT8)
    alone = np.concatenate([encoder.encode_batch([sentence]) for sentence in SENTENCES])
    random = np.random.default_rng(3)
    for _ in range(30):
        rows = random.permutation(len(SENTENCES))[: random.integers(2, 20)]
        together = encoder.encode_batch([SENTENCES[row] for row in rows])
        assert np.abs(together - alone[rows]).max() <= 1e-6
    assert np.abs(encoder.encode(SENTENCES) - alone).max() <= 1e-6


def test_the_card_has_what_was_measured(both: Path) -> None:
    card = load_card(both)
    assert card.precisions == (FP32, FP16, INT8)
    measured = card.quality[INT8]
    expected, found = (
        np.concatenate([opened(both, each).encode_batch([sentence]) for sentence in SENTENCES]) for each in (FP32, INT8)
    )
    cosines = (expected * found).sum(axis=1)
    assert measured["mean_cosine"] == pytest.approx(cosines.mean(), abs=1e-6)
    assert measured["min_cosine"] == pytest.approx(cosines.min(), abs=1e-6)
    assert 0 <= measured["batch_difference"] <= 1e-6
    assert measured["bytes"] == (both / INT8.file).stat().st_size < measured["fp32_bytes"] / 2
    assert measured["fp32_bytes"] == (both / MODEL).stat().st_size
    assert measured["sentences_per_second"] > 0
    assert measured["fp32_sentences_per_second"] > 0
    Encoder.open(both).check()


def test_int8_is_chosen_where_it_is_installed(both: Path, tiny: Path) -> None:
    assert Encoder.open(both, device=CPU).precision is INT8
    assert Encoder.open(both, device=CPU).signature == opened(both, INT8).signature
    assert len({opened(both, each).signature for each in Precision}) == 3
    assert Encoder.open(tiny, device=CPU).precision is FP32
    assert open_encoder("tiny", both.parent, device=CPU, precision=FP16).precision is FP16


def test_a_precision_that_is_not_installed_is_refused(tiny: Path) -> None:
    with pytest.raises(ParameterError, match="not installed as int8, but as fp32") as caught:
        open_encoder("tiny", tiny.parent, precision=INT8)
    assert caught.value.code == "precision-not-installed"
    with pytest.raises(ParameterError, match="what other precisions are made from"):
        add_precision(tiny, FP32, report=quiet)


def test_what_is_too_far_from_fp32_is_not_published(tmp_path: Path) -> None:
    build_tiny_transformer(tmp_path, sharpness=1e4)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(EncoderError, match="not published") as caught:
        add_precision(tmp_path, INT8, report=quiet)
    assert caught.value.code == "precision-too-inaccurate"
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert Encoder.open(tmp_path).precision is FP32


def test_a_graph_without_products_is_not_called_int8(tmp_path: Path) -> None:
    build_tiny_encoder(tmp_path)
    with pytest.raises(EncoderError, match="no product with a constant matrix"):
        add_precision(tmp_path, INT8, report=quiet)


def test_what_is_there_and_intact_is_not_made_again(both: Path) -> None:
    before = (both / INT8.file).stat().st_mtime_ns
    lines: list[str] = []
    assert add_precision(both, INT8, report=lines.append) == load_card(both).quality[INT8]
    assert lines == ["tiny is installed as int8 already"]
    assert (both / INT8.file).stat().st_mtime_ns == before


@pytest.mark.parametrize("cards_written", [0, 1])
def test_a_crash_leaves_the_encoder_usable(tiny: Path, monkeypatch: pytest.MonkeyPatch, cards_written: int) -> None:
    """It dies before a card is written: the first time, and when a damaged int8 graph is replaced."""
    if cards_written:
        add_precision(tiny, INT8, report=quiet)
        (tiny / INT8.file).write_bytes(b"damaged")
    write_card, written = precision_module.write_card, []

    def dying(*arguments: object) -> None:
        if len(written) == cards_written:
            raise KeyboardInterrupt
        written.append(arguments)
        write_card(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(precision_module, "write_card", dying)
    with pytest.raises(KeyboardInterrupt):
        add_precision(tiny, INT8, report=quiet)
    survivor = Encoder.open(tiny, device=CPU)
    survivor.check()
    assert survivor.precision is FP32
    assert survivor.encode(["still here"]).shape == (1, 128)
    monkeypatch.undo()
    add_precision(tiny, INT8, report=quiet)
    assert sorted(path.name for path in tiny.iterdir()) == [CARD, INT8.file, MODEL, "sentencepiece.model"]
    Encoder.open(tiny).check()


def test_what_a_killed_process_left_is_cleaned_away(tiny: Path) -> None:
    (tiny / ".precision-left").mkdir()
    (tiny / ".precision-left" / INT8.file).write_bytes(b"half")
    add_precision(tiny, INT8, report=quiet)
    assert not (tiny / ".precision-left").exists()


def test_a_damaged_original_is_not_rewritten(tiny: Path) -> None:
    content = bytearray((tiny / MODEL).read_bytes())
    content[len(content) // 2] ^= 1
    (tiny / MODEL).write_bytes(content)
    with pytest.raises(EncoderError, match="is damaged"):
        add_precision(tiny, INT8, report=quiet)


def test_large_weights_go_beside_the_graph(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision_module, "_INLINE_BYTES", 1000)
    quality = add_precision(tiny, INT8, report=quiet)
    data = tiny / f"{INT8.file}.data"
    assert quality["bytes"] == data.stat().st_size + (tiny / INT8.file).stat().st_size
    encoder = opened(tiny, INT8)
    assert data.name in encoder.card.files_of(INT8)
    assert encoder.encode(SENTENCES[:3]).shape == (3, 128)
    data.write_bytes(data.read_bytes()[::-1])
    with pytest.raises(EncoderError, match="is damaged"):
        opened(tiny, INT8).encode(["x"])


@pytest.mark.parametrize("precision", [INT8, FP16])
def test_a_graph_whose_weights_lie_beside_it_is_rewritten_too(tiny: Path, precision: Precision) -> None:
    expected = Encoder.open(tiny, threads=1).encode(SENTENCES)
    graph = onnx.load(tiny / MODEL)
    onnx.save(graph, tiny / MODEL, save_as_external_data=True, location=f"{MODEL}.data", size_threshold=0)
    write_card(load_card(tiny).model_copy(update={"files": hash_files(tiny)}), tiny)
    assert f"{MODEL}.data" in load_card(tiny).files
    quality = add_precision(tiny, precision, report=quiet)
    assert quality["fp32_bytes"] > (tiny / f"{MODEL}.data").stat().st_size
    assert (opened(tiny, precision).encode(SENTENCES) * expected).sum(axis=1).mean() > 0.999


def test_the_command_prints_the_quality_and_mine_uses_it(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BITEXTMINE_ENCODERS_DIR", str(tiny.parent))
    monkeypatch.setenv("BITEXTMINE_DATA_DIR", str(tmp_path / "data"))
    english = [f"the station {n} at {n * 37 % 101} opens" for n in range(30)]
    for name in ("tatoeba.deu-eng.deu", "tatoeba.deu-eng.eng"):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in english))
    assert run(["encoders", "quantize", "tiny", "--tatoeba", str(tmp_path)]) == 0
    printed = capfd.readouterr().out
    quality = json.loads((tiny / CARD).read_text())["quality"]["int8"]
    assert f"{quality['mean_cosine']:.4f}" in printed
    assert quality["tatoeba"] == quality["fp32_tatoeba"] == 100
    assert "100.0" in printed
    src, tgt = str(tmp_path / "src.txt"), str(tmp_path / "tgt.txt")
    Path(src).write_text("\n".join(english[:20]))
    Path(tgt).write_text("\n".join(english[10:]))
    mine = ["mine", src, tgt, "--src-lang", "de", "--tgt-lang", "en", "--encoder", "tiny"]
    assert run([*mine, "--precision", "fp16"]) == 2
    assert "not installed as fp16" in capfd.readouterr().err
    assert run([*mine, "--precision", "int8"]) == 0
    as_int8 = capfd.readouterr().out
    assert run(mine) == 0
    assert capfd.readouterr().out == as_int8
    assert run([*mine, "--precision", "fp32"]) == 0
    assert run(["encoders", "quantize", "tiny", "--precision", "fp32"]) == 2
