"""LASER rebuilt: against plain formulas run sentence by sentence, and against what fairseq's padding would do."""

from __future__ import annotations

import math
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch.nn import functional

from bitextmine.encoders.card import (
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
from tests.laser_files import (
    changed,
    laser2_files,
    laser3_files,
    small,
    student_settings,
)

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
