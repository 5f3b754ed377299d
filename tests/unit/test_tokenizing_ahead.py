"""Long lists are encoded window by window, each tokenised while the one before it is encoded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitextmine.encoders import Encoder
from bitextmine.encoders import encoder as encoder_module
from bitextmine.encoders.batching import equal_length_batches, padded_lengths
from bitextmine.encoders.tokenizer import Tokens
from bitextmine.errors import InputError
from tests.tiny_encoder import build_tiny_encoder

WINDOW = 50
SENTENCES = [f"{'the museum opens at nine ' * (n * 7 % 20)}{n}" for n in range(4 * WINDOW + 7)]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_encoder(tmp_path_factory.mktemp("tiny")).directory


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_module, "_WINDOW", WINDOW)


def around_tokenizer(encoder: Encoder, change: Callable[[Sequence[str], Callable[..., Tokens]], Tokens]) -> None:
    """Have the encoder's tokenizer called through `change`."""
    loaded = encoder._load()
    inner = loaded.tokenizer
    object.__setattr__(loaded, "tokenizer", lambda sentences: change(sentences, inner))


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, len(SENTENCES)])
def test_the_vectors_are_those_of_one_window_after_the_other(directory: Path, threads: int, count: int) -> None:
    encoder = Encoder.open(directory, threads=threads)
    sentences = SENTENCES[:count]
    expected = np.empty((count, encoder.dims), np.float32)
    truncated = 0
    graph = encoder._load().graph
    for start in range(0, count, WINDOW):
        tokens = encoder.tokenize(sentences[start : start + WINDOW])
        truncated += tokens.truncated
        lengths = padded_lengths(tokens.lengths, encoder.card.max_tokens)
        for rows in equal_length_batches(lengths, graph.token_budget):
            together = np.resize(rows, max(len(rows), 2))
            expected[start + rows] = graph.run(*tokens.padded(together, lengths[rows[0]]))[: len(rows)]
    seen: list[int] = []
    encoding = encoder.encode_counted(sentences, progress=seen.append)
    assert np.array_equal(encoding.vectors, expected)
    assert encoding.truncated == truncated
    assert seen == sorted(seen)
    assert seen[-1:] == ([count] if count else [])


def test_the_next_window_is_tokenised_while_this_one_is_encoded(directory: Path) -> None:
    encoder = Encoder.open(directory, threads=2)
    second = threading.Event()
    graph = encoder._load().graph
    run = graph.run

    def tokenize(sentences: Sequence[str], inner: Callable[..., Tokens]) -> Tokens:
        if sentences[0] == SENTENCES[WINDOW]:
            second.set()
        return inner(sentences)

    def wait_for_the_second(ids: Any, mask: Any) -> Any:
        assert second.wait(20), "the second window was not tokenised while the first was encoded"
        return run(ids, mask)

    around_tokenizer(encoder, tokenize)
    graph.run = wait_for_the_second  # type: ignore[method-assign]
    encoder.encode(SENTENCES[: 2 * WINDOW])


def test_no_more_than_one_window_is_tokenised_ahead(directory: Path) -> None:
    encoder = Encoder.open(directory, threads=2)
    begun: list[int] = []

    def tokenize(sentences: Sequence[str], inner: Callable[..., Tokens]) -> Tokens:
        begun.append(SENTENCES.index(sentences[0]) // WINDOW)
        return inner(sentences)

    def check(done: int) -> None:
        assert max(begun) <= (done - 1) // WINDOW + 1

    around_tokenizer(encoder, tokenize)
    encoder.encode(SENTENCES, progress=check)
    assert begun == [0, 1, 2, 3, 4]


def test_a_single_batch_wakes_no_thread(directory: Path) -> None:
    encoder = Encoder.open(directory, threads=2)
    seen: set[int] = set()
    graph = encoder._load().graph
    run = graph.run

    def recording(ids: Any, mask: Any) -> Any:
        seen.add(threading.get_ident())
        return run(ids, mask)

    graph.run = recording  # type: ignore[method-assign]
    encoder.encode(["where is the station"])
    assert seen == {threading.get_ident()}


def test_a_sentence_that_is_no_text_is_an_error_wherever_it_is(directory: Path) -> None:
    encoder = Encoder.open(directory, threads=2)
    for place in (0, WINDOW, len(SENTENCES) - 1):
        spoilt = [*SENTENCES[:place], "\ud800", *SENTENCES[place + 1 :]]
        with pytest.raises(InputError, match="not a Unicode text"):
            encoder.encode(spoilt)
    assert len(encoder.encode(SENTENCES)) == len(SENTENCES)


@pytest.mark.parametrize("count", [1, 3, WINDOW])
def test_tokens_encoded_here_have_the_vectors_of_encode(directory: Path, count: int) -> None:
    encoder = Encoder.open(directory)
    tokens = encoder.tokenize(SENTENCES[:count])
    assert np.array_equal(encoder.encode_here(tokens), encoder.encode(SENTENCES[:count]))
