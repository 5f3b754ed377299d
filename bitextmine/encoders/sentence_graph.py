"""A sentence-transformers model as one ONNX graph, from token ids to the unit vector.

The transformer runs as transformers wrote it, with plain ("eager") attention: masked scores are the lowest float, so
that padding gets a weight of exactly zero. Pooling is written out here for sentences that are padded at their end;
what follows it (dense layers and the like) is the model's own.
"""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

from bitextmine.encoders.card import MODEL

EXTERNAL_BYTES = 1_500_000_000  # a protobuf ends at 2 GiB; larger weights go into a file beside it
_OPSET = 17
_LEAST_NORM = 1e-12


def write_sentence_graph(model: Any, directory: Path, *, skipped: int = 0) -> None:
    """Write `model.onnx`, and `model.onnx.data` beside it where the weights are large.

    Inputs `input_ids` and `attention_mask`, (batch, length) int64, 1 for tokens and 0 for padding, which is at the
    end; output `sentence_embedding`, (batch, dims) float32, rows of length 1. Both axes are dynamic.

    Args:
        model: a SentenceTransformer of a Transformer, a Pooling and what may follow, in float32 on the CPU.
        skipped: tokens at the beginning that are not pooled: those of a prompt that the model says to leave out.
    """
    import onnx
    import torch

    model[0].auto_model.set_attn_implementation("eager")
    module = _sentence_module(model, skipped).eval()
    mask = torch.ones((2, skipped + 7), dtype=torch.int64)
    mask[1, -2:] = 0
    ids = mask * (torch.arange(mask.shape[1]) % 7 + 1)
    traced = directory / "traced"  # weights over 2 GiB are written as many files
    traced.mkdir()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer; what it got wrong, the comparison with the original shows
        torch.onnx.export(
            module,
            (ids, mask),
            str(traced / MODEL),
            input_names=["input_ids", "attention_mask"],
            output_names=["sentence_embedding"],
            dynamic_axes={
                "input_ids": {0: "batch", 1: "length"},
                "attention_mask": {0: "batch", 1: "length"},
                "sentence_embedding": {0: "batch"},
            },
            opset_version=_OPSET,
            dynamo=False,  # tracing keeps both axes dynamic in every architecture tried, and needs nothing but torch
        )
    size = sum(file.stat().st_size for file in traced.iterdir())
    if size > EXTERNAL_BYTES:
        graph = onnx.load(traced / MODEL)
        shutil.rmtree(traced)  # all is in memory; the disk needs room for one copy only
        onnx.save_model(graph, directory / MODEL, save_as_external_data=True, location=f"{MODEL}.data")
    else:
        (traced / MODEL).rename(directory / MODEL)
        shutil.rmtree(traced)


def _sentence_module(model: Any, skipped: int) -> Any:
    """A torch module of (input_ids, attention_mask) -> unit vectors."""
    import torch

    transformer, pooling, *rest = list(model)
    modes = [pooling.pooling_mode] if isinstance(pooling.pooling_mode, str) else list(pooling.pooling_mode)

    class SentenceModule(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transformer = transformer
            self.rest = torch.nn.ModuleList(rest)

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            features = {"input_ids": input_ids, "attention_mask": attention_mask}
            tokens = self.transformer(features, use_cache=False)["token_embeddings"]
            vectors = torch.cat([_pooled(mode, tokens, attention_mask, skipped) for mode in modes], dim=1)
            for module in self.rest:
                vectors = module({"sentence_embedding": vectors})["sentence_embedding"]
            norm = torch.sqrt((vectors * vectors).sum(dim=1, keepdim=True))
            return vectors / torch.clamp(norm, min=_LEAST_NORM)

    return SentenceModule()


def _pooled(mode: str, tokens: Any, attention_mask: Any, skipped: int) -> Any:
    """(batch, length, dims) to (batch, dims) float32, over the tokens of the mask but the first `skipped`."""
    import torch

    positions = torch.arange(attention_mask.shape[1])
    pooled_tokens = attention_mask * (positions >= skipped).to(attention_mask.dtype)
    mask = pooled_tokens.to(tokens.dtype).unsqueeze(-1)
    if mode == "cls":
        return tokens[:, skipped]
    if mode == "max":
        return torch.where(mask > 0, tokens, torch.tensor(float("-inf"))).amax(dim=1)
    if mode == "lasttoken":
        last = (attention_mask.sum(dim=1) - 1).clamp(min=0).view(-1, 1, 1)
        return torch.gather(tokens, 1, last.expand(-1, 1, tokens.shape[2])).squeeze(1)
    weights = mask * (positions + 1).to(tokens.dtype).view(1, -1, 1) if mode == "weightedmean" else mask
    total = (tokens * weights).sum(dim=1)
    count = torch.clamp(weights.sum(dim=1), min=1e-9)
    return total / (torch.sqrt(count) if mode == "mean_sqrt_len_tokens" else count)
