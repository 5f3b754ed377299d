"""LASER rebuilt: against plain formulas run sentence by sentence, and against what fairseq's padding would do."""

from __future__ import annotations

import math
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from bitextmine.encoders.card import (
    MODEL,
    SENTENCEPIECE_MODEL,
    VOCABULARY,
    EncoderCard,
    TokenizerKind,
    hash_files,
    write_card,
)
from bitextmine.encoders.encoder import Encoder
from bitextmine.encoders.laser import LaserFiles, build_laser
from bitextmine.encoders.laser_tokenizer import BEGIN, PADDING, LaserTokenizer
from bitextmine.encoders.presets import Preset, preset
from bitextmine.errors import EncoderError
from tests.laser_files import laser2_files, laser3_files, student_settings, write_laser2, write_tokenizer

SENTENCES = [
    "The museum opens at nine.",
    "",
    "Das Wetter ist heute schön, und wir fahren an den See: «Wo ist bitte der nächste Bahnhof?»",
    "🥚🍞 250 g",
    "أين أقرب صيدلية؟",
    "היום מזג האוויר נאה.",
    "ขอบคุณมากครับ",
    "今天天气很好，我们去湖边。",
    "Q",
    "\u200b\t",
    "Она купила три книги. " * 20,
]
STUDENTS = {
    "post-norm, begin mark": student_settings(),
    "pre-norm, largest": student_settings(
        encoder_normalize_before=True, sentemb_criterion="maxpool", prepend_bos=False
    ),
    "gelu, learned positions": student_settings(
        activation_fn="gelu", encoder_learned_pos=True, max_source_positions=300
    ),
    "no scale, no positions, largest with begin mark": student_settings(
        no_scale_embedding=True, no_token_positional_embeddings=True, sentemb_criterion="maxpool"
    ),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """torch's LSTM over tiny sentences waits for its threads most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small(dims: int, max_tokens: int) -> Preset:
    return replace(preset("laser3-wol_latn"), dims=dims, max_tokens=max_tokens)


def opened(files: LaserFiles, directory: Path, *, dims: int, max_tokens: int = 200) -> Encoder:
    directory.mkdir()
    parity = build_laser(files, directory, small(dims, max_tokens), report=lambda line: None)
    assert parity.max_difference <= 1e-4
    assert parity.batch_difference <= 1e-5
    card = EncoderCard(
        **{"name": "laser", "dims": dims, "languages": ("wol_Latn",), "max_tokens": max_tokens, "pooling": "largest"},
        **{"licence": "none", "source": "random", "tokenizer": TokenizerKind.LASER, "files": hash_files(directory)},
        parity=parity,
    )
    write_card(card, directory)
    return Encoder.open(directory, threads=2)


def token_rows(encoder: Encoder) -> list[list[int]]:
    content = [(encoder.directory / name).read_bytes() for name in (SENTENCEPIECE_MODEL, VOCABULARY)]
    tokens = LaserTokenizer(*content, prefix="", max_tokens=encoder.card.max_tokens, threads=1)(SENTENCES)
    return [tokens.ids[start : start + n].tolist() for start, n in zip(tokens.starts, tokens.lengths, strict=True)]


def check(encoder: Encoder, formula: Callable[[list[int]], torch.Tensor]) -> None:
    """Each sentence alone, all in one padded batch, and as `encode` sorts them: the vector of the plain formula."""
    with torch.no_grad():
        expected = functional.normalize(torch.stack([formula(row) for row in token_rows(encoder)]), dim=1).numpy()
    alone = np.concatenate([encoder.encode_batch([sentence]) for sentence in SENTENCES])
    np.testing.assert_allclose(alone, expected, atol=2e-5)
    np.testing.assert_allclose(encoder.encode_batch(SENTENCES), alone, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(SENTENCES), alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(alone, axis=1), 1, atol=1e-5)
    assert len(np.unique(alone.round(4), axis=0)) >= len(SENTENCES) - 1, "only the two empty ones are alike"


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_laser2_is_its_lstm_without_padding_and_the_largest_of_each_component(tmp_path: Path, layers: int) -> None:
    encoder = opened(laser2_files(tmp_path, layers=layers, hidden=8, width=6), tmp_path / "built", dims=16)
    saved = torch.load(tmp_path / "laser2.pt", weights_only=True)
    lstm = torch.nn.LSTM(6, 8, layers, bidirectional=True)
    lstm.load_state_dict({name[5:]: tensor for name, tensor in saved["model"].items() if name.startswith("lstm.")})

    def formula(ids: list[int]) -> torch.Tensor:
        states, _ = lstm(saved["model"]["embed_tokens.weight"][ids])
        return states.max(dim=0).values

    check(encoder, formula)


class PlainStudent:
    """fairseq's encoder written out, for batches (n, length) padded on any side."""

    def __init__(self, path: Path, settings: Namespace) -> None:
        with torch.serialization.safe_globals([Namespace]):
            model = torch.load(path, weights_only=True)["model"]
        self.state = {name.removeprefix("encoder."): tensor for name, tensor in model.items()}
        self.settings = settings

    def __call__(self, ids: torch.Tensor) -> torch.Tensor:
        """(n, dims), before they get length 1."""
        padding = ids == PADDING
        x = self.embedded(ids, padding) * ~padding[:, :, None]
        for i in range(self.settings.encoder_layers):
            x = self.layer(f"layers.{i}", x, padding)
        if "layer_norm.weight" in self.state:
            x = self.norm("layer_norm", x)
        if self.settings.sentemb_criterion == "cls":
            return x[ids == BEGIN]
        return x.masked_fill(padding[:, :, None], -math.inf).max(dim=1).values

    def embedded(self, ids: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        get, wide = vars(self.settings).get, self.settings.encoder_embed_dim
        x = self.state["embed_tokens.weight"][ids] * (1.0 if get("no_scale_embedding") else math.sqrt(wide))
        positions = (~padding).long().cumsum(1) * ~padding + PADDING
        if get("encoder_learned_pos"):
            return x + self.state["embed_positions.weight"][positions]
        if get("no_token_positional_embeddings"):
            return x
        angles = positions[:, :, None] * torch.exp(torch.arange(wide // 2) * -math.log(10000) / (wide // 2 - 1))
        return x + torch.cat([torch.sin(angles), torch.cos(angles)], dim=2)

    def layer(self, name: str, x: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        attended, widened = f"{name}.self_attn_layer_norm", f"{name}.final_layer_norm"
        if self.settings.encoder_normalize_before:
            x = x + self.attention(f"{name}.self_attn", self.norm(attended, x), padding)
            return x + self.feed_forward(name, self.norm(widened, x))
        x = self.norm(attended, x + self.attention(f"{name}.self_attn", x, padding))
        return self.norm(widened, x + self.feed_forward(name, x))

    def attention(self, name: str, x: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        heads = self.settings.encoder_attention_heads
        q, k, v = (self.dense(f"{name}.{part}_proj", x).unflatten(2, (heads, -1)).transpose(1, 2) for part in "qkv")
        scores = (q * (x.shape[2] // heads) ** -0.5) @ k.transpose(2, 3)
        weights = scores.masked_fill(padding[:, None, None, :], -math.inf).softmax(-1)
        return self.dense(f"{name}.out_proj", (weights @ v).transpose(1, 2).flatten(2))

    def feed_forward(self, name: str, x: torch.Tensor) -> torch.Tensor:
        inner = self.dense(f"{name}.fc1", x)
        relu = self.settings.activation_fn == "relu"
        return self.dense(f"{name}.fc2", inner.clamp(min=0) if relu else functional.gelu(inner))

    def dense(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]

    def norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        spread = torch.sqrt((centred**2).mean(-1, keepdim=True) + 1e-5)
        return centred / spread * self.state[f"{name}.weight"] + self.state[f"{name}.bias"]


@pytest.mark.parametrize("name", STUDENTS)
@pytest.mark.parametrize("prefix", ["", "encoder."])
def test_laser3_is_fairseqs_transformer(tmp_path: Path, name: str, prefix: str) -> None:
    settings = STUDENTS[name]
    files = laser3_files(tmp_path, settings, prefix=prefix, final=bool(prefix) or settings.encoder_normalize_before)
    encoder = opened(files, tmp_path / "built", dims=12)
    plain = PlainStudent(files.checkpoint, settings)
    begin = [BEGIN] if settings.prepend_bos else []
    check(encoder, lambda ids: plain(torch.tensor([begin + ids]))[0])


def test_padding_on_the_left_would_change_nothing(tmp_path: Path) -> None:
    settings = student_settings(sentemb_criterion="maxpool")
    files = laser3_files(tmp_path, settings)
    encoder = opened(files, tmp_path / "built", dims=12)
    rows = [[BEGIN, *row] for row in token_rows(encoder)]
    longest = max(map(len, rows))
    left = torch.tensor([[PADDING] * (longest - len(row)) + row for row in rows])
    expected = functional.normalize(PlainStudent(files.checkpoint, settings)(left), dim=1).numpy()
    np.testing.assert_allclose(encoder.encode(SENTENCES), expected, atol=2e-5)


def test_an_old_configuration_in_args_is_read(tmp_path: Path) -> None:
    files = laser3_files(tmp_path, student_settings())
    with torch.serialization.safe_globals([Namespace]):
        saved = torch.load(files.checkpoint, weights_only=True)
    first = opened(files, tmp_path / "first", dims=12)
    torch.save({"args": saved["cfg"]["model"], "model": saved["model"]}, files.checkpoint)
    second = opened(files, tmp_path / "second", dims=12)
    assert first.card.files == second.card.files


def test_half_precision_weights_are_widened(tmp_path: Path) -> None:
    files = laser2_files(tmp_path)
    saved = torch.load(files.checkpoint, weights_only=True)
    saved["model"] = {name: tensor.half() for name, tensor in saved["model"].items()}
    torch.save(saved, files.checkpoint)
    assert opened(files, tmp_path / "built", dims=16).encode(["x"]).dtype == np.float32


def test_long_sentences_are_cut_before_their_end_mark(tmp_path: Path) -> None:
    encoder = opened(laser2_files(tmp_path), tmp_path / "built", dims=16, max_tokens=8)
    encoding = encoder.encode_counted(["short", "the weather is fine " * 20, "the weather is fine " * 30, ""])
    assert encoding.truncated == 2
    np.testing.assert_allclose(encoding.vectors[1], encoding.vectors[2], atol=1e-6)


def test_the_format_of_old_torch_is_read(tmp_path: Path) -> None:
    files = laser2_files(tmp_path)
    new = opened(files, tmp_path / "new", dims=16)
    saved = torch.load(files.checkpoint, weights_only=True)
    torch.save(saved, files.checkpoint, _use_new_zipfile_serialization=False)
    assert opened(files, tmp_path / "old", dims=16).card.files == new.card.files


def test_the_state_of_a_training_run_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole checkpoints of fairseq hold numbers of NumPy's and objects of its own; reading them imports nothing."""
    files = laser3_files(tmp_path, student_settings())
    first = opened(files, tmp_path / "first", dims=12)
    meter = type("Meter", (), {"__module__": "fairseq.logging.meters", "__qualname__": "Meter"})
    module = ModuleType("fairseq.logging.meters")
    module.Meter = meter  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        for name in ("fairseq", "fairseq.logging"):
            patch.setitem(sys.modules, name, ModuleType(name))
        patch.setitem(sys.modules, "fairseq.logging.meters", module)
        held = meter()
        held.count = np.float64(3)
        state = {"meter": held, "loss": np.float64(0.5), "rng": np.arange(4)}
        changed(files.checkpoint, extra_state=state, last_optimizer_state={"lr": [np.float32(1)]})
    assert "fairseq" not in sys.modules
    assert opened(files, tmp_path / "second", dims=12).card.files == first.card.files


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


def changed(path: Path, **changes: Any) -> None:
    with torch.serialization.safe_globals([Namespace]):
        torch.save({**torch.load(path, weights_only=True), **changes}, path)


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
