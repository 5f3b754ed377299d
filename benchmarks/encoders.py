"""Sentences a second on one core: sentence-transformers' own fp32 against this project's fp32 and int8.

Protocol: models of the size and shape of LaBSE (12 layers, 768, 501,153 tokens; first token, dense layer with tanh)
and of paraphrase-multilingual-MiniLM-L12-v2 (12 layers, 384, 250,037 tokens; mean) with random weights, built on the
spot with transformers and sentence-transformers, exported and quantised as `bitextmine encoders` does it. Sentences
of random words, 10 to 40 tokens each with their marks. The process is bound to one core, every library to one thread.
sentence-transformers' `encode` sorts by length and is left at its defaults. All are warm (64 sentences) before the
clock starts; then each encodes the same sentences in turn, tokenising included, `--rounds` times; medians. With
`--processor-time` the clock is the process's processor time, which is the same on a quiet machine and fair on one that
does other work.

`cosine`: to sentence-transformers' vectors, mean and lowest. `alone_in_batch`: the most that a component of a vector
differs when its sentence is encoded alone, and in a batch of sentences of all lengths. For the smaller model the same
is measured of ONNX Runtime's own dynamic quantisation. Encoders that are installed (muse, e5-small) encode the text
given (or their reference sentences) in every precision installed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from signature import signature, write

from bitextmine.encoders import Encoder, installed, open_encoder
from bitextmine.encoders.card import MODEL, EncoderCard, Precision, TokenizerKind, hash_files, write_card
from bitextmine.encoders.export import ExportRequest, export_model
from bitextmine.encoders.precision import add_precision
from bitextmine.encoders.verify import load_references
from bitextmine.resources import Device, Provider
from bitextmine.workspace import default_encoders_dir

SHORTEST, LONGEST = 10, 40  # tokens
MIXED = 16  # rows of the batch that a vector alone is compared with
CPU = Device(provider=Provider.CPU)
ENCODERS = ("muse", "e5-small")
Clock = Callable[[], float]
Encode = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True)
class Size:
    width: int
    between: int
    vocabulary: int
    dense: bool  # first token, dense layer and tanh; else the mean
    layers: int = 12
    heads: int = 12


SIZES = {
    "LaBSE-sized": Size(768, 3072, 501_153, dense=True),
    "MiniLM-sized": Size(384, 1536, 250_037, dense=False),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", choices=SIZES, default=list(SIZES))
    parser.add_argument("--sentences", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processor-time", action="store_true")
    parser.add_argument("--text", type=Path, help="one sentence a line, for the installed encoders")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    clock = time.process_time if arguments.processor_time else time.perf_counter
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    runs = []
    for name in arguments.models:
        with tempfile.TemporaryDirectory() as directory:
            runs += measure_size(name, Path(directory), arguments.sentences, arguments.rounds, clock)
    runs += measure_installed(arguments.text, arguments.rounds, clock)
    parameters = {"sentences": arguments.sentences, "rounds": arguments.rounds, "tokens": [SHORTEST, LONGEST]}
    parameters["processor_time"] = arguments.processor_time
    write(arguments.json, signature(**parameters), runs)


def measure_size(name: str, directory: Path, count: int, rounds: int, clock: Clock) -> list[dict[str, Any]]:
    import torch

    torch.set_num_threads(1)
    size = SIZES[name]
    original = build(size, directory / "original")
    encoder = exported(name, directory / "original", directory / "encoder")
    add_precision(encoder.directory, Precision.INT8, report=lambda line: None)
    candidates: dict[str, Encode] = {
        "sentence-transformers fp32": lambda texts: np.asarray(original.encode(list(texts), show_progress_bar=False)),
        "bitextmine fp32": opened(encoder, Precision.FP32).encode,
        "bitextmine int8": opened(encoder, Precision.INT8).encode,
    }
    ours = {"bitextmine fp32": opened(encoder, Precision.FP32), "bitextmine int8": opened(encoder, Precision.INT8)}
    if not size.dense:
        ours["dynamic int8"] = dynamic(encoder, directory / "dynamic")
        candidates["dynamic int8"] = ours["dynamic int8"].encode
    texts = random_sentences(count, size.vocabulary)
    seconds, vectors = timed(candidates, texts, rounds, clock)
    expected = vectors["sentence-transformers fp32"]
    runs = []
    for way, found in vectors.items():
        run = {"model": name, "way": way, "sentences_per_second": round(count / seconds[way], 1)}
        run["times"] = round(seconds["sentence-transformers fp32"] / seconds[way], 2)
        cosines = (found * expected).sum(axis=1)
        run |= {"mean_cosine": float(cosines.mean()), "min_cosine": float(cosines.min())}
        if way in ours:
            run["alone_in_batch"] = alone_in_batch(ours[way], texts[: 4 * MIXED])
        runs.append(run)
        show(run)
    return runs


def timed(
    candidates: dict[str, Encode], texts: Sequence[str], rounds: int, clock: Clock
) -> tuple[dict[str, float], dict[str, NDArray[np.float32]]]:
    """The median seconds of each, measured in turn, and the vectors."""
    for encode in candidates.values():
        encode(texts[:64])
    times: dict[str, list[float]] = {way: [] for way in candidates}
    vectors = {}
    for _ in range(rounds):
        for way, encode in candidates.items():
            started = clock()
            vectors[way] = encode(texts)
            times[way].append(clock() - started)
    return {way: statistics.median(each) for way, each in times.items()}, vectors


def alone_in_batch(encoder: Encoder, texts: Sequence[str]) -> float:
    alone = np.concatenate([encoder.encode_batch([text]) for text in texts])
    starts = range(0, len(texts), MIXED)
    mixed = np.concatenate([encoder.encode_batch(texts[start : start + MIXED]) for start in starts])
    return float(np.abs(alone - mixed).max())


def random_sentences(count: int, vocabulary: int) -> list[str]:
    random = np.random.default_rng(17)
    lengths = random.integers(SHORTEST - 2, LONGEST - 2, count, endpoint=True)  # two marks each
    return [" ".join(f"w{word}" for word in random.integers(0, vocabulary - 5, length)) for length in lengths]


def build(size: Size, directory: Path) -> Any:
    """A SentenceTransformer with random weights, saved as the hub has them and loaded again."""
    import tokenizers
    import torch
    import transformers
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = {word: row for row, word in enumerate([*marks, *(f"w{n}" for n in range(size.vocabulary - len(marks)))])}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    model.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), marks, strict=True))
    plain = directory.parent / "plain"
    transformers.PreTrainedTokenizerFast(tokenizer_object=model, model_max_length=256, **names).save_pretrained(plain)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=size.between,
    )
    transformers.BertModel(config).save_pretrained(plain)
    modules = [Transformer(str(plain)), Pooling(size.width, "cls" if size.dense else "mean")]
    if size.dense:
        modules.append(Dense(size.width, size.width, activation_function=torch.nn.Tanh()))
    SentenceTransformer(modules=[*modules, Normalize()], device="cpu").save(str(directory))
    return SentenceTransformer(str(directory), device="cpu", model_kwargs={"dtype": torch.float32})


def exported(name: str, source: Path, target: Path) -> Encoder:
    target.mkdir()
    made = export_model(source, target, ExportRequest(name))
    card = EncoderCard(
        name=name.lower(),
        dims=made.dims,
        languages=(),
        prefix=made.prefix,
        max_tokens=made.max_tokens,
        pooling=made.pooling,
        tokenizer=TokenizerKind.HUGGINGFACE,
        licence="none",
        source="random",
        files=hash_files(target),
    )
    write_card(card, target)
    return Encoder.open(target, threads=1, device=CPU)


def dynamic(encoder: Encoder, directory: Path) -> Encoder:
    """The encoder as ONNX Runtime's own dynamic quantisation makes it: one scale for the activations of a batch."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    directory.mkdir()
    for name in encoder.card.tokenizer.files:
        (directory / name).symlink_to(encoder.directory / name)
    quantize_dynamic(
        encoder.directory / MODEL, directory / MODEL, per_channel=True, weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul", "Gather"],
    )  # fmt: skip
    write_card(encoder.card.model_copy(update={"files": hash_files(directory), "quality": {}}), directory)
    return Encoder.open(directory, threads=1, device=CPU)


def opened(encoder: Encoder, precision: Precision) -> Encoder:
    return Encoder.open(encoder.directory, threads=1, precision=precision, device=CPU)


def measure_installed(text: Path | None, rounds: int, clock: Clock) -> list[dict[str, Any]]:
    """Sentences a second of the encoders that are installed, at every precision, and cosines to fp32."""
    runs = []
    place = default_encoders_dir()
    for card in installed(place):
        if card.name not in ENCODERS:
            continue
        references = load_references(card.name).sentences
        texts = text.read_text(encoding="utf-8").splitlines() if text else [each.text for each in references] * 20
        ways = {each: open_encoder(card.name, place, threads=1, device=CPU, precision=each) for each in card.precisions}
        seconds, vectors = timed({each.value: ways[each].encode for each in ways}, texts, rounds, clock)
        for precision, encoder in ways.items():
            cosines = (vectors[precision.value] * vectors[Precision.FP32.value]).sum(axis=1)
            run = {
                "model": card.name,
                "way": f"bitextmine {precision.value}",
                "sentences_per_second": round(len(texts) / seconds[precision.value], 1),
                "times": round(seconds[Precision.FP32.value] / seconds[precision.value], 2),
                "mean_cosine": float(cosines.mean()),
                "min_cosine": float(cosines.min()),
                "alone_in_batch": alone_in_batch(encoder, texts[: 2 * MIXED]),
            }
            runs.append(run)
            show(run)
    return runs


def show(run: dict[str, Any]) -> None:
    batch = f"{run['alone_in_batch']:.1e}" if "alone_in_batch" in run else "-"
    print(
        f"{run['model']:<13} {run['way']:<27} {run['sentences_per_second']:>8,.1f}/s {run['times']:>5.2f}x  "
        f"cosine {run['mean_cosine']:.5f} lowest {run['min_cosine']:.5f}  alone/batch {batch}",
        flush=True,
    )


if __name__ == "__main__":
    main()
