"""Texts that the tiny encoder tells apart as a real one does real text: translations are the same words elsewhere."""

from __future__ import annotations

import random

NOUNS = "museum lake map station weather book city plan See Karte Bahnhof Stadt lac livre gare ville озеро книга"


def sentences(seed: int, count: int) -> list[str]:
    """No two alike, also of other seeds."""
    draw = random.Random(seed)
    return [" ".join(draw.choices(NOUNS.split(), k=7)) + f" {draw.randrange(10**6)}" for _ in range(count)]


def translated(text: str) -> str:
    """Another sentence that is near."""
    return " ".join(reversed(text.split())) + " !"
