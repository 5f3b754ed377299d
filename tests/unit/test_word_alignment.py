"""Word alignment: spans of words in any script, and links by token vectors."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextmine.encoders import open_encoder
from bitextmine.encoders import token_vectors as token_vectors_module
from bitextmine.encoders.card import MODEL, hash_files, write_card
from bitextmine.encoders.encoder import Encoder
from bitextmine.encoders.runtime import TOKEN_BUDGETS
from bitextmine.encoders.token_vectors import token_vectors
from bitextmine.errors import InputError, ParameterError
from bitextmine.resources import Provider
from bitextmine.word_alignment import _words, align_words
from bitextmine.workspace import default_encoders_dir
from tests.tiny_encoder import build_tiny_encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return build_tiny_encoder(tmp_path_factory.mktemp("encoders") / "tiny", prefix="query: ")


def linked(encoder: Encoder, src: str, tgt: str) -> set[tuple[str, str]]:
    (found,) = align_words(encoder, [(src, tgt)])
    assert found.links == sorted(set(found.links))
    for words, text in ((found.src_words, src), (found.tgt_words, tgt)):
        check_apart(words, text)
    return {(src[slice(*found.src_words[i])], tgt[slice(*found.tgt_words[j])]) for i, j in found.links}


def check_apart(words: list[tuple[int, int]], text: str) -> None:
    """Words lie in the text, in order, and no two of them share a character."""
    places = [place for word in words for place in word]
    assert all(start < stop for start, stop in words)
    assert places == sorted(places)
    assert not places or (places[0] >= 0 and places[-1] <= len(text))


def words_of(text: str, spans: list[tuple[int, int]]) -> list[str]:
    return [text[slice(*span)] for span in _words(text, spans)[0]]


def letters(text: str) -> list[tuple[int, int]]:
    """A token for each character that is no space."""
    return [(place, place + 1) for place, character in enumerate(text) if not character.isspace()]


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


def test_a_token_of_the_mark_before_a_word_adds_no_word() -> None:
    """XLM-R's mark has the span of the first character, at the beginning and after each space."""
    spans = [(0, 1), (0, 3), (3, 4), (4, 6), (7, 8), (7, 9), (9, 10)]
    assert words_of("博物館は月曜 休館。", spans) == ["博物館", "は", "月曜", "休館", "。"]
    assert _words("博物館は月曜 休館。", spans)[1] == [0, 0, 1, 2, 3, 3, 4]


@given(st.data(), st.text(st.sampled_from("ab é-.。博物館はไทยนี้שָׁמُحَ❤\ufe0f😀\u0301"), min_size=1, max_size=30))
def test_words_never_share_a_character_whatever_the_tokens(data: st.DataObject, text: str) -> None:
    ends = st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))
    spans = sorted((min(pair), max(pair)) for pair in data.draw(st.lists(ends)) if pair[0] != pair[1])
    words, word_of = _words(text, spans)
    check_apart(words, text)
    assert len(word_of) == len(spans)
    assert sorted(set(word_of)) == list(range(len(words)))
    for (start, _), word in zip(spans, word_of, strict=True):
        assert words[word][0] <= start < words[word][1]


@pytest.mark.parametrize(
    "text",
    [
        "مُحَمَّدٌ رَسُولٌ",  # Arabic with vowels
        "הַסֵּפֶר שֶׁלִּי צה״ל",  # Hebrew with points, and an abbreviation
        "हिन्दी में किताबें",  # Devanagari, vowels of both categories
        "ܫܠܳܡܳܐ",  # Syriac
        "ދިވެހި",  # Thaana
        "می‌خواهم l'été well-known e\u0301te\u0301",
    ],
)
def test_marks_are_parts_of_words(text: str) -> None:
    assert words_of(text, letters(text)) == text.split()


def test_marks_are_parts_of_what_is_before_them_in_scripts_without_spaces() -> None:
    assert words_of("ที่นี่", letters("ที่นี่")) == ["ที่", "นี่"]
    assert words_of("か\u3099く", letters("か\u3099く")) == ["か\u3099", "く"]
    assert words_of("❤\ufe0fab", letters("❤\ufe0fab")) == ["❤\ufe0f", "ab"]


def test_a_batch_is_no_larger_than_memory_allows(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []
    session, value = token_vectors_module._session(encoder)

    class Watched:
        def run(self, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            shapes.append(inputs["input_ids"].shape)
            return session.run(names, inputs)  # type: ignore[no-any-return]

    sentences = ["the old map " * 200, "a", "", "the lake " * 90, *["the old museum"] * 300]
    alone = [token_vectors(encoder, [sentence])[0] for sentence in sentences]
    monkeypatch.setattr(token_vectors_module, "_session", lambda _: (Watched(), value))
    together = token_vectors(encoder, sentences)
    for one, other in zip(alone, together, strict=True):
        assert one.spans == other.spans
        assert np.allclose(one.vectors, other.vectors, atol=1e-5)
    assert sum(rows for rows, _ in shapes) == len(sentences)
    assert all(rows == 1 or rows * longest <= TOKEN_BUDGETS[Provider.CPU] for rows, longest in shapes)


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


@pytest.mark.encoder
@pytest.mark.parametrize("name", ["muse", "e5-small"])
def test_the_words_of_a_real_encoder_make_up_the_sentence(name: str) -> None:
    directory = default_encoders_dir()
    if not (directory / name).is_dir():
        pytest.skip(f"{name} is not installed: run `bitextmine encoders pull {name}`")
    encoder = open_encoder(name, directory)
    texts = [
        "博物館は月曜休館です。 入場は無料です。",
        "พิพิธภัณฑ์ปิดวันจันทร์ ที่นี่",
        "مُحَمَّدٌ رَسُولٌ",
        "הַסֵּפֶר שֶׁלִּי",
        "😀  The museum (closed) isn't ½ open…",
        "ﬁne ㍻ Ｆｕｌｌ e\u0301te\u0301",
    ]
    for found, text in zip(align_words(encoder, [(text, text) for text in texts]), texts, strict=True):
        check_apart(found.src_words, text)
        assert found.src_words == found.tgt_words
        covered = "".join(text[slice(*span)] for span in found.src_words)
        assert covered == "".join(text.split())
        assert {(place, place) for place in range(len(found.src_words))} <= set(found.links)
