"""m-n alignment of documents: beads, blocks, the band, and the scores."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bitextmine.alignment import (
    AlignmentParameters,
    Bead,
    GoldBead,
    align,
    align_blocks,
    path_svg,
    read_ladder,
    score_alignment,
    without_other_lines,
)
from bitextmine.alignment.align import _band
from bitextmine.alignment.blocks import block_texts, embed_blocks, halve
from bitextmine.alignment.path import steps_of
from bitextmine.errors import InputError, MismatchError, ParameterError

DIMS = 48
NOISE = 0.1


def bag_of_words(texts: Sequence[str]) -> NDArray[np.float32]:
    """A vector a word, in whatever case, summed over the text, and a little of the text's own, as translations have."""
    words = {word for text in texts for word in text.split()}
    table = {word: _vector(word.lower()) for word in words}
    sums = [sum(table[word] for word in text.split()) + NOISE * len(text) ** 0.5 * _vector(text) for text in texts]
    return np.array(sums, np.float32).reshape(-1, DIMS)


def _vector(text: str) -> NDArray[np.float64]:
    return np.random.default_rng(list(text.encode())).standard_normal(DIMS)


def words(*numbers: int) -> str:
    return " ".join(f"w{number}a w{number}b w{number}c" for number in numbers)


def spans(beads: Sequence[Bead]) -> list[tuple[range, range]]:
    return [(bead.src, bead.tgt) for bead in beads]


def test_merged_split_added_and_left_out_sentences_are_found() -> None:
    src = [words(0), words(1), words(2), words(3, 4), words(5), words(100), words(6), words(7), words(8), words(9)]
    tgt = [words(0), words(1, 2), words(3), words(4), words(5), words(6), words(200), words(7), words(8), words(9)]
    beads = align(src, [text.upper() for text in tgt], bag_of_words)
    assert spans(beads) == [
        (range(0, 1), range(0, 1)),
        (range(1, 3), range(1, 2)),
        (range(3, 4), range(2, 4)),
        (range(4, 5), range(4, 5)),
        (range(5, 6), range(5, 5)),
        (range(6, 7), range(5, 6)),
        (range(7, 7), range(6, 7)),
        (range(7, 8), range(7, 8)),
        (range(8, 9), range(8, 9)),
        (range(9, 10), range(9, 10)),
    ]
    kept, left_out = ([b.cost for b in beads if bool(b.src and b.tgt) is full] for full in (True, False))
    assert max(kept) < 0.3
    assert min(left_out) > 0.3


def test_beads_of_one_to_one_only_where_that_is_asked_for() -> None:
    src, tgt = [words(0), words(1), words(2)], [words(0, 1), words(2)]
    beads = align(src, tgt, bag_of_words, AlignmentParameters(largest=2))
    assert all(len(bead.src) <= 1 and len(bead.tgt) <= 1 for bead in beads)


def test_a_document_of_nothing_aligns_with_nothing() -> None:
    assert align([], [], bag_of_words) == []
    assert spans(align(["a", "b"], [], bag_of_words)) == [(range(0, 1), range(0)), (range(1, 2), range(0))]
    assert spans(align([], ["a"], bag_of_words)) == [(range(0), range(0, 1))]


def random_documents(count: int, seed: int) -> tuple[list[str], list[str], list[Bead]]:
    """Two documents of the same words, merged, split and thinned at random, and how they belong together."""
    rng = np.random.default_rng(seed)
    src: list[str] = []
    tgt: list[str] = []
    gold = []
    number = 0
    while number < count:
        a, b = [(1, 1), (1, 1), (1, 1), (2, 1), (1, 2), (1, 0), (0, 1)][rng.integers(7)]
        many = max(a, b)
        texts = [words(n) for n in range(number, number + many)]
        src_texts = [] if not a else [" ".join(texts)] if a < many else texts
        tgt_texts = [] if not b else [" ".join(texts)] if b < many else texts
        gold.append(Bead(range(len(src), len(src) + a), range(len(tgt), len(tgt) + b), 0.0))
        src, tgt, number = src + src_texts, tgt + tgt_texts, number + many
    return src, tgt, gold


@pytest.mark.parametrize("count", [60, 1500])
def test_long_documents_are_aligned_as_well_as_short_ones(count: int) -> None:
    """1,500 sentences do not fit one table: they go through two coarser levels."""
    src, tgt, gold = random_documents(count, seed=3)
    scores = score_alignment(align(src, [text.upper() for text in tgt], bag_of_words), gold)
    assert scores.strict_f1 > 0.9
    assert scores.lax_f1 > 0.98


def test_a_long_stretch_that_is_missing_is_stepped_over() -> None:
    texts = [words(n) for n in range(900)]
    kept = [*range(300), *range(520, 900)]
    beads = align(texts, [texts[n].upper() for n in kept], bag_of_words)
    found = {bead.src.start: bead.tgt.start for bead in beads if bead.src and bead.tgt}
    right = sum(found.get(n) == row for row, n in enumerate(kept))
    assert right > 0.97 * len(kept)


def test_a_few_sentences_are_found_in_a_long_document() -> None:
    long, few = [words(n) for n in range(700)], [words(n).upper() for n in (100, 300, 650)]
    for src, tgt, wanted in ((long, few, {(100, 0), (300, 1), (650, 2)}), (few, long, {(0, 100), (1, 300), (2, 650)})):
        found = [bead for bead in align(src, tgt, bag_of_words) if bead.src and bead.tgt]
        assert {(bead.src[0], bead.tgt[0]) for bead in found} == wanted
        assert all(len(bead.src) == len(bead.tgt) == 1 for bead in found)


def test_single_sentences_are_aligned_if_they_are_alike() -> None:
    (bead,) = align([words(1, 2, 3)], [words(1, 2, 4).upper()], bag_of_words)
    assert (bead.src, bead.tgt) == (range(1), range(1))
    assert 0.4 < bead.score < 1
    assert not any(bead.src and bead.tgt for bead in align([words(1)], [words(2)], bag_of_words))
    (bead,) = align([words(1), words(2)], [words(1, 2).upper()], bag_of_words)
    assert (len(bead.src), len(bead.tgt)) == (2, 1)


def test_the_band_grows_with_the_length_not_with_its_square() -> None:
    parameters = AlignmentParameters()
    vectors = np.random.default_rng(0).standard_normal((4000, DIMS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    low, high = _band(vectors, vectors, parameters)
    assert (high - low).max() < 8 * (parameters.radius + parameters.largest)
    assert (low[0], high[-1]) == (0, 4000)


@settings(deadline=None, max_examples=60)
@given(n=st.integers(0, 40), m=st.integers(0, 40), largest=st.integers(2, 7), seed=st.integers(0, 2**16))
def test_every_sentence_is_in_one_bead_in_order(n: int, m: int, largest: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    parameters = AlignmentParameters(largest=largest)
    blocks = [rng.standard_normal((parameters.blocks, rows, 8)).astype(np.float32) for rows in (n, m)]
    blocks = [array / np.linalg.norm(array, axis=2, keepdims=True) for array in blocks]
    beads = align_blocks(*blocks, parameters)
    assert [row for bead in beads for row in bead.src] == list(range(n))
    assert [row for bead in beads for row in bead.tgt] == list(range(m))
    for bead in beads:
        assert 1 <= len(bead.src) + len(bead.tgt) <= largest
        assert bead.cost >= -1e-6
    for one, other in pairwise(beads):
        assert one.src.stop == other.src.start
        assert one.tgt.stop == other.tgt.start


def test_vectors_of_zeros_and_of_one_direction_do_no_harm() -> None:
    for array in (np.zeros((5, 30, 4), np.float32), np.full((5, 30, 4), 0.5, np.float32)):
        beads = align_blocks(array, array[:, :20])
        assert [row for bead in beads for row in bead.tgt] == list(range(20))


def test_blocks_end_where_they_say() -> None:
    assert block_texts(["a", "b", "c"], 3) == [["a", "b", "c"], ["", "a b", "b c"], ["", "", "a b c"]]
    assert block_texts(["你", "好"], 2, "")[1] == ["", "你好"]
    vectors = embed_blocks(["a", "b", "a"], bag_of_words, 2)
    assert vectors.shape == (2, 3, DIMS)
    assert np.array_equal(vectors[0, 0], vectors[0, 2])
    assert not vectors[1, 0].any()
    np.testing.assert_allclose(np.linalg.norm(vectors[1, 1:], axis=1), 1, atol=1e-6)


def test_halving_keeps_the_odd_one() -> None:
    halves = halve(np.eye(5, dtype=np.float32))
    assert halves.shape == (3, 5)
    np.testing.assert_allclose(halves[0], [2**-0.5, 2**-0.5, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(halves[2], [0, 0, 0, 0, 1])


def test_steps_are_all_shapes_up_to_the_largest() -> None:
    assert steps_of(2).tolist() == [[1, 0], [0, 1], [1, 1]]
    assert sorted(steps_of(4).tolist()) == [[0, 1], [1, 0], [1, 1], [1, 2], [1, 3], [2, 1], [2, 2], [3, 1]]


def test_scores_strict_and_lax() -> None:
    gold = [Bead(range(0, 1), range(0, 1), 0), Bead(range(1, 3), range(1, 2), 0), Bead(range(3, 4), range(2, 2), 0)]
    found = [Bead(range(0, 1), range(0, 1), 0), Bead(range(1, 2), range(1, 2), 0), Bead(range(2, 4), range(2, 3), 0)]
    scores = score_alignment(found, gold)
    assert (scores.strict_precision, scores.strict_recall) == (pytest.approx(1 / 3), 0.5)
    assert (scores.lax_precision, scores.lax_recall) == (pytest.approx(2 / 3), 1.0)
    assert scores.strict_f1 == pytest.approx(0.4)
    assert score_alignment([], []).lax_f1 == 1.0


def test_sentences_of_gold_beads_need_not_be_neighbours() -> None:
    gold = [GoldBead([0, 2], [0]), GoldBead([1], [1])]
    scores = score_alignment([Bead(range(3), range(1), 0), Bead(range(0), range(1, 2), 0)], gold)
    assert (scores.strict_precision, scores.lax_precision, scores.lax_recall) == (0, 1, 0.5)


def test_gold_is_read_as_vecalign_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "gold.path"
    path.write_text("\ufeff[0]:[0]:0.250000\n[1, 2]:[1]\r\n\n[3,4]:[]:0.1\n [] : [ 2 ] \n")
    beads = read_ladder(path)
    sides = [(list(bead.src), list(bead.tgt)) for bead in beads]
    assert sides == [([0], [0]), ([1, 2], [1]), ([3, 4], []), ([], [2])]
    again = without_other_lines(beads, {0, 1, 3}, {0, 2})
    assert [(list(bead.src), list(bead.tgt)) for bead in again] == [([0], [0]), ([1], []), ([3], []), ([], [2])]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[0]:[0]\n[1:[1]\n", "line 2: not a bead"),
        (b"0:0\n", "line 1: not a bead"),
        (b"[0]:[0]:1:2\n", "not a bead"),
        (b"[-1]:[0]\n", "not a bead"),
        (b"[0 1]:[0]\n", "not a bead"),
        (b"[0,]:[0]\n", "not a bead"),
        (b"[2, 1]:[0]\n", "do not rise"),
        (b"[0]:[1, 1]\n", "do not rise"),
        (b"\n", "no bead"),
        (b"[0]:[\xff]\n", "not UTF-8"),
    ],
)
def test_what_is_no_gold_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "gold").write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_ladder(tmp_path / "gold")
    assert caught.value.code == "invalid-gold"
    with pytest.raises(InputError, match="cannot read"):
        read_ladder(tmp_path / "none")


def test_a_picture_shows_each_bead_and_what_the_gold_has_otherwise() -> None:
    beads = [((0,), (0,), 0.9), ((1, 2), (1,), 0.5), ((3,), (), None), ((4,), (2,), -0.2)]
    svg = path_svg(beads, ("a<b.de", "c.en"), gold=[GoldBead([0], [0]), GoldBead([1], [1]), GoldBead([2, 9], [2])])
    root = ElementTree.fromstring(svg)
    drawn = {node.get("class"): 0 for node in root.iterfind(".//{*}rect")}
    for node in root.iterfind(".//{*}rect"):
        drawn[node.get("class")] += 1
    assert drawn == {"frame": 1, "bead": 3, "gold": 2}
    assert any("a<b.de" in (node.text or "") for node in root.iterfind(".//{*}text"))
    assert "5 sentences" in svg
    assert "3 sentences" in svg
    assert len(path_svg([((n,), (n,), 0.5) for n in range(20_000)], ("a", "b"))) < 6_000_000


def test_what_cannot_be_is_refused() -> None:
    for wrong in ({"largest": 1}, {"largest": 17}, {"radius": 0}):
        with pytest.raises(ParameterError):
            AlignmentParameters(**wrong)
    with pytest.raises(MismatchError, match="not two documents"):
        align_blocks(np.zeros((5, 3, 4), np.float32), np.zeros((5, 3, 8), np.float32))
    with pytest.raises(MismatchError, match="finite"):
        align(["a"], ["b"], lambda texts: np.full((len(texts), 4), np.nan))
    with pytest.raises(MismatchError, match="2 texts"):
        align(["a", "b"], ["b"], lambda texts: np.zeros((1, 4)), AlignmentParameters(largest=2))
