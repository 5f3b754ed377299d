"""LASER2 and LASER3 as encoders: the published checkpoints rebuilt in torch, exported, and compared.

LASER2 is a BiLSTM whose states are max-pooled; LASER3 are transformers, one a language, whose vectors were trained to
be those of LASER2. Neither needs fairseq.

Sources: Artetxe & Schwenk 2019, Massively Multilingual Sentence Embeddings for Zero-Shot Cross-Lingual Transfer and
Beyond; Heffernan et al. 2022, Bitext Mining Using Distilled Sentence Representations for Low-Resource Languages.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitextmine.artifacts import write_atomically
from bitextmine.encoders.card import MODEL, REFERENCES, SENTENCEPIECE_MODEL, VOCABULARY, Parity
from bitextmine.encoders.download import download
from bitextmine.encoders.export import check_export_installed
from bitextmine.encoders.laser_checkpoint import read_checkpoint
from bitextmine.encoders.laser_graph import laser_graph
from bitextmine.encoders.laser_tokenizer import LaserTokenizer, vocabulary_file
from bitextmine.encoders.laser_torch import Encode, torch_encoder
from bitextmine.encoders.parity import Original, check_parity, references
from bitextmine.encoders.parity_sentences import PARITY_SENTENCES
from bitextmine.encoders.presets import LaserSource, Preset
from bitextmine.encoders.runtime import Graph
from bitextmine.encoders.tokenizer import Tokens
from bitextmine.errors import EncoderError, NotFoundError
from bitextmine.files import file_sha256

_ROWS = 8  # of a batch that is compared


@dataclass(frozen=True, slots=True)
class LaserFiles:
    """A LASER encoder as it was published. The vocabulary may be missing where the checkpoint has its own."""

    checkpoint: Path
    tokenizer: Path
    vocabulary: Path | None


def install_laser(
    chosen: Preset, source: LaserSource, local: Path | None, directory: Path, report: Callable[[str], None]
) -> tuple[str, Parity]:
    """Write the graph, the tokenizer and the vocabulary of a preset into an empty directory two below the encoders'.

    Args:
        chosen: the preset.
        source: its source.
        local: a directory with the published files; without one they are fetched into `.downloads` beside the encoders,
            where an attempt that fails leaves what has arrived to the next.
        directory: `<encoders>/<staging>/<name>`.
        report: told, in one line each, what is going on.

    Returns:
        Where it came from, in words with the files' sha256, and how close the graph is to the network in torch.

    Raises:
        EncoderError: as `build_laser`; or the files cannot be fetched (code encoder-download-failed).
        NotFoundError: `local` lacks a file.
    """
    check_export_installed()
    downloads = directory.parent.parent / ".downloads" / chosen.name
    files = _fetched(chosen.name, source, downloads, report) if local is None else _local_files(source, local)
    try:
        parity = build_laser(files, directory, chosen, report=report)
    except EncoderError:
        _discard(downloads)  # a file among them may be wrong: the next attempt fetches all anew
        raise
    used = [files.checkpoint, files.tokenizer, *([files.vocabulary] if files.vocabulary else [])]
    origin = f"from {source.base_url}" if local is None else "given as files"
    words = f"{', '.join(f'{path.name} (sha256 {file_sha256(path)})' for path in used)} {origin}, rebuilt"
    _discard(downloads)
    return words, parity


def build_laser(files: LaserFiles, directory: Path, chosen: Preset, *, report: Callable[[str], None]) -> Parity:
    """Write the graph, the tokenizer's two files and `references.json`, and compare with the network in torch.

    Args:
        files: the published files.
        directory: exists; where to write.
        chosen: what they shall be: its name, its dims, and the most tokens of a sentence with its end mark.
        report: told, in one line each, what is going on.

    Raises:
        EncoderError: torch is missing (code export-not-installed); the files are not LASER's, or do not belong
            together; the checkpoint would run code or is of another network (code export-unsupported); the graph's
            vectors are not those of the network, or depend on their batch (code export-mismatch).
        DiskFullError: no room.
    """
    check_export_installed()
    report(f"rebuilding {files.checkpoint.name}")
    checkpoint = read_checkpoint(files.checkpoint, files.vocabulary)
    if (dims := checkpoint.shape.dims) != chosen.dims:
        message = f"{files.checkpoint.name} has {dims} dims, {chosen.dims} are expected: it is another model"
        raise EncoderError(message, code="export-mismatch")
    encode = torch_encoder(checkpoint)
    vocabulary = vocabulary_file(checkpoint.symbols)
    model = files.tokenizer.read_bytes()
    tokenizer = LaserTokenizer(model, vocabulary, prefix="", max_tokens=chosen.max_tokens, threads=1)
    write_atomically(directory / MODEL, laser_graph(checkpoint, chosen.max_tokens))
    write_atomically(directory / SENTENCEPIECE_MODEL, model)
    write_atomically(directory / VOCABULARY, vocabulary)
    original = _original(encode, tokenizer, type(checkpoint.shape).__name__.removesuffix("Shape").lower())
    parity = _measured(original, tokenizer, Graph(directory / MODEL, dims=dims, name="the rebuilt model"))
    check_parity(parity)
    write_atomically(directory / REFERENCES, references(original, chosen.name).model_dump_json(indent=1).encode())
    report(
        f"compared with {parity.reference} on {parity.sentences} sentences: differs by at most "
        f"{parity.max_difference:.1e}; alone and in a batch by at most {parity.batch_difference:.1e}"
    )
    return parity


def _original(encode: Encode, tokenizer: LaserTokenizer, kind: str) -> Original:
    """What torch makes of the sentences that exports are compared on."""
    import torch

    tokens = tokenizer(PARITY_SENTENCES)
    ids = [tokens.ids[start : start + n].tolist() for start, n in zip(tokens.starts, tokens.lengths, strict=True)]
    alone, together = (_in_batches(encode, tokens, rows) for rows in (1, _ROWS))
    return Original(PARITY_SENTENCES, tuple(ids), alone, together, f"its {kind} in torch {torch.__version__}, fp32")


def _measured(original: Original, tokenizer: LaserTokenizer, graph: Graph) -> Parity:
    """Compare the graph with torch: each sentence alone, and in batches of all lengths."""
    tokens = tokenizer(original.sentences)
    alone, together = (_in_batches(graph.run, tokens, rows) for rows in (1, _ROWS))
    differences = np.abs(np.stack([alone - original.alone, together - original.together]))
    return Parity(
        sentences=len(original.sentences),
        max_difference=float(differences.max()),
        mean_difference=float(differences.mean()),
        batch_difference=float(np.abs(alone - together).max()),
        reference=original.reference,
    )


def _in_batches(run: Encode, tokens: Tokens, rows: int) -> NDArray[np.float32]:
    every = np.arange(len(tokens.lengths))
    return np.concatenate([run(*tokens.padded(every[start : start + rows])) for start in every[::rows]])


def _fetched(name: str, source: LaserSource, downloads: Path, report: Callable[[str], None]) -> LaserFiles:
    """
    Raises:
        EncoderError: `encoder-download-failed`, with what to do by hand.
    """
    downloads.mkdir(parents=True, exist_ok=True)
    try:
        for file in source.files:
            if not (downloads / file).is_file():
                download(f"{source.base_url}/{file}", downloads / file, report)
    except EncoderError as error:
        if not any(downloads.iterdir()):
            _discard(downloads)
        raise EncoderError(f"{error}. {_manual_steps(name, source)}", code=error.code) from error
    return LaserFiles(*(downloads / file for file in source.files))


def _manual_steps(name: str, source: LaserSource) -> str:
    return (
        f"By hand: on a machine with a network fetch {', '.join(source.files)} from {source.base_url}/, copy them into "
        f"a directory here, and run `bitextmine encoders pull {name} --from DIRECTORY`"
    )


def _local_files(source: LaserSource, directory: Path) -> LaserFiles:
    """The published files in a directory. A student's own tokenizer is preferred, whether or not one is known of.

    Raises:
        NotFoundError: the directory, the checkpoint or the tokenizer is not there.
    """
    checkpoint = directory / source.checkpoint
    own = checkpoint.with_suffix("")
    tokenizer = _existing(directory / f"{own.name}.spm", directory / source.tokenizer)
    vocabulary = _existing(tokenizer.with_suffix(".cvocab"), directory / source.vocabulary)
    for path in (checkpoint, tokenizer):
        if not path.is_file():
            raise NotFoundError(f"{directory} lacks {path.name}; needed are {', '.join(source.files)}")
    return LaserFiles(checkpoint, tokenizer, vocabulary if vocabulary.is_file() else None)


def _existing(wanted: Path, other: Path) -> Path:
    return wanted if wanted.is_file() else other


def _discard(downloads: Path) -> None:
    """Remove what was fetched for one encoder, and the directory of all such when it is empty."""
    shutil.rmtree(downloads, ignore_errors=True)
    with suppress(OSError):  # not there, or not empty
        downloads.parent.rmdir()
