"""The pool where something goes wrong: nobody's error is another's, and nobody waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bitextmine.encoders import Encoder
from bitextmine.encoders.card import MODEL
from bitextmine.encoders.pool import EncoderPool
from bitextmine.errors import BitextmineError, EncoderError, InputError
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


def test_a_sentence_that_is_no_text_fails_its_own_request_only(encoder: GatedEncoder, make_pool: MakePool) -> None:
    pool = make_pool()
    first = busy(pool, encoder)
    before, wrong, after = (pool.submit([text]) for text in ("museum", "\ud800", "station"))
    encoder.gate.set()
    for future in (first, before, after):
        future.result(SECONDS)
    with pytest.raises(InputError, match="not a Unicode text"):
        wrong.result(SECONDS)
    assert pool.tokens == 0


def test_a_batch_that_fails_is_tried_request_by_request(encoder: GatedEncoder, make_pool: MakePool) -> None:
    pool = make_pool()
    first = busy(pool, encoder)
    encoder.wrong = int(encoder.tokenize(["the wrong sentence is this one"]).lengths[0])
    before, wrong, after = (pool.submit([text]) for text in ("x", "the wrong sentence is this one", "y"))
    encoder.gate.set()
    for future in (first, before, after):
        future.result(SECONDS)
    with pytest.raises(EncoderError, match="the model failed"):
        wrong.result(SECONDS)
    encoder.wrong = -1
    assert pool.submit(["the wrong sentence is this one"]).result(SECONDS).vectors.any()
    assert pool.tokens == 0


def test_a_damaged_model_fails_every_request_until_it_is_repaired(tmp_path: Path) -> None:
    directory = build_tiny_encoder(tmp_path / "tiny").directory
    model = (directory / MODEL).read_bytes()
    (directory / MODEL).write_bytes(model[:-1])
    pool = EncoderPool(Encoder.open(directory), threads=1, max_tokens=PLENTY)
    try:
        for _ in range(2):
            with pytest.raises(EncoderError, match="damaged"):
                pool.submit(["x"]).result(SECONDS)
        (directory / MODEL).write_bytes(model)
        assert pool.submit(["x"]).result(SECONDS).vectors.any()
    finally:
        pool.close()


def test_a_defect_fails_the_requests_and_not_the_thread(
    encoder: GatedEncoder, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder.gate.set()
    pool = make_pool()
    deliver = pool._deliver
    monkeypatch.setattr(pool, "_deliver", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        pool.submit(["x"]).result(SECONDS)
    monkeypatch.setattr(pool, "_deliver", deliver)
    pool.submit(["x"]).result(SECONDS)
    assert pool.tokens == 0


def test_closing_ends_what_is_encoded_and_fails_what_waits(encoder: GatedEncoder, make_pool: MakePool) -> None:
    pool = make_pool()
    first = busy(pool, encoder)
    waiting = [pool.submit(["x"]) for _ in range(3)]
    closing = threading.Thread(target=pool.close)
    closing.start()
    for future in waiting:
        with pytest.raises(BitextmineError) as caught:
            future.result(SECONDS)
        assert caught.value.code == "service-stopping"
    assert refused(pool) == "service-stopping"
    encoder.gate.set()
    closing.join(SECONDS)
    assert not closing.is_alive()
    assert first.result(0).vectors.any()
    assert not any(thread.is_alive() for thread in pool._threads)
    pool.close()


def test_draining_encodes_what_waits(encoder: GatedEncoder, make_pool: MakePool) -> None:
    pool = make_pool(threads=2)
    futures = [pool.submit([text]) for text in TEXTS]
    encoder.gate.set()
    pool.close(drain=True)
    assert all(future.result(0).vectors.any() for future in futures)
    assert refused(pool) == "service-stopping"


def test_a_pool_that_was_never_used_has_no_threads_to_close(make_pool: MakePool) -> None:
    before = threading.active_count()
    pool = make_pool(threads=4)
    pool.close()
    assert threading.active_count() == before
