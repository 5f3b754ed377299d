"""The encoder: sentences in, unit vectors out."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitextmine.encoders.batching import equal_length_batches, padded_lengths, token_budget_batches
from bitextmine.encoders.card import VOCABULARY, EncoderCard, Precision, TokenizerKind, load_card
from bitextmine.encoders.laser_tokenizer import LaserTokenizer
from bitextmine.encoders.runtime import Graph, chosen_provider
from bitextmine.encoders.tokenizer import JsonTokenizer, SentencePieceTokenizer, Tokenizer, Tokens
from bitextmine.errors import EncoderError, ParameterError
from bitextmine.files import file_sha256
from bitextmine.resources import Device, Provider, default_threads

_WINDOW = 16_384  # sentences tokenised and sorted at a time; bounds the memory of a long list
_GPU_THREADS = 2  # one prepares the next batch, or tokenises, while the GPU computes another's


@dataclass(frozen=True, slots=True)
class Encoding:
    """The vectors of n sentences."""

    vectors: NDArray[np.float32]  # (n, dims), rows of length 1, in the order of the sentences
    truncated: int  # sentences that were cut at the encoder's max_tokens


@dataclass(frozen=True, slots=True)
class _Loaded:
    graph: Graph
    tokenizer: Tokenizer


class Encoder:
    """A sentence encoder in a directory. Shared by threads; the model is loaded at its first use.

    Vectors depend on the sentences and on `signature`, not on the number of threads: each batch runs on one thread,
    and the batches depend on nothing but the sentences and whether they run on a GPU.
    """

    def __init__(
        self,
        card: EncoderCard,
        directory: Path,
        *,
        threads: int | None = None,
        precision: Precision | None = None,
        device: Device | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            raise ParameterError(f"an encoder needs 1 thread or more, not {threads}")
        self.card = card
        self.directory = directory
        self._device = device or Device()
        self.precision = _chosen_precision(card, precision, self._device)
        self.threads = threads or default_threads()
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        threads: int | None = None,
        precision: Precision | None = None,
        device: Device | None = None,
    ) -> Encoder:
        """Open the encoder in a directory: reads its card only.

        Args:
            directory: holds encoder.json, model.onnx and the tokenizer.
            threads: batches encoded at a time; by default one for each core that this process may use.
            precision: by default the best installed for the device: int8 on CPUs and fp16 on GPUs, else fp32.
            device: where the graph shall run; by default a GPU where one works, else the CPU.

        Raises:
            EncoderError: the directory holds no encoder, or one of its files is missing; or CUDA was asked for and
                does not work (code provider-unavailable), which may also come at the first use.
            ParameterError: threads is below 1, or the precision is not installed.
        """
        return cls(load_card(directory), directory, threads=threads, precision=precision, device=device)

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def dims(self) -> int:
        return self.card.dims

    @property
    def languages(self) -> tuple[str, ...]:
        """What it was trained on, as `deu_Latn`-style codes."""
        return self.card.languages

    @cached_property
    def signature(self) -> str:
        """32 hexadecimal digits over all that determines a vector: SHA-256, truncated to 128 bits."""
        card = self.card
        files = [(name, card.files[name]) for name in sorted(card.files_of(self.precision))]
        determining = [files, card.prefix, card.max_tokens, card.dims]
        return hashlib.sha256(json.dumps(determining).encode()).hexdigest()[:32]

    @property
    def provider(self) -> str:
        """The ONNX Runtime execution provider that is really in use; loads the model.

        Raises:
            EncoderError: the model cannot be loaded.
        """
        return self._load().graph.provider

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._loaded is not None

    @property
    def token_budget(self) -> int:
        """Rows x longest of its batches, by what it runs on; loads the model.

        Raises:
            EncoderError: the model cannot be loaded.
        """
        return self._load().graph.token_budget

    def check(self) -> None:
        """Read every file and compare it with the card.

        Raises:
            EncoderError: a file is not the one that was installed.
        """
        for name in self.card.files:
            self._check(name)

    def encode(self, sentences: Sequence[str], *, progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Encode sentences: (n, dims) float32, rows of length 1, in the order given; n may be 0.

        On the CPU a sentence's vector has the same bits whichever sentences it is encoded with: what it is padded to
        depends on its own length alone, and it is never the only row of a batch (ONNX Runtime multiplies one row in
        another order than several).

        Args:
            sentences: any text; the empty sentence has a vector too, of no meaning.
            progress: told, in this thread, the number of sentences done so far. What it raises ends the work.

        Raises:
            EncoderError: the model is damaged or does not do what its card says.
            InputError: a sentence is not Unicode text.
        """
        return self.encode_counted(sentences, progress=progress).vectors

    def encode_counted(self, sentences: Sequence[str], *, progress: Callable[[int], None] | None = None) -> Encoding:
        """As `encode`, and count the sentences that were cut at the card's max_tokens."""
        vectors = np.empty((len(sentences), self.dims), np.float32)
        truncated = done = 0
        loaded = self._load()
        workers = _GPU_THREADS if loaded.graph.on_gpu else self.threads
        pool = ThreadPoolExecutor(workers, thread_name_prefix=f"encode-{self.name}")
        try:
            for start, tokens in self._tokenized_ahead(pool, sentences):
                truncated += tokens.truncated
                for rows in self._encode_window(pool, tokens, vectors[start : start + _WINDOW]):
                    done += rows
                    if progress is not None:
                        progress(done)
        finally:
            pool.shutdown(cancel_futures=True)
        return Encoding(vectors, truncated)

    def encode_here(self, tokens: Tokens) -> NDArray[np.float32]:
        """Encode tokenised sentences in the calling thread alone, in as few batches as may be: (n, dims) float32.

        In its last bits a vector may differ from that of `encode`.

        Raises:
            EncoderError: as `encode`.
        """
        graph = self._load().graph
        vectors = np.empty((len(tokens.lengths), self.dims), np.float32)
        for rows in token_budget_batches(tokens.lengths, graph.token_budget):
            vectors[rows] = graph.run(*tokens.padded(rows))
        return vectors

    def tokenize(self, sentences: Sequence[str]) -> Tokens:
        """The tokens of the sentences, cut at the card's max_tokens; loads the model.

        Raises:
            EncoderError, InputError: as `encode`.
        """
        return self._load().tokenizer(sentences)

    def token_spans(self, sentence: str) -> list[tuple[int, int]]:
        """Which characters of a sentence each of its tokens stands for, as if it were of any length; (0, 0) for marks.

        Raises:
            ParameterError: `no-token-vectors`: its tokenizer does not tell.
            EncoderError, InputError: as `encode`.
        """
        return self._load().tokenizer.spans(sentence)

    def encode_batch(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """Encode a few sentences, at least one, as a single batch padded to the longest: (n, dims) float32.

        Raises:
            EncoderError, InputError: as `encode`.
        """
        loaded = self._load()
        tokens = loaded.tokenizer(sentences)
        return loaded.graph.run(*tokens.padded(np.arange(len(sentences))))

    def _tokenized_ahead(self, pool: ThreadPoolExecutor, sentences: Sequence[str]) -> Iterator[tuple[int, Tokens]]:
        """Each window's first row and its tokens; the next one is being tokenised while the caller has this one."""
        tokenize = self._load().tokenizer
        following: Future[Tokens] | None = None
        for start in range(0, len(sentences), _WINDOW):
            tokens = following.result() if following else tokenize(sentences[start : start + _WINDOW])
            if (stop := start + _WINDOW) < len(sentences):
                following = pool.submit(tokenize, sentences[stop : stop + _WINDOW])
            yield start, tokens

    def _encode_window(self, pool: ThreadPoolExecutor, tokens: Tokens, vectors: NDArray[np.float32]) -> Iterator[int]:
        """Fill `vectors` batch by batch; yields the rows of each batch when it is done."""
        graph = self._load().graph
        lengths = padded_lengths(tokens.lengths, self.card.max_tokens)

        def encode(rows: NDArray[np.int64]) -> int:
            together = rows if len(rows) > 1 else rows.repeat(2)
            vectors[rows] = graph.run(*tokens.padded(together, int(lengths[rows[0]])))[: len(rows)]
            return len(rows)

        batches = equal_length_batches(lengths, graph.token_budget)
        # A single batch, such as a query, is not worth waking a thread for.
        return map(encode, batches) if len(batches) == 1 else pool.map(encode, batches)

    def _load(self) -> _Loaded:
        with self._lock:
            if self._loaded is None:
                for name in self.card.files_of(self.precision):
                    self._check(name)
                self._loaded = _Loaded(self._graph(), self._tokenizer())
            return self._loaded

    def _graph(self) -> Graph:
        model = self.directory / self.precision.file
        return Graph(model, dims=self.card.dims, name=self.card.name, device=self._device)

    def _tokenizer(self) -> Tokenizer:
        card = self.card
        model = (self.directory / card.tokenizer.files[0]).read_bytes()
        if card.tokenizer is TokenizerKind.HUGGINGFACE:
            return JsonTokenizer(model, prefix=card.prefix, max_tokens=card.max_tokens)
        if card.tokenizer is TokenizerKind.LASER:
            vocabulary = (self.directory / VOCABULARY).read_bytes()
            options = {"max_tokens": card.max_tokens, "threads": self.threads}
            return LaserTokenizer(model, vocabulary, prefix=card.prefix, **options)
        return SentencePieceTokenizer(model, prefix=card.prefix, max_tokens=card.max_tokens, threads=self.threads)

    def _check(self, name: str) -> None:
        """
        Raises:
            EncoderError: the file is missing, or its content is not what the card records.
        """
        path = self.directory / name
        try:
            found = file_sha256(path)
        except FileNotFoundError as error:
            raise EncoderError(f"{path} is missing; install the encoder {self.name} again") from error
        if found != self.card.files[name]:
            raise EncoderError(f"{path} is damaged: its sha256 is not the recorded one; install {self.name} again")


_BEST_FIRST = {
    Provider.CPU: (Precision.INT8, Precision.FP32, Precision.FP16),
    Provider.CUDA: (Precision.FP16, Precision.FP32, Precision.INT8),
}


def _chosen_precision(card: EncoderCard, wanted: Precision | None, device: Device) -> Precision:
    there = card.precisions
    if wanted is None and len(there) == 1:
        return there[0]  # whatever the device: it is not worth the time to try a GPU before the first use
    if wanted is None:
        return next(each for each in _BEST_FIRST[chosen_provider(device)] if each in there)
    if wanted not in there:
        message = f"the encoder {card.name} is not installed as {wanted.value}, but as {', '.join(there)}"
        raise ParameterError(message, code="precision-not-installed")
    return wanted
