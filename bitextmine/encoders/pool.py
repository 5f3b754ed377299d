"""Concurrent requests for vectors, encoded in shared batches: a bounded queue, in order of arrival."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bitextmine.encoders.encoder import Encoder
from bitextmine.encoders.runtime import TOKEN_BUDGETS
from bitextmine.encoders.tokenizer import Tokens
from bitextmine.errors import BitextmineError, ParameterError
from bitextmine.resources import Provider


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vectors of one request's n sentences."""

    vectors: NDArray[np.float32]  # (n, dims), rows of length 1, in the order of the sentences
    tokens: int  # that the encoder read, marks of beginning and end included
    truncated: int  # sentences that were cut at the encoder's max_tokens
    encoder: Encoder  # that made them


@dataclass(frozen=True, slots=True)
class Batch:
    """What was encoded together."""

    encoder: str
    sentences: int
    tokens: int
    truncated: int


class _Request:
    def __init__(self, sentences: Sequence[str], costs: list[int], dims: int) -> None:
        self.sentences, self.costs, self.cost = sentences, costs, sum(costs)
        self.future: Future[Embedded] = Future()
        self.taken = 0  # sentences that workers have
        self.left = len(sentences)  # that have no vector yet
        self.tokens = self.truncated = 0
        self.vectors = np.empty((len(sentences), dims), np.float32)
        self.counted = True  # among the tokens of the queue


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some of a request's sentences: a long request is encoded over several turns, so others can be dropped or done."""

    request: _Request
    start: int
    stop: int

    @property
    def sentences(self) -> Sequence[str]:
        return self.request.sentences[self.start : self.stop]


class EncoderPool:
    """Encodes what many threads ask for, on a few threads of its own that each take a batch of what waits.

    Nobody waits for a batch to fill: a thread that is free takes what there is, in order of arrival and up to the
    encoder's token budget, so batches grow with the load. A vector does not depend on its batch, to about 1e-7, nor on
    the load. The threads start, and the model is loaded, with the first request.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        threads: int,
        max_tokens: int,
        after_turn: Callable[[], None] = lambda: None,
        observe: Callable[[Batch], None] = lambda batch: None,
    ) -> None:
        """
        Args:
            threads: batches encoded at a time.
            max_tokens: most tokens that may wait and be worked on, as `estimated_tokens` counts. A request that comes
                when there is nothing else is taken however large it is.
            after_turn: called, in any thread, when the futures of a batch are done.
            observe: told of each batch, in any thread, once it is encoded.

        Raises:
            ParameterError: threads or max_tokens is below 1.
        """
        if min(threads, max_tokens) < 1:
            raise ParameterError(f"a pool needs 1 thread and 1 token or more, not {threads} and {max_tokens}")
        self.encoder = encoder
        self._max_tokens = max_tokens
        self._after_turn, self._observe = after_turn, observe
        self._budget = TOKEN_BUDGETS[Provider.CPU]  # of a turn, until the model is loaded
        self._lock = threading.Lock()
        self._work_came = threading.Condition(self._lock)
        self._waiting: deque[_Request] = deque()
        self._tokens = 0
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"pool-{encoder.name}-{number}", daemon=True)
            for number in range(threads)
        ]
        self._started = False

    @property
    def tokens(self) -> int:
        """Estimated tokens of the requests that wait or are worked on."""
        return self._tokens

    @property
    def waiting(self) -> int:
        """Requests that wait, or of which a part does."""
        return len(self._waiting)

    def submit(self, sentences: Sequence[str]) -> Future[Embedded]:
        """Queue a request and return at once. Cancelling the future before it is done takes the request back.

        The future raises what `Encoder.encode` raises: EncoderError, InputError.

        Raises:
            BitextmineError: `queue-full`: too much waits already; `service-stopping`: the pool is closed.
        """
        most = self.encoder.card.max_tokens
        request = _Request(sentences, [estimated_tokens(text, most) for text in sentences], self.encoder.dims)
        if not sentences:
            request.future.set_result(Embedded(request.vectors, 0, 0, self.encoder))
            return request.future
        with self._lock:
            if self._closed:
                raise _stopping()
            if self._tokens and self._tokens + request.cost > self._max_tokens:
                message = f"{self._tokens:,} tokens are waiting to be encoded, of {self._max_tokens:,}; try again later"
                raise BitextmineError(message, code="queue-full")
            if not self._started:
                self._started = True
                for thread in self._threads:
                    thread.start()
            self._tokens += request.cost
            self._waiting.append(request)
            self._work_came.notify()
        return request.future

    def close(self, *, drain: bool = False) -> None:
        """Take no more requests, end what is being encoded, and wait for that.

        Args:
            drain: also encode what waits; else it fails with `service-stopping`.
        """
        with self._lock:
            self._closed = True
            dropped = [] if drain else list(self._waiting)
            self._waiting = self._waiting if drain else deque()
            self._work_came.notify_all()
        for request in dropped:
            self._fail(request, _stopping())
        self._after_turn()
        if self._started:
            for thread in self._threads:
                thread.join()

    def _work(self) -> None:
        while pieces := self._next_turn():
            try:
                self._encode(pieces)
            except Exception as error:  # noqa: BLE001 - a defect; nobody must wait for a thread that has died of it
                for piece in pieces:
                    self._fail(piece.request, error)
            self._after_turn()

    def _next_turn(self) -> list[_Piece]:
        """The next batch, as soon as there is any; empty when the pool is closed and nothing waits."""
        with self._lock:
            while True:
                if pieces := self._take():
                    if self._waiting:
                        self._work_came.notify()
                    return pieces
                if self._closed:
                    return []
                self._work_came.wait()

    def _take(self) -> list[_Piece]:
        """What comes first, up to the budget, but one sentence at least. Requests that nobody wants any more go."""
        pieces: list[_Piece] = []
        room = self._budget
        while self._waiting:
            request = self._waiting[0]
            start = stop = request.taken
            if not request.future.done():
                while stop < len(request.costs) and (request.costs[stop] <= room or not (pieces or stop > start)):
                    room -= request.costs[stop]
                    stop += 1
                if stop == start:
                    break
                pieces.append(_Piece(request, start, stop))
                request.taken = stop
                if stop < len(request.costs):
                    break
            else:
                self._uncount(request)
            self._waiting.popleft()
        return pieces

    def _encode(self, pieces: list[_Piece]) -> None:
        """Encode the pieces together; where that fails, each alone, so that only the one that is wrong fails."""
        try:
            parts = self._tokenized(pieces)
            vectors = self.encoder.encode_here(_joined(parts))
            self._budget = self.encoder.token_budget
        except Exception as error:  # noqa: BLE001 - the one who asked gets it
            if len(pieces) == 1:
                self._fail(pieces[0].request, error)
            else:
                for piece in pieces:
                    self._encode([piece])
            return
        self._observe(_batch(self.encoder.name, parts))
        stop = 0
        for piece, tokens in zip(pieces, parts, strict=True):
            start, stop = stop, stop + len(tokens.lengths)
            self._deliver(piece, tokens, vectors[start:stop])

    def _tokenized(self, pieces: list[_Piece]) -> list[Tokens]:
        """The tokens of each piece: one call for all, which is several times faster, unless some must be cut."""
        tokens = self.encoder.tokenize([text for piece in pieces for text in piece.sentences])
        if len(pieces) == 1:
            return [tokens]
        if tokens.truncated:  # whose are they?
            return [self.encoder.tokenize(piece.sentences) for piece in pieces]
        ends = np.cumsum([piece.stop - piece.start for piece in pieces])[:-1]
        lengths = np.split(tokens.lengths, ends)
        ids = np.split(tokens.ids, np.cumsum([part.sum() for part in lengths])[:-1])
        return [Tokens(*part, truncated=0) for part in zip(ids, lengths, strict=True)]

    def _deliver(self, piece: _Piece, tokens: Tokens, vectors: NDArray[np.float32]) -> None:
        request = piece.request
        request.vectors[piece.start : piece.stop] = vectors
        with self._lock:
            request.tokens += int(tokens.lengths.sum())
            request.truncated += tokens.truncated
            request.left -= len(vectors)
            if request.left:
                return
            self._uncount(request)
        with suppress(InvalidStateError):  # nobody wants it any more
            request.future.set_result(Embedded(request.vectors, request.tokens, request.truncated, self.encoder))

    def _fail(self, request: _Request, error: Exception) -> None:
        with self._lock:
            self._uncount(request)
        with suppress(InvalidStateError):
            request.future.set_exception(error)

    def _uncount(self, request: _Request) -> None:
        """With the lock held: the request's tokens are no longer waited for."""
        if request.counted:
            request.counted = False
            self._tokens -= request.cost


def estimated_tokens(text: str, max_tokens: int) -> int:
    """About what a sentence costs, without tokenising it: a token for two characters, and the marks.

    Subword models make one of three to five letters of an alphabet, and of one or two ideographs.
    """
    return min(max_tokens, 2 + (len(text) + 1) // 2)


def _joined(parts: list[Tokens]) -> Tokens:
    if len(parts) == 1:
        return parts[0]
    ids, lengths = (np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "lengths"))
    return Tokens(ids, lengths, sum(part.truncated for part in parts))


def _batch(encoder: str, parts: list[Tokens]) -> Batch:
    lengths = [part.lengths for part in parts]
    truncated = sum(part.truncated for part in parts)
    return Batch(encoder, sum(map(len, lengths)), int(sum(part.sum() for part in lengths)), truncated)


def _stopping() -> BitextmineError:
    return BitextmineError("the service is stopping; send the request again in a moment", code="service-stopping")
