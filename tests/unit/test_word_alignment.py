"""Word alignment: spans of words in any script, and links by token vectors."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from bitextmine.encoders import open_encoder
from bitextmine.encoders.card import MODEL, hash_files, write_card
from bitextmine.encoders.encoder import Encoder
from bitextmine.encoders.token_vectors import token_vectors
from bitextmine.errors import InputError, ParameterError
from bitextmine.word_alignment import align_words
from bitextmine.workspace import default_encoders_dir
from tests.tiny_encoder import build_tiny_encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return build_tiny_encoder(tmp_path_factory.mktemp("encoders") / "tiny", prefix="query: ")


def linked(encoder: Encoder, src: str, tgt: str) -> set[tuple[str, str]]:
    (found,) = align_words(encoder, [(src, tgt)])
    assert found.links == sorted(set(found.links))
    for words, text in ((found.src_words, src), (found.tgt_words, tgt)):
        assert words == sorted(set(words))
        assert all(0 <= start < stop <= len(text) for start, stop in words)
    return {(src[slice(*found.src_words[i])], tgt[slice(*found.tgt_words[j])]) for i, j in found.links}


def test_words_that_are_each_others_nearest_are_linked(encoder: Encoder) -> None:
    found = linked(encoder, "the old map, the lake and 😀", "😀 lake, old museum")
    assert {("lake", "lake"), ("old", "old"), (",", ",")} <= found
    assert not {("map", "lake"), ("lake", "old"), ("the", "lake")} & found


def test_token_vectors_are_those_that_the_sentence_is_made_of(encoder: Encoder) -> None:
    sentences = ["the old map", "Где вокзал", "地图 x"]
    for sentence, found in zip(sentences, token_vectors(encoder, sentences), strict=True):
        assert found.vectors.shape == (len(found.spans), encoder.dims)
        assert np.allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-5)
        covered = "".join(sentence[slice(*span)] for span in dict.fromkeys(found.spans))
        assert covered.replace(" ", "") == sentence.replace(" ", "")


@pytest.mark.parametrize("text", ["", " ", "\u0301", "x" * 3000, "a\tb", "l'été", "𝒳𝒴", "שלום", "ไทย"])
def test_any_text_has_an_alignment(encoder: Encoder, text: str) -> None:
    linked(encoder, text, text)
    linked(encoder, text, "the old map")
    linked(encoder, "the old map", text)


def test_what_is_no_text_is_refused(encoder: Encoder) -> None:
    with pytest.raises(InputError):
        align_words(encoder, [("\ud800", "x")])


def test_an_encoder_without_token_vectors_says_so(encoder: Encoder, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(encoder.directory, other)
    model = onnx.load(other / MODEL)
    for node in model.graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = "masked" if name == "padded" else name
    onnx.save(model, other / MODEL)
    write_card(encoder.card.model_copy(update={"files": hash_files(other)}), other)
    with pytest.raises(ParameterError, match="no vectors of tokens") as caught:
        align_words(Encoder.open(other), [("a", "b")])
    assert caught.value.code == "no-token-vectors"


@pytest.mark.encoder
@pytest.mark.parametrize("name", ["muse"])
def test_a_real_encoder_finds_translations_of_words(name: str) -> None:
    directory = default_encoders_dir()
    if not (directory / name).is_dir():
        pytest.skip(f"{name} is not installed: run `bitextmine encoders pull {name}`")
    found = linked(
        open_encoder(name, directory), "Sie hat das Buch in einer Nacht gelesen.", "She read the book in one night."
    )
    assert {("Sie", "She"), ("Buch", "book"), ("Nacht", "night"), ("gelesen", "read")} <= found
    found = linked(open_encoder(name, directory), "她一夜之间读完了这本书。", "She read the book in one night.")
    assert {("她", "She"), ("书", "book")} <= found
