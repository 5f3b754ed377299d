"""A file in the layout of e5-small with random weights, and what it says computed by the plain formula."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

HIDDEN, LAYERS, HEADS, INNER, ROWS, POSITIONS, TYPES = 64, 2, 4, 96, 40, 24, 2
EPSILON = 1e-12
# The first four as in XLM-R; the likelier piece has the higher score.
PIECES = (
    *(("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), ("a", -3.0), ("b", -3.5)),
    *(("é", -4.0), ("▁ab", -1.5), ("query", -2.5), (":", -2.0), ("～", -3.0), ("~", -3.0), ("1", -3.0)),
    *(("東京", -2.0), ("京", -4.0), ("س", -3.0), ("لام", -2.0), ("ไทย", -2.0)),
)
MAPPING = {"\x01": "", "\x7f": "", "\t": " ", "\u200c": " ", "\ufeff": " ", "①": "1", "ａ": "a"}

Array = NDArray[np.float64]


@dataclass
class TinyE5:
    """The file's content, before it is put together; tests change it first."""

    tensors: dict[str, Array]
    magic: bytes = b"E5S1"
    version: int = 1
    sizes: list[int] = field(default_factory=lambda: [HIDDEN, LAYERS, HEADS, INNER, ROWS, POSITIONS, TYPES])
    block: int = 32
    pieces: list[tuple[str, float]] = field(default_factory=lambda: list(PIECES))
    marks: tuple[int, int, int, int] = (0, 2, 1, 3)

    @classmethod
    def random(cls, seed: int = 4) -> TinyE5:
        """Matrices in 4 bits, everything else in float32."""
        generator = np.random.default_rng(seed)
        shapes: dict[str, tuple[int, ...]] = {"emb.word": (ROWS, HIDDEN), "emb.pos": (POSITIONS, HIDDEN)}
        shapes |= {"emb.type": (TYPES, HIDDEN), "emb.ln.w": (HIDDEN,), "emb.ln.b": (HIDDEN,)}
        for i in range(LAYERS):
            shapes |= {f"l{i}.{part}.w": (HIDDEN, HIDDEN) for part in ("q", "k", "v", "ao")}
            shapes |= {f"l{i}.fi.w": (INNER, HIDDEN), f"l{i}.fo.w": (HIDDEN, INNER), f"l{i}.fi.b": (INNER,)}
            shapes |= {f"l{i}.{part}.b": (HIDDEN,) for part in ("q", "k", "v", "ao", "fo", "aln", "oln")}
            shapes |= {f"l{i}.{part}.w": (HIDDEN,) for part in ("aln", "oln")}
        return cls({name: _random(generator, name, shape) for name, shape in shapes.items()})

    def content(self) -> bytes:
        """The file."""
        names = [piece.encode() for piece, _ in self.pieces]
        offsets = np.cumsum([0, *map(len, names)])
        mapping = b"".join(
            struct.pack(f"<IB{len(stand_in)}I", ord(character), len(stand_in), *map(ord, stand_in))
            for character, stand_in in MAPPING.items()
        )
        head = b"".join(
            (
                self.magic,
                struct.pack("<I7ifi", self.version, *self.sizes, EPSILON, self.block),
                struct.pack("<5iQ", len(names), *self.marks, offsets[-1]),
                offsets.astype("<u4").tobytes(),
                np.array([score for _, score in self.pieces], "<f4").tobytes(),
                *names,
                struct.pack("<2i", len(MAPPING), len(mapping)),
                mapping,
                struct.pack("<i", len(self.tensors)),
            )
        )
        stored = {name: _stored(name, tensor) for name, tensor in self.tensors.items()}
        at = len(head) + sum(2 + len(name) + 21 for name in stored)
        directory, body = [], []
        for name, (kind, numbers) in stored.items():
            entry = struct.pack("<BIQQ", kind, self.tensors[name].size, at, len(numbers))
            directory.append(struct.pack("<H", len(name)) + name.encode() + entry)
            body.append(numbers)
            at += len(numbers)
        return b"".join((head, *directory, *body))

    def vector(self, ids: list[int]) -> Array:
        """The vector of one sentence, in float64: (HIDDEN,)."""
        get = self.tensors.__getitem__
        x = get("emb.word")[ids] + get("emb.pos")[: len(ids)] + get("emb.type")[0]
        x = _layer_norm(x, get("emb.ln.w"), get("emb.ln.b"))
        for i in range(LAYERS):
            q, k, v = (x @ get(f"l{i}.{part}.w").T + get(f"l{i}.{part}.b") for part in "qkv")
            width = HIDDEN // HEADS
            context = np.empty_like(x)
            for head in range(HEADS):
                here = slice(head * width, (head + 1) * width)
                weights = np.exp(q[:, here] @ k[:, here].T / math.sqrt(width))
                context[:, here] = weights / weights.sum(axis=1, keepdims=True) @ v[:, here]
            attention = context @ get(f"l{i}.ao.w").T + get(f"l{i}.ao.b")
            x = _layer_norm(x + attention, get(f"l{i}.aln.w"), get(f"l{i}.aln.b"))
            inner = x @ get(f"l{i}.fi.w").T + get(f"l{i}.fi.b")
            inner = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
            outer = inner @ get(f"l{i}.fo.w").T + get(f"l{i}.fo.b")
            x = _layer_norm(x + outer, get(f"l{i}.oln.w"), get(f"l{i}.oln.b"))
        mean: Array = x.mean(axis=0)
        return mean / np.linalg.norm(mean)


def _random(generator: np.random.Generator, name: str, shape: tuple[int, ...]) -> Array:
    if not _in_4_bits(name):
        around = 1.0 if name.endswith("n.w") else 0.0
        return (around + generator.normal(scale=0.3, size=shape)).astype(np.float32).astype(np.float64)
    codes = generator.integers(0, 16, (math.prod(shape) // 32, 32)) - 8
    scales = generator.uniform(0.01, 0.05, (len(codes), 1)).astype(np.float16).astype(np.float64)
    return (codes * scales).reshape(shape)


def _in_4_bits(name: str) -> bool:
    layer, _, part = name.partition(".")
    return name == "emb.word" or (layer != "emb" and part in {"q.w", "k.w", "v.w", "ao.w", "fi.w", "fo.w"})


def _stored(name: str, tensor: Array) -> tuple[int, bytes]:
    """The type of a tensor and its bytes. A block's scale is the step between its numbers."""
    if not _in_4_bits(name):
        return 0, tensor.astype("<f4").tobytes()
    blocks = []
    for block in tensor.reshape(-1, 32):
        scale = min(step for step in np.abs(np.diff(np.unique(block))))
        codes = np.rint(block / scale).astype(int) + 8
        packed = codes[:16] | codes[16:] << 4
        blocks.append(np.float16(scale).tobytes() + packed.astype(np.uint8).tobytes())
    return 1, b"".join(blocks)


def _layer_norm(x: Array, gamma: Array, beta: Array) -> Array:
    centred = x - x.mean(axis=1, keepdims=True)
    normed: Array = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + EPSILON) * gamma + beta
    return normed
