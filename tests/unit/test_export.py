"""The exported graph is the model, whatever its architecture."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from bitextmine.encoders import Encoder, sentence_graph, verify
from bitextmine.encoders.card import MODEL, EncoderCard, TokenizerKind, hash_files, write_card
from bitextmine.encoders.export import Exported, ExportRequest, export_model
from bitextmine.encoders.model_directory import Pooling
from bitextmine.encoders.parity_sentences import PARITY_SENTENCES
from bitextmine.errors import EncoderError
from tests.tiny_models import WIDTH, labse_like, plain, sentence_model, unigram, wordpiece

# None of these is among the sentences that the export itself compares.
SENTENCES = [
    "",
    "The kettle boils.",
    "🦉",
    "Der Kessel kocht, und niemand nimmt ihn weg.",
    "الإبريق يغلي.",
    "壺の湯が沸いている。",
    "กาน้ำเดือดแล้ว",
    "the kettle boils again " * 60,
]


def _xlmr_mean(directory: Path) -> Path:
    from sentence_transformers.sentence_transformer.modules import Pooling as PoolingModule

    # The table has 66 positions, of which 64 can be used; no file says so.
    tokens = partial(unigram, max_tokens=None)
    first = plain(directory / "plain", "XLMRoberta", tokens, max_position_embeddings=66, pad_token_id=1)
    return sentence_model(directory / "model", first, PoolingModule(WIDTH, "mean"))


def _dense(directory: Path, kind: str, tokens: Callable[[Path], int], **settings: Any) -> Path:
    """As distiluse: the mean of a MPNet's or DistilBERT's tokens, a dense layer to fewer dims with tanh."""
    import torch
    from sentence_transformers.sentence_transformer.modules import Dense
    from sentence_transformers.sentence_transformer.modules import Pooling as PoolingModule

    first = plain(directory / "plain", kind, tokens, **settings)
    dense = Dense(WIDTH, 16, activation_function=torch.nn.Tanh())
    return sentence_model(directory / "model", first, PoolingModule(WIDTH, "mean"), dense)


def _cls(directory: Path) -> Path:
    from sentence_transformers.sentence_transformer.modules import Normalize
    from sentence_transformers.sentence_transformer.modules import Pooling as PoolingModule

    first = plain(directory / "plain", "XLMRoberta", unigram, max_position_embeddings=66, pad_token_id=1)
    return sentence_model(directory / "model", first, PoolingModule(WIDTH, "cls"), Normalize())


def _weighted_mean(directory: Path) -> Path:
    """As SGPT: a causal model; its tokenizer has no marks, so that an empty sentence has no token."""
    from sentence_transformers.sentence_transformer.modules import Pooling as PoolingModule

    first = plain(directory / "plain", "GPTNeoX", partial(unigram, marks=""), bos_token_id=0, eos_token_id=2)
    return sentence_model(directory / "model", first, PoolingModule(WIDTH, "weightedmean"))


def _last_token(directory: Path) -> Path:
    """As the causal embedding models: the end mark's vector, with an instruction before every sentence."""
    from sentence_transformers.sentence_transformer.modules import Normalize
    from sentence_transformers.sentence_transformer.modules import Pooling as PoolingModule

    tokens = partial(unigram, marks="$A </s>")
    first = plain(directory / "plain", "Qwen2", tokens, num_key_value_heads=2, bos_token_id=0, eos_token_id=2)
    modules = (first, PoolingModule(WIDTH, "lasttoken"), Normalize())
    prompts = {"translate": "Find the translation: ", "document": ""}
    return sentence_model(directory / "model", *modules, prompts=prompts, default="translate")


def _prompt_left_out(directory: Path) -> Path:
    """As INSTRUCTOR: the prompt is read, and is not pooled."""
    from sentence_transformers.sentence_transformer.modules import Pooling as PoolingModule

    first = plain(directory / "plain", "Bert", wordpiece, max_position_embeddings=64)
    pooling = PoolingModule(WIDTH, ("mean", "cls", "max", "weightedmean"), include_prompt=False)
    return sentence_model(directory / "model", first, pooling, prompts={"q": "query of the day: "}, default="q")


def _modernbert(directory: Path) -> Path:
    """Every other layer looks at the next few tokens only."""
    from sentence_transformers.sentence_transformer.modules import Pooling as PoolingModule

    marks = {"bos_token_id": 2, "cls_token_id": 2, "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0}
    sizes = {"local_attention": 8, "global_attn_every_n_layers": 2, "max_position_embeddings": 64}
    first = plain(directory / "plain", "ModernBert", wordpiece, **sizes, **marks)
    return sentence_model(directory / "model", first, PoolingModule(WIDTH, "mean_sqrt_len_tokens"))


ARCHITECTURES: dict[str, tuple[Callable[[Path], Path], int, str]] = {
    "labse": (labse_like, WIDTH, ""),
    "xlmr-mean": (_xlmr_mean, WIDTH, ""),
    "mpnet-dense": (
        partial(_dense, kind="MPNet", tokens=unigram, max_position_embeddings=66, pad_token_id=1),
        16,
        "",
    ),
    "distilbert-dense": (partial(_dense, kind="DistilBert", tokens=wordpiece, max_position_embeddings=64), 16, ""),
    "cls": (_cls, WIDTH, ""),
    "weighted-mean": (_weighted_mean, WIDTH, ""),
    "last-token-prompt": (_last_token, WIDTH, "Find the translation: "),
    "prompt-left-out": (_prompt_left_out, 4 * WIDTH, "query of the day: "),
    "modernbert-local": (_modernbert, WIDTH, ""),
}


@pytest.fixture(scope="module")
def labse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labse_like(tmp_path_factory.mktemp("labse"))


def encoder_of(directory: Path, exported: Exported) -> Encoder:
    card = EncoderCard(
        name="exported",
        dims=exported.dims,
        languages=(),
        prefix=exported.prefix,
        max_tokens=exported.max_tokens,
        pooling=exported.pooling,
        tokenizer=TokenizerKind.HUGGINGFACE,
        licence="Apache-2.0",
        source="random, for tests",
        files=hash_files(directory),
        parity=exported.parity,
    )
    write_card(card, directory)
    return Encoder.open(directory, threads=1)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_graph_is_the_model_whatever_its_architecture(name: str, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    build, dims, prefix = ARCHITECTURES[name]
    source, target = build(tmp_path), tmp_path / "encoder"
    target.mkdir()
    exported = export_model(source, target, ExportRequest("exported", dims=dims))
    assert (exported.dims, exported.max_tokens, exported.prefix) == (dims, 64, prefix)
    assert exported.parity.max_difference <= 1e-4
    assert exported.parity.batch_difference <= 1e-5
    assert exported.parity.sentences >= 60
    encoder = encoder_of(target, exported)
    encoding = encoder.encode_counted(SENTENCES)
    np.testing.assert_allclose(np.linalg.norm(encoding.vectors, axis=1), 1, atol=1e-5)
    assert encoding.truncated == 1
    alone = np.concatenate([encoder.encode_batch([sentence]) for sentence in SENTENCES])
    assert np.abs(encoder.encode_batch(SENTENCES) - alone).max() <= 1e-5
    assert np.abs(encoding.vectors - alone).max() <= 1e-5
    original = SentenceTransformer(str(source), device="cpu", local_files_only=True)
    original.max_seq_length = 64
    first = 1 if name == "weighted-mean" else 0  # the original fails on a sentence of no tokens
    expected = original.encode(SENTENCES[first:], normalize_embeddings=True, show_progress_bar=False)
    assert np.abs(encoding.vectors[first:] - expected).max() <= 1e-4
    assert np.abs(expected[-1] @ expected[-2]) < 0.999, "even a random model tells sentences apart"


def test_the_graph_the_tokenizer_and_references_are_written(labse: Path, tmp_path: Path) -> None:
    reports: list[str] = []
    export_model(labse, tmp_path, ExportRequest("exported"), report=reports.append)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "references.json", "tokenizer.json"]
    tokenizer = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    assert (tokenizer["padding"], tokenizer["truncation"]) == (None, None)
    graph = onnx.load(tmp_path / MODEL).graph
    assert [node.name for node in graph.input] == ["input_ids", "attention_mask"]
    assert [node.name for node in graph.output] == ["sentence_embedding"]
    assert re.search(r"differs by at most \d\.\de-0\d", reports[-1])


def test_an_exported_encoder_can_be_verified_later(labse: Path, tmp_path: Path) -> None:
    encoder = encoder_of(tmp_path, export_model(labse, tmp_path, ExportRequest("exported")))
    verification = verify(encoder)
    assert verification.passed
    assert verification.sentences >= 60
    assert verification.min_cosine > 0.9999
    spoilt = onnx.load(tmp_path / MODEL)
    dense = next(tensor for tensor in spoilt.graph.initializer if tensor.dims == [WIDTH])
    dense.CopyFrom(onnx.numpy_helper.from_array(np.full(WIDTH, 3, np.float32), dense.name))
    onnx.save(spoilt, tmp_path / MODEL)
    write_card(encoder.card.model_copy(update={"files": hash_files(tmp_path)}), tmp_path)
    assert not verify(Encoder.open(tmp_path)).passed
    (tmp_path / "references.json").write_text("{}")
    with pytest.raises(EncoderError, match=r"references\.json is damaged"):
        verify(Encoder.open(tmp_path))


def test_large_weights_go_into_a_file_beside_the_graph(
    labse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentence_graph, "EXTERNAL_BYTES", 100_000)
    exported = export_model(labse, tmp_path, ExportRequest("exported"))
    assert (tmp_path / MODEL).stat().st_size < 100_000 < (tmp_path / f"{MODEL}.data").stat().st_size
    encoder = encoder_of(tmp_path, exported)
    assert f"{MODEL}.data" in encoder.card.files
    assert encoder.encode(SENTENCES).shape == (len(SENTENCES), WIDTH)
    content = bytearray((tmp_path / f"{MODEL}.data").read_bytes())
    content[100] ^= 1
    (tmp_path / f"{MODEL}.data").write_bytes(content)
    with pytest.raises(EncoderError, match=r"model\.onnx\.data is damaged"):
        Encoder.open(tmp_path).encode(["x"])


@pytest.mark.parametrize("pooling", [Pooling.POOLER, Pooling.MEAN, Pooling.LAST])
def test_a_plain_model_is_pooled_as_asked(pooling: Pooling, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    source, target = plain(tmp_path / "plain", "Bert", wordpiece, max_position_embeddings=64), tmp_path / "encoder"
    target.mkdir()
    with pytest.raises(EncoderError, match="--pooling") as caught:
        export_model(source, target, ExportRequest("exported"))
    assert caught.value.code == "export-unsupported"
    encoder = encoder_of(target, export_model(source, target, ExportRequest("exported", pooling=pooling)))
    model = AutoModel.from_pretrained(source).eval()
    tokens = AutoTokenizer.from_pretrained(source)(SENTENCES[1], return_tensors="pt")
    with torch.no_grad():
        output = model(input_ids=tokens["input_ids"])
    states = output.last_hidden_state[0]
    expected = {Pooling.POOLER: output.pooler_output[0], Pooling.MEAN: states.mean(0), Pooling.LAST: states[-1]}
    vector = expected[pooling].numpy()
    np.testing.assert_allclose(encoder.encode([SENTENCES[1]])[0], vector / np.linalg.norm(vector), atol=1e-5)


def test_weights_in_several_files_of_half_precision_become_one_graph_of_fp32(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel

    whole, source, target = plain(tmp_path / "whole", "Bert", wordpiece), tmp_path / "source", tmp_path / "encoder"
    shutil.copytree(whole, source, ignore=shutil.ignore_patterns("*.safetensors"))
    AutoModel.from_pretrained(whole).to(torch.bfloat16).save_pretrained(source, max_shard_size="50KB")
    assert len(list(source.glob("*.safetensors"))) > 1
    target.mkdir()
    exported = export_model(source, target, ExportRequest("exported", pooling=Pooling.MEAN))
    assert exported.parity.max_difference <= 1e-4
    kinds = {onnx.TensorProto.DataType.Name(tensor.data_type) for tensor in onnx.load(target / MODEL).graph.initializer}
    assert kinds <= {"FLOAT", "INT64"}
    next(iter(sorted(source.glob("*.safetensors")))).unlink()
    with pytest.raises(EncoderError, match="is missing") as caught:
        export_model(source, target, ExportRequest("exported", pooling=Pooling.MEAN))
    assert caught.value.code == "model-incomplete"


def test_a_model_that_lowers_its_text_has_a_tokenizer_that_does(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling as PoolingModule
    from sentence_transformers.sentence_transformer.modules import Transformer

    first = plain(tmp_path / "plain", "Bert", wordpiece, max_position_embeddings=64)
    modules = [Transformer(str(first), do_lower_case=True), PoolingModule(WIDTH)]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(tmp_path / "model"), create_model_card=False)
    encoder = encoder_of(tmp_path, export_model(tmp_path / "model", tmp_path, ExportRequest("exported")))
    np.testing.assert_array_equal(encoder.encode(["The HARBOUR"]), encoder.encode(["the harbour"]))


def test_a_prefix_can_be_given_in_place_of_the_models_own(labse: Path, tmp_path: Path) -> None:
    targets = [tmp_path / name for name in ("without", "with")]
    for target in targets:
        target.mkdir()
    bare = encoder_of(targets[0], export_model(labse, targets[0], ExportRequest("exported")))
    prefixed = encoder_of(targets[1], export_model(labse, targets[1], ExportRequest("exported", prefix="to: ")))
    np.testing.assert_allclose(prefixed.encode(["night"]), bare.encode(["to: night"]), atol=1e-6)


def test_prompts_of_which_none_is_the_default_are_told_and_not_used(tmp_path: Path) -> None:
    from sentence_transformers.sentence_transformer.modules import Pooling as PoolingModule

    first = plain(tmp_path / "plain", "Bert", wordpiece, max_position_embeddings=64)
    source = sentence_model(tmp_path / "model", first, PoolingModule(WIDTH), prompts={"query": "query: "})
    reports: list[str] = []
    assert export_model(source, tmp_path, ExportRequest("exported"), report=reports.append).prefix == ""
    assert any("query 'query: '" in line and "--prefix" in line for line in reports)


def test_the_sentences_are_of_many_scripts_and_lengths() -> None:
    assert len(PARITY_SENTENCES) == len(set(PARITY_SENTENCES)) >= 60
    assert "" in PARITY_SENTENCES
    assert max(map(len, PARITY_SENTENCES)) > 2500
    letters = "".join(PARITY_SENTENCES)
    for sample in "Жא\u0634\u0928\u0e17\uae30\u5929\u3053\u12e8":
        block = ord(sample) & ~0x7F
        assert any(block <= ord(letter) < block + 0x80 for letter in letters), sample
