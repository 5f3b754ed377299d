"""Sentence-transformers models of a few thousand random weights, with tokenizers trained on the spot, saved as the hub
has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bitextmine.encoders.parity_sentences import PARITY_SENTENCES

WIDTH = 32
_MARKS = {"bert": ("[CLS]", "[SEP]"), "roberta": ("<s>", "</s>")}


def wordpiece(directory: Path, max_tokens: int = 64) -> int:
    """A BERT-like tokenizer; its size."""
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    model = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    model.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=False)
    model.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = tokenizers.trainers.WordPieceTrainer(vocab_size=700, special_tokens=special, show_progress=False)
    model.train_from_iterator(PARITY_SENTENCES, trainer)
    model.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    # State that a training run left behind must not get into the encoder.
    model.enable_padding(length=16)
    model.enable_truncation(5)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=model, model_max_length=max_tokens, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]"
    )
    wrapped.add_special_tokens({"sep_token": "[SEP]", "mask_token": "[MASK]"})
    wrapped.save_pretrained(directory)
    return int(model.get_vocab_size())


def unigram(directory: Path, max_tokens: int | None = 64, *, marks: str = "<s> $A </s>") -> int:
    """An XLM-R-like tokenizer with some template of marks; its size."""
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    model = tokenizers.Tokenizer(tokenizers.models.Unigram())
    model.normalizer = tokenizers.normalizers.NFKC()
    model.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = tokenizers.trainers.UnigramTrainer(
        vocab_size=700, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    model.train_from_iterator(PARITY_SENTENCES, trainer)
    if marks:
        pairs = [("<s>", 0), ("</s>", 2)]
        model.post_processor = tokenizers.processors.TemplateProcessing(single=marks, special_tokens=pairs)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=model,
        **({} if max_tokens is None else {"model_max_length": max_tokens}),
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
    )
    wrapped.save_pretrained(directory)
    return int(model.get_vocab_size())


def plain(directory: Path, kind: str, tokens: Callable[[Path], int], **settings: Any) -> Path:
    """A transformers model with random weights: `kind` as in BertModel, in a new directory."""
    import torch
    import transformers

    directory.mkdir(parents=True)
    sizes: dict[str, Any] = {"vocab_size": tokens(directory)}
    if kind == "DistilBert":
        sizes |= {"dim": WIDTH, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
    else:
        sizes |= {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    config = getattr(transformers, f"{kind}Config")(**{**sizes, "initializer_range": 0.3, **settings})
    torch.set_num_threads(1)  # so little work is done sooner by one, above all where cores are busy
    torch.manual_seed(len(kind))
    getattr(transformers, f"{kind}Model")(config).save_pretrained(directory)
    return directory


def sentence_model(directory: Path, *modules: Any, prompts: dict[str, str] | None = None, default: str = "") -> Path:
    """Save a SentenceTransformer of modules: the first a directory made by `plain`; a path that holds modules.json."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Transformer

    first, *rest = modules
    model = SentenceTransformer(
        modules=[Transformer(str(first)), *rest], device="cpu", prompts=prompts, default_prompt_name=default or None
    )
    model.save_pretrained(str(directory), create_model_card=False)
    return directory


def labse_like(directory: Path) -> Path:
    """As LaBSE: BERT, the first token, a dense layer with tanh, length 1."""
    import torch
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling

    bert = plain(directory / "plain", "Bert", wordpiece, max_position_embeddings=64)
    dense = Dense(WIDTH, WIDTH, activation_function=torch.nn.Tanh())
    return sentence_model(directory / "model", bert, Pooling(WIDTH, "cls"), dense, Normalize())


def as_published(directory: Path) -> Path:
    """A small LaBSE with all that stands beside a model on the hub and is not fetched."""
    model = labse_like(directory)
    (model / "README.md").write_text("---\nlanguage: [de]\nlicense: apache-2.0\n---\n# A model\n")
    (model / "pytorch_model.bin").write_bytes(b"a pickle, beside the safetensors")
    (model / "onnx").mkdir()
    (model / "onnx" / "config.json").write_text("{}")
    return model
