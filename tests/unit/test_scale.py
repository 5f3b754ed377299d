"""docs/scale.md has the figures that benchmarks/scale.py works out."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import scale

DOCUMENT = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")


def test_the_document_has_every_table() -> None:
    for table in scale.tables():
        assert table in DOCUMENT


def test_wikimatrix_is_as_large_as_it_was() -> None:
    sizes, pairs = scale.wikimatrix_sizes(), scale.wikimatrix_pairs()
    assert len(sizes) == 85
    assert sum(sizes) == pytest.approx(600e6, abs=100)
    assert len(set(pairs)) == len(pairs) == 1620
    mined = set(pairs)
    others = [sizes[i] * sizes[j] for i in range(85) for j in range(i) if (sizes[j], sizes[i]) not in mined]
    assert min(src * tgt for src, tgt in pairs) >= max(others)


def test_the_model_is_near_what_was_measured() -> None:
    """Within 1.8 times, where a search takes longer than a plan's fixed seconds."""
    for size, name, seconds in scale.MEASURED:
        found = scale.estimates((size, size), 512, threads=2)[name].seconds
        assert seconds < found < 1.8 * seconds + 3


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (0.0123, "0.012"), (9.96, "10"), (1234, "1,200"), (43.21, "43")]
)
def test_two_digits_that_count(number: float, text: str) -> None:
    assert scale.shown(number) == text
