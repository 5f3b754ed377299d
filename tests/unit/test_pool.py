"""The pool: what many ask for is encoded in shared batches, in order of arrival, within a bound."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bitextmine.encoders import Encoder
from bitextmine.encoders.pool import Batch, EncoderPool, estimated_tokens
from bitextmine.errors import EncoderError, ParameterError
from tests.tiny_encoder import build_tiny_encoder
from tests.unit.gated_encoder import PLENTY, SECONDS, TEXTS, GatedEncoder, MakePool, busy, pools_of, refused


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_encoder(tmp_path_factory.mktemp("tiny")).directory


@pytest.fixture
def encoder(directory: Path) -> GatedEncoder:
    encoder = GatedEncoder.open(directory)
    assert isinstance(encoder, GatedEncoder)
    return encoder


@pytest.fixture
def make_pool(encoder: GatedEncoder) -> Iterator[MakePool]:
    with pools_of(encoder) as make:
        yield make


@pytest.mark.parametrize("threads", [1, 3])
def test_the_vectors_are_the_encoders_own(
    encoder: GatedEncoder, directory: Path, make_pool: MakePool, threads: int
) -> None:
    encoder.gate.set()
    pool = make_pool(threads)
    requests = [TEXTS[:1], TEXTS[1:30], TEXTS[30:32], TEXTS]
    futures = [pool.submit(texts) for texts in requests]
    plain = Encoder.open(directory)
    for texts, future in zip(requests, futures, strict=True):
        embedded = future.result(SECONDS)
        np.testing.assert_allclose(embedded.vectors, plain.encode(texts), atol=1e-6)
        tokens = plain.tokenize(texts)
        assert (embedded.tokens, embedded.truncated) == (tokens.lengths.sum(), tokens.truncated)
    assert pool.tokens == 0


def test_sentences_that_were_cut_are_counted_for_the_one_who_sent_them(
    encoder: GatedEncoder, make_pool: MakePool
) -> None:
    pool = make_pool()
    first = busy(pool, encoder)
    long, short = pool.submit(["the museum " * 100, "x"]), pool.submit(["x"])
    encoder.gate.set()
    assert [future.result(SECONDS).truncated for future in (first, long, short)] == [0, 1, 0]
    assert encoder.turns == [1, 3]


def test_nothing_asked_for_is_nothing_encoded(encoder: GatedEncoder, make_pool: MakePool) -> None:
    assert make_pool().submit([]).result(0).vectors.shape == (0, encoder.dims)
    assert not encoder.loaded


def test_the_model_is_loaded_by_the_first_request(encoder: GatedEncoder, make_pool: MakePool) -> None:
    pool = make_pool()
    assert not encoder.loaded
    busy(pool, encoder)
    assert encoder.loaded


def test_requests_that_wait_together_are_encoded_together(encoder: GatedEncoder, make_pool: MakePool) -> None:
    pool = make_pool()
    futures = [busy(pool, encoder), *(pool.submit([f"station {n}"]) for n in range(50))]
    encoder.gate.set()
    assert all(future.result(SECONDS).vectors.shape == (1, encoder.dims) for future in futures)
    assert encoder.turns == [1, 50]


def test_requests_are_done_in_order_of_arrival(encoder: GatedEncoder, make_pool: MakePool) -> None:
    pool = make_pool(budget=30)
    first = busy(pool, encoder)
    order: list[int] = []
    futures = [pool.submit([f"{n} {'museum ' * (n % 3)}"] * (1 + n % 4)) for n in range(20)]
    for number, future in enumerate(futures):
        future.add_done_callback(lambda _, number=number: order.append(number))  # type: ignore[misc]
    encoder.gate.set()
    for future in (first, *futures):
        future.result(SECONDS)
    pool.close(drain=True)
    assert order == list(range(20))
    assert encoder.tokenized[1:] == [text for n in range(20) for text in [f"{n} {'museum ' * (n % 3)}"] * (1 + n % 4)]


def test_a_turn_keeps_within_the_budget_and_a_sentence_beyond_it_goes_alone(
    encoder: GatedEncoder, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GatedEncoder, "token_budget", 20)
    pool = make_pool(budget=20)
    first = busy(pool, encoder)
    texts = ["abcd", "abcd", "abcd", "abcd", "abcd", "abcd", "x" * 100, "abcd"]  # 4 tokens each, and 52
    future = pool.submit(texts)
    encoder.gate.set()
    first.result(SECONDS)
    assert len(future.result(SECONDS).vectors) == len(texts)
    assert encoder.turns == [1, 5, 1, 1, 1]


def test_several_threads_share_one_long_request(encoder: GatedEncoder, directory: Path, make_pool: MakePool) -> None:
    pool = make_pool(threads=3, budget=40)
    future = pool.submit(TEXTS)
    for _ in range(3):
        assert encoder.inside.acquire(timeout=SECONDS)
    encoder.gate.set()
    np.testing.assert_allclose(future.result(SECONDS).vectors, Encoder.open(directory).encode(TEXTS), atol=1e-6)


def test_beyond_the_bound_a_request_is_refused_at_once(encoder: GatedEncoder, make_pool: MakePool) -> None:
    first_cost = estimated_tokens("where is the station", 64)
    pool = make_pool(max_tokens=first_cost + 8)
    first = busy(pool, encoder)
    second = pool.submit(["abcd"])  # 4
    third = pool.submit(["abcd"])
    assert pool.tokens == first_cost + 8
    assert refused(pool) == "queue-full"
    encoder.gate.set()
    for future in (first, second, third):
        future.result(SECONDS)
    assert pool.tokens == 0
    pool.submit(["abcd"]).result(SECONDS)


def test_a_request_larger_than_the_bound_is_taken_when_nothing_waits(
    encoder: GatedEncoder, make_pool: MakePool
) -> None:
    pool = make_pool(max_tokens=1)
    future = pool.submit(TEXTS)
    assert refused(pool) == "queue-full"
    encoder.gate.set()
    assert len(future.result(SECONDS).vectors) == len(TEXTS)


def test_what_was_taken_back_is_never_encoded(encoder: GatedEncoder, make_pool: MakePool) -> None:
    pool = make_pool()
    first = busy(pool, encoder)
    futures = [pool.submit([f"station {n}"]) for n in range(6)]
    assert all(future.cancel() for future in futures[::2])
    encoder.gate.set()
    for future in (first, *futures[1::2]):
        future.result(SECONDS)
    assert encoder.tokenized == ["where is the station", "station 1", "station 3", "station 5"]
    pool.close(drain=True)
    assert pool.tokens == 0


def test_a_long_request_taken_back_halfway_is_not_finished(encoder: GatedEncoder, make_pool: MakePool) -> None:
    pool = make_pool(budget=64)
    future = pool.submit(TEXTS)
    assert encoder.inside.acquire(timeout=SECONDS)
    begun = len(encoder.tokenized)
    assert future.cancel()
    later = pool.submit(["where is the station"])
    encoder.gate.set()
    later.result(SECONDS)
    assert len(encoder.tokenized) == begun + 1 < len(TEXTS)
    assert pool.tokens == 0


def test_many_threads_at_once_all_get_what_they_asked_for(
    encoder: GatedEncoder, directory: Path, make_pool: MakePool
) -> None:
    encoder.gate.set()
    pool = make_pool(threads=2)
    expected = Encoder.open(directory).encode(TEXTS)

    def ask(n: int) -> bool:
        start, stop = n % 50, n % 50 + 1 + n % 9
        found = pool.submit(TEXTS[start:stop]).result(SECONDS).vectors
        return np.allclose(found, expected[start:stop], atol=1e-6)

    with ThreadPoolExecutor(16) as clients:
        assert all(clients.map(ask, range(400)))
    assert pool.tokens == 0


@pytest.mark.parametrize(("threads", "max_tokens"), [(0, 1), (1, 0), (-1, 5)])
def test_impossible_pools_are_refused(encoder: GatedEncoder, threads: int, max_tokens: int) -> None:
    with pytest.raises(ParameterError, match="1 thread and 1 token or more"):
        EncoderPool(encoder, threads=threads, max_tokens=max_tokens)


@pytest.mark.parametrize(("text", "expected"), [("", 2), ("x", 3), ("abcd", 4), ("字" * 10, 7), ("a" * 1000, 64)])
def test_costs_are_estimated_from_the_length(text: str, expected: int) -> None:
    assert estimated_tokens(text, 64) == expected


def test_what_waits_is_told_and_each_batch_is_told_of(encoder: GatedEncoder) -> None:
    batches: list[Batch] = []
    pool = EncoderPool(encoder, threads=1, max_tokens=PLENTY, observe=batches.append)
    first = busy(pool, encoder)
    others = [pool.submit(["the museum " * 100]), pool.submit(["x", "y"])]
    assert pool.waiting == 2
    encoder.gate.set()
    done = [future.result(SECONDS) for future in (first, *others)]
    pool.close()
    assert pool.waiting == 0
    assert [(batch.encoder, batch.sentences, batch.truncated) for batch in batches] == [("tiny", 1, 0), ("tiny", 3, 1)]
    assert [batch.tokens for batch in batches] == [done[0].tokens, done[1].tokens + done[2].tokens]


def test_batches_that_fail_are_not_counted(encoder: GatedEncoder) -> None:
    batches: list[Batch] = []
    pool = EncoderPool(encoder, threads=1, max_tokens=PLENTY, observe=batches.append)
    encoder.wrong = len(encoder.tokenize(["x"]).ids)
    encoder.gate.set()
    with pytest.raises(EncoderError):
        pool.submit(["x"]).result(SECONDS)
    pool.close()
    assert batches == []
