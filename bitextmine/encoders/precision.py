"""Put an installed encoder into another precision, measure what that costs, and publish it beside the fp32 graph."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from bitextmine.artifacts import write_atomically
from bitextmine.encoders.card import EncoderCard, Precision, hash_files, load_card, write_card
from bitextmine.encoders.encoder import Encoder
from bitextmine.encoders.half import half_graph
from bitextmine.encoders.parity_sentences import PARITY_SENTENCES
from bitextmine.encoders.products import measured_magnitudes
from bitextmine.encoders.quantize import quantize_graph
from bitextmine.encoders.verify import load_references
from bitextmine.errors import EncoderError, ParameterError, disk_full_named
from bitextmine.files import fsync, locked
from bitextmine.resources import Device, Provider

MEAN_COSINE_BOUND = 0.99
_STAGING_PREFIX = ".precision-"
_ROWS = 8  # of a batch whose sentences are of all lengths, so that most of it is padding
_INLINE_BYTES = 1_500_000_000  # a protobuf ends at 2 GiB; larger weights go into a file beside it

Judge = Callable[[Encoder], float]
Quality = dict[str, float]


def add_precision(
    directory: Path, precision: Precision, *, report: Callable[[str], None], judge: Judge | None = None
) -> Quality:
    """Write an encoder's graph in another precision, unless it is there and intact, and record its quality.

    The new graph is measured before anything is published; its file comes first and the card that names it second, so
    a crash at any moment leaves the encoder as it was. Safe for many processes.

    Args:
        directory: of an encoder that is installed in fp32.
        precision: int8 or fp16.
        report: told, in one line each, what is going on.
        judge: a figure of merit in percent, such as accuracy on Tatoeba, taken of both precisions.

    Returns:
        What the card records: `mean_cosine` and `min_cosine` to fp32, over sentences of many languages encoded alone;
        `batch_difference`, the most that a component of a vector differs between alone and in a batch; `bytes` and
        `fp32_bytes` of the graphs; `sentences_per_second` and `fp32_sentences_per_second`, one thread, here; and of
        the judge `tatoeba` and `fp32_tatoeba`.

    Raises:
        EncoderError: the encoder is damaged, its graph cannot be rewritten, or its directory is not writable; or the
            mean cosine to fp32 is below 0.99 (code precision-too-inaccurate): nothing was published.
        ParameterError: the precision is fp32, or the encoder is not installed in fp32 (code precision-not-installed).
        DiskFullError: no room; nothing was published.
    """
    if precision is Precision.FP32:
        raise ParameterError("fp32 is what other precisions are made from; choose int8 or fp16")
    load_card(directory)  # there is an encoder, and a directory to lock
    try:
        with disk_full_named(f"{precision.file} of {directory}"), locked(directory, wait=True):
            card = load_card(directory)
            if _intact(card, directory, precision) and judge is None:
                report(f"{card.name} is installed as {precision.value} already")
                return card.quality[precision]
            with _staging(directory) as staging:
                quality = _make(card, directory, staging, precision, report, judge)
                _publish(card, directory, staging, precision, quality)
    except PermissionError as error:
        raise EncoderError(f"{precision.file} cannot be written into {directory}: {error.strerror}") from error
    report(f"installed in {directory / precision.file}")
    return quality


def write_graph(model: onnx.ModelProto, path: Path) -> None:
    """Write a graph, with its weights in `<name>.data` beside it where they are too large for one file.

    The same graph gives the same bytes.

    Raises:
        DiskFullError: no room.
    """
    if sum(len(tensor.raw_data) for tensor in model.graph.initializer) > _INLINE_BYTES:
        onnx.save_model(model, path, save_as_external_data=True, location=f"{path.name}.data")
    else:
        write_atomically(path, model.SerializeToString(deterministic=True))


def _make(
    card: EncoderCard,
    directory: Path,
    staging: Path,
    precision: Precision,
    report: Callable[[str], None],
    judge: Judge | None,
) -> Quality:
    """The graph in staging, and its quality.

    Raises:
        EncoderError: it is too inaccurate, or the original is damaged or cannot be rewritten.
    """
    original = _fp32(card, directory, _device(precision))
    original.check()
    report(f"rewriting the graph of {card.name} as {precision.value}")
    write_graph(_rewritten(original, precision, staging), staging / precision.file)
    for name in card.tokenizer.files:
        (staging / name).symlink_to((directory / name).resolve())
    candidate_card = card.model_copy(update={"files": hash_files(staging), "quality": {}})
    candidate = Encoder(candidate_card, staging, threads=1, precision=precision, device=_device(precision))
    report("comparing it with fp32")
    quality = _compared(original, candidate)
    if not quality["mean_cosine"] >= MEAN_COSINE_BOUND:
        raise EncoderError(
            f"{card.name} as {precision.value} is too far from fp32: mean cosine {quality['mean_cosine']:.4f}, "
            f"{MEAN_COSINE_BOUND} is needed; it was not published",
            code="precision-too-inaccurate",
        )
    for prefix, encoder in (("fp32_", original), ("", candidate)):
        quality[f"{prefix}bytes"] = float(_graph_bytes(encoder))
        if judge is not None:
            quality[f"{prefix}tatoeba"] = judge(encoder)
    return quality


def _fp32(card: EncoderCard, directory: Path, device: Device) -> Encoder:
    """The encoder in fp32, with a card of that alone: whether other graphs are damaged does not matter here."""
    encoder = Encoder(card, directory, precision=Precision.FP32)
    files = {name: card.files[name] for name in encoder.card.files_of(Precision.FP32)}
    alone = card.model_copy(update={"files": files})
    return Encoder(alone, directory, threads=1, precision=Precision.FP32, device=device)


def _rewritten(original: Encoder, precision: Precision, staging: Path) -> onnx.ModelProto:
    path = original.directory / Precision.FP32.file
    model = onnx.load(path)
    if precision is Precision.FP16:
        products = half_graph(model)
    else:
        tokens = original.tokenize([sentence.text for sentence in load_references("muse").sentences])
        batches = (tokens.padded(np.array([row])) for row in range(len(tokens.lengths)))
        products = quantize_graph(model, measured_magnitudes(path, model, batches, staging))
    if products == 0:
        message = f"the graph of {original.name} has no product with a constant matrix, which {precision.value} is for"
        raise EncoderError(message)
    return model


def _compared(original: Encoder, candidate: Encoder) -> Quality:
    expected, _, expected_rate = _measured(original)
    found, batch_difference, rate = _measured(candidate)
    lengths = np.linalg.norm(expected, axis=1) * np.linalg.norm(found, axis=1)
    cosines = (expected * found).sum(axis=1) / np.maximum(lengths, 1e-12)
    return {
        "mean_cosine": float(cosines.mean()),
        "min_cosine": float(cosines.min()),
        "batch_difference": batch_difference,
        "sentences_per_second": rate,
        "fp32_sentences_per_second": expected_rate,
    }


def _measured(encoder: Encoder) -> tuple[NDArray[np.float32], float, float]:
    """Vectors of sentences encoded alone; the most that they differ from those in batches; sentences a second."""
    sentences = [sentence for sentence in PARITY_SENTENCES if sentence]
    alone = np.concatenate([encoder.encode_batch([sentence]) for sentence in sentences])
    starts = range(0, len(sentences), _ROWS)
    mixed = np.concatenate([encoder.encode_batch(sentences[start : start + _ROWS]) for start in starts])
    started = time.perf_counter()
    by_length = encoder.encode(sentences)
    rate = len(sentences) / (time.perf_counter() - started)
    difference = max(np.abs(mixed - alone).max(), np.abs(by_length - alone).max())
    return alone, float(difference), rate


def _graph_bytes(encoder: Encoder) -> int:
    files = set(encoder.card.files_of(encoder.precision)) - set(encoder.card.tokenizer.files)
    return sum((encoder.directory / name).stat().st_size for name in files)


def _device(precision: Precision) -> Device:
    """Where a precision is meant to run: fp16 on a GPU if there is one."""
    return Device() if precision is Precision.FP16 else Device(provider=Provider.CPU)


def _intact(card: EncoderCard, directory: Path, precision: Precision) -> bool:
    if precision not in card.precisions or precision not in card.quality:
        return False
    try:
        Encoder(card, directory, precision=precision).check()
    except EncoderError:
        return False
    return True


def _publish(card: EncoderCard, directory: Path, staging: Path, precision: Precision, quality: Quality) -> None:
    """Put the files in their place, then the card that names them; the old ones are forgotten before that."""
    ours = {precision.file, f"{precision.file}.data"}
    others = {name: digest for name, digest in card.files.items() if name not in ours}
    qualities = {other: known for other, known in card.quality.items() if other is not precision}
    if others.keys() != card.files.keys():
        write_card(card.model_copy(update={"files": others, "quality": qualities}), directory)
    new = {name: digest for name, digest in hash_files(staging).items() if name in ours}
    for name in new:
        (staging / name).chmod(0o644)
        fsync(staging / name)
        (staging / name).replace(directory / name)
    fsync(directory)
    updated = {"files": {**others, **new}, "quality": {**qualities, precision: quality}}
    write_card(card.model_copy(update=updated), directory)


@contextmanager
def _staging(directory: Path) -> Iterator[Path]:
    """A directory within the encoder's. Called under its lock, so that any other one was left by a dead process."""
    for left in directory.glob(f"{_STAGING_PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix=_STAGING_PREFIX, dir=directory))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
