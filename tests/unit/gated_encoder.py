"""An encoder that encodes only while its gate is open, and pools over it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.typing import NDArray

from bitextmine.encoders import Encoder
from bitextmine.encoders.pool import Embedded, EncoderPool
from bitextmine.encoders.tokenizer import Tokens
from bitextmine.errors import BitextmineError, EncoderError

SECONDS = 20
PLENTY = 1_000_000
TEXTS = [f"{'the museum opens at nine ' * (n * 5 % 7)}{n}" for n in range(60)]
MakePool = Callable[..., EncoderPool]


class GatedEncoder(Encoder):
    """Encodes only while its gate is open, and remembers what it was given."""

    def __init__(self, *arguments: object, **more: object) -> None:
        super().__init__(*arguments, **more)  # type: ignore[arg-type]
        self.gate, self.inside = threading.Event(), threading.Semaphore(0)
        self.tokenized: list[str] = []
        self.turns: list[int] = []  # sentences in each
        self.wrong = -1  # a sentence of so many tokens cannot be encoded

    def tokenize(self, sentences: Sequence[str]) -> Tokens:
        self.tokenized += sentences
        return super().tokenize(sentences)

    def encode_here(self, tokens: Tokens) -> NDArray[np.float32]:
        self.turns.append(len(tokens.lengths))
        self.inside.release()
        assert self.gate.wait(SECONDS)
        if self.wrong in tokens.lengths:
            raise EncoderError("the model failed")
        return super().encode_here(tokens)


@contextmanager
def pools_of(encoder: GatedEncoder) -> Iterator[MakePool]:
    """A function that makes pools; they are closed in the end."""
    pools: list[EncoderPool] = []

    def make(threads: int = 1, max_tokens: int = PLENTY, budget: int | None = None) -> EncoderPool:
        pools.append(EncoderPool(encoder, threads=threads, max_tokens=max_tokens))
        if budget is not None:
            pools[-1]._budget = budget
        return pools[-1]

    yield make
    encoder.gate.set()
    for pool in pools:
        pool.close()


def busy(pool: EncoderPool, encoder: GatedEncoder) -> Future[Embedded]:
    """A request that keeps the pool's only thread until the gate opens."""
    future = pool.submit(["where is the station"])
    assert encoder.inside.acquire(timeout=SECONDS)
    return future


def refused(pool: EncoderPool, sentences: Sequence[str] = ("x",)) -> str:
    with pytest.raises(BitextmineError) as caught:
        pool.submit(sentences)
    return caught.value.code
