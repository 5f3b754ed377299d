"""LASER's published files in small, with random weights: fairseq's checkpoints, a tokenizer, a dictionary."""

from __future__ import annotations

import io
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import sentencepiece
import torch

from bitextmine.encoders.laser import LaserFiles
from bitextmine.encoders.presets import Preset, preset

TEXT = """
the weather is fine today and we are going to the lake.
she bought three books and a map of the old city.
das wetter ist heute schön und wir fahren an den see.
wo ist bitte der nächste bahnhof?
il fait beau aujourd'hui et nous allons au lac.
сегодня хорошая погода, и мы едем на озеро.
она купила три книги и карту старого города.
أين أقرب صيدلية؟ الطقس جميل اليوم.
היום מזג האוויר נאה.
आज मौसम अच्छा है।
วันนี้อากาศดีมาก ขอบคุณมากครับ
今天天气很好，我们去湖边。
今日は天気がいいです。
""".strip().splitlines()


def write_tokenizer(directory: Path, name: str = "laser2", vocab_size: int = 260) -> tuple[str, ...]:
    """Write `<name>.spm` and `<name>.cvocab`; the pieces that are in the latter."""
    model = _trained(vocab_size)
    (directory / f"{name}.spm").write_bytes(model)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    pieces = tuple(processor.id_to_piece(id_) for id_ in range(processor.get_piece_size()))[3:]  # without the marks
    lines = (f"{piece} {1000 - rank}\n" for rank, piece in enumerate(pieces))
    (directory / f"{name}.cvocab").write_text("".join(lines), "utf-8")
    return pieces


@cache
def _trained(vocab_size: int) -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT),
        model_writer=model,
        vocab_size=vocab_size,
        hard_vocab_limit=False,
        character_coverage=0.98,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def write_laser2(path: Path, pieces: Iterable[str], *, hidden: int = 8, layers: int = 3, width: int = 6) -> None:
    """A BiLSTM as `laser2.pt`: params, model, dictionary."""
    torch.manual_seed(7)
    dictionary = {symbol: id_ for id_, symbol in enumerate(("<s>", "<pad>", "</s>", "<unk>", *pieces))}
    params: dict[str, Any] = {
        **{"num_embeddings": len(dictionary), "padding_idx": 1, "embed_dim": width, "hidden_size": hidden},
        **{"num_layers": layers, "bidirectional": True, "left_pad": True, "padding_value": 0.0},
    }
    lstm = torch.nn.LSTM(width, hidden, layers, bidirectional=True)
    model = {f"lstm.{name}": 2 * tensor.detach() for name, tensor in lstm.named_parameters()}
    model["embed_tokens.weight"] = torch.randn(len(dictionary), width)
    torch.save({"params": params, "model": model, "dictionary": dictionary}, path)


def student_settings(**changes: Any) -> Namespace:
    """A configuration of fairseq's laser_transformer, with settings that do not matter here among the others."""
    settings: dict[str, Any] = {
        **{"arch": "laser_transformer", "encoder_embed_dim": 12, "encoder_ffn_embed_dim": 20, "encoder_layers": 2},
        **{"encoder_attention_heads": 3, "encoder_normalize_before": False, "encoder_learned_pos": False},
        **{"activation_fn": "relu", "sentemb_criterion": "cls", "prepend_bos": True, "left_pad_source": "False"},
        **{"dropout": 0.3, "max_source_positions": 1024, "adam_betas": "(0.9, 0.98)", "lr": [0.0001]},
    }
    return Namespace(**{**settings, **changes})


def write_laser3(
    path: Path, symbols: int, settings: Namespace, *, prefix: str = "encoder.", final: bool = True
) -> None:
    """A student's checkpoint: cfg, model (with a rest of a decoder where names have a prefix).

    Args:
        symbols: rows of the embeddings.
        final: a layer norm after the last layer, with which fairseq adds a symbol to the dictionary.
    """
    torch.manual_seed(11)
    wide, inner = settings.encoder_embed_dim, settings.encoder_ffn_embed_dim
    model: dict[str, torch.Tensor] = {"version": torch.tensor([3.0]), "embed_tokens.weight": torch.randn(symbols, wide)}
    if settings.encoder_learned_pos:
        model["embed_positions.weight"] = torch.randn(settings.max_source_positions + 2, wide)
    else:
        model["embed_positions._float_tensor"] = torch.zeros(1)
    dense = {f"self_attn.{part}_proj": (wide, wide) for part in ("q", "k", "v", "out")}
    dense |= {"fc1": (inner, wide), "fc2": (wide, inner)}
    for layer in range(settings.encoder_layers):
        for name, (rows, columns) in dense.items():
            model[f"layers.{layer}.{name}.weight"] = torch.randn(rows, columns) / columns**0.5
            model[f"layers.{layer}.{name}.bias"] = 0.1 * torch.randn(rows)
        for name in ("self_attn_layer_norm", "final_layer_norm"):
            model |= _norm(f"layers.{layer}.{name}", wide)
    if final:
        model |= _norm("layer_norm", wide)
    model = {prefix + name: tensor for name, tensor in model.items()}
    if prefix:
        model |= {"decoder.version": torch.tensor([3.0]), "decoder.layers.0.fc1.weight": torch.randn(1, 1)}
    torch.save({"args": None, "cfg": {"_name": None, "model": settings}, "model": model}, path)


def _norm(name: str, wide: int) -> dict[str, torch.Tensor]:
    return {f"{name}.weight": 1 + 0.2 * torch.randn(wide), f"{name}.bias": 0.2 * torch.randn(wide)}


def laser2_files(directory: Path, **options: int) -> LaserFiles:
    """All files of a small LASER2 in a directory."""
    pieces = write_tokenizer(directory)
    write_laser2(directory / "laser2.pt", pieces, **options)
    return LaserFiles(directory / "laser2.pt", directory / "laser2.spm", directory / "laser2.cvocab")


def laser3_files(directory: Path, settings: Namespace, *, prefix: str = "encoder.", final: bool = True) -> LaserFiles:
    """All files of a small LASER3 student in a directory."""
    symbols = 4 + len(write_tokenizer(directory)) + final
    checkpoint = directory / "laser3-wol_Latn.v1.pt"
    write_laser3(checkpoint, symbols, settings, prefix=prefix, final=final)
    return LaserFiles(checkpoint, directory / "laser2.spm", directory / "laser2.cvocab")


def small(dims: int, max_tokens: int) -> Preset:
    return replace(preset("laser3-wol_latn"), dims=dims, max_tokens=max_tokens)


def changed(path: Path, **changes: Any) -> None:
    with torch.serialization.safe_globals([Namespace]):
        torch.save({**torch.load(path, weights_only=True), **changes}, path)
