"""Retrieval accuracy and xSIM against plain loops over the definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bitextmine.encoders import Encoder
from bitextmine.errors import CorpusInputError, InputError, MismatchError, ParameterError
from bitextmine.evaluation import xsim as xsim_module
from bitextmine.evaluation.retrieval import Accuracy, accuracies
from bitextmine.evaluation.sentences import read_aligned, read_sentences
from bitextmine.evaluation.xsim import Xsim, encode_stored, xsim
from bitextmine.margin import Margin
from bitextmine.resources import Resources
from bitextmine.vectors import StoredVectors, unit_rows
from tests.tiny_encoder import build_tiny_encoder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return build_tiny_encoder(tmp_path_factory.mktemp("tiny"))


def aligned(n: int, *, noise: float, seed: int = 1, dims: int = 6) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Vectors of n sentences with a direction in common, and of what stands for their translations."""
    rng = np.random.default_rng(seed)
    src = rng.standard_normal((n, dims)) + 1
    return unit_rows(src), unit_rows(src + noise * rng.standard_normal((n, dims)) + 0.5)


def slow_score(cosine: float, mean: float, margin: Margin) -> float:
    if margin is Margin.ABSOLUTE:
        return cosine
    if margin is Margin.DISTANCE:
        return cosine - mean
    return cosine / mean if mean > 0 else -np.inf


def slow_scores(src: NDArray[np.float32], tgt: NDArray[np.float32], margin: Margin, k: int) -> NDArray[np.float64]:
    cosines = src.astype(np.float64) @ tgt.T.astype(np.float64)
    src_means = [np.mean(sorted(row)[-k:]) for row in cosines]
    tgt_means = [np.mean(sorted(column)[-k:]) for column in cosines.T]
    return np.array(
        [
            [slow_score(cosine, (src_means[x] + tgt_means[y]) / 2, margin) for y, cosine in enumerate(row)]
            for x, row in enumerate(cosines)
        ]
    )


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from(list(Margin)), st.integers(0, 50), st.floats(0, 3))
def test_accuracy_is_the_share_whose_translation_scores_highest(
    n: int, k: int, margin: Margin, seed: int, noise: float
) -> None:
    k = min(k, n)
    src, tgt = aligned(n, noise=noise, seed=seed)
    scores = slow_scores(src, tgt, margin, k)
    forward = [np.isfinite(scores[x, x]) and scores[x].argmax() == x for x in range(n)]
    backward = [np.isfinite(scores[y, y]) and scores[:, y].argmax() == y for y in range(n)]
    found = accuracies(src, tgt, k=k, margins=[margin])
    assert list(found) == [margin]
    assert (found[margin].forward, found[margin].backward) == pytest.approx(
        (100 * np.mean(forward), 100 * np.mean(backward))
    )


def test_a_margin_finds_what_a_hub_hides_from_the_cosine() -> None:
    """The second target lies between the other sources, so by cosine it is what all three find."""
    src, tgt = (
        np.array([(np.cos(angle), np.sin(angle)) for angle in np.radians(degrees)], np.float32)
        for degrees in ((0, 22, 45), (-30, 22, 80))
    )
    found = accuracies(src, tgt, k=2)
    assert found[Margin.ABSOLUTE] == Accuracy(pytest.approx(100 / 3), 100)
    assert found[Margin.RATIO] == found[Margin.DISTANCE] == Accuracy(100, 100)


def test_the_earliest_of_equal_translations_counts() -> None:
    rows = np.eye(3, dtype=np.float32)[[0, 1, 1, 2]]
    assert accuracies(rows, rows, k=1, margins=[Margin.ABSOLUTE])[Margin.ABSOLUTE] == Accuracy(75, 75)


def test_sentences_without_a_score_have_not_found_their_translation() -> None:
    src = np.eye(2, dtype=np.float32)
    found = accuracies(src, -src, k=2)
    assert found[Margin.RATIO] == Accuracy(0, 0), "all neighbourhood means are below zero"
    assert accuracies(src, -src, k=2, margins=[Margin.DISTANCE])[Margin.DISTANCE] == Accuracy(0, 0)


def test_neighbourhoods_and_sides_that_cannot_be_are_refused() -> None:
    src, tgt = aligned(5, noise=0.1)
    for k, code in ((0, "invalid-k"), (-1, "invalid-k"), (6, "k-too-large")):
        with pytest.raises(ParameterError) as caught:
            accuracies(src, tgt, k=k)
        assert caught.value.code == code
    with pytest.raises(MismatchError):
        accuracies(src, tgt[:4], k=1)


def slow_xsim(
    src: NDArray[np.float32], tgt: NDArray[np.float32], texts: list[str], k: int, margin: Margin
) -> tuple[int, float]:
    """Errors of the source by LASER's definition, and by how little the closest call was decided."""
    cosines = src.astype(np.float64) @ tgt.T.astype(np.float64)
    nearest = [sorted(range(len(tgt)), key=lambda y, row=row: (-row[y], y))[:k] for row in cosines]
    scores = slow_scores(src, tgt, margin, k)
    errors, closest = 0, np.inf
    for x, candidates in enumerate(nearest):
        by_score = sorted(candidates, key=lambda y: -scores[x, y])
        errors += texts[by_score[0]] != texts[x] or not np.isfinite(scores[x, by_score[0]])
        unlike = [y for y in range(len(tgt)) if texts[y] != texts[by_score[0]]]
        closest = min([closest, *(abs(scores[x, by_score[0]] - scores[x, y]) for y in unlike)])
    return errors, float(closest)


@pytest.mark.parametrize("margin", list(Margin))
@pytest.mark.parametrize(("n", "k", "seed"), [(2, 1, 0), (30, 4, 1), (80, 4, 2), (80, 16, 3)])
def test_xsim_counts_what_the_definition_counts(n: int, k: int, seed: int, margin: Margin) -> None:
    src, tgt = (StoredVectors.of(side) for side in aligned(n, noise=0.9, seed=seed, dims=16))
    texts = [f"t{row}" for row in range(n)]
    result = xsim((src, tgt), (texts, texts), k=k, margin=margin)
    rows, others = src.block(0, n), tgt.block(0, n)
    forward, backward = slow_xsim(rows, others, texts, k, margin), slow_xsim(others, rows, texts, k, margin)
    assert min(forward[1], backward[1]) > 1e-6, "a tie would make the comparison vain"
    assert result == Xsim(n, forward[0], backward[0])
    assert (result.forward, result.backward) == (100 * forward[0] / n, 100 * backward[0] / n)
    if n > 2:
        assert 0 < result.forward_errors < n


def test_a_copy_of_the_aligned_sentence_is_right(tiny: Encoder) -> None:
    src = ["the museum opens", "the lake", "das Museum öffnet", "ein See"]
    tgt = ["museum", "lake", "museum", "lake"]
    vectors = tuple(encode_stored(side, tiny, stage="encode")[0] for side in (["museum", "lake"] * 2, tgt))
    assert xsim((vectors[0], vectors[1]), (src, tgt), k=2) == Xsim(4, 0, 2), "backward, the first source of two wins"
    assert xsim((vectors[0], vectors[1]), (tgt, tgt), k=2) == Xsim(4, 0, 0)


def test_xsim_refuses_what_is_not_aligned_or_does_not_fit() -> None:
    src, tgt = (StoredVectors.of(side) for side in aligned(5, noise=0.1))
    texts = list("abcde")
    for sides in ((texts, texts[:4]), (texts[:4], texts[:4])):
        with pytest.raises(InputError) as caught:
            xsim((src, tgt), sides)
        assert caught.value.code == "not-aligned"
    with pytest.raises(ParameterError) as too_large:
        xsim((src, tgt), (texts, texts), k=6)
    assert too_large.value.code == "k-too-large"
    with pytest.raises(ParameterError) as too_small:
        xsim((src, tgt), (texts, texts), resources=Resources(1, 1 << 20))
    assert too_small.value.code == "memory-too-small"


def test_many_sentences_are_encoded_in_parts(tiny: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xsim_module, "ENCODED_ROWS", 7)
    sentences = [f"museum {n} lake {n * n}" for n in range(20)] + ["the museum " * 60]
    said: list[tuple[int, int | None]] = []
    stored, truncated = encode_stored(
        sentences, tiny, stage="encode-src", progress=lambda stage, done, total: said.append((done, total))
    )
    assert truncated == 1
    assert said[-1] == (21, 21)
    assert [done for done, _ in said] == sorted(done for done, _ in said)
    np.testing.assert_allclose(stored.block(0, 21), tiny.encode(sentences), atol=1e-3)


@pytest.mark.parametrize(
    ("content", "said", "code"),
    [
        (b"", "is empty", "empty-corpus"),
        (b"one\n\nthree\n", "line 2: blank", "invalid-corpus"),
        (b"one\n \t\n", "line 2: blank", "invalid-corpus"),
        (b"one\ntwo\n\n", "line 3: blank", "invalid-corpus"),
        (b"one\ntw\xff\n", "line 2: not UTF-8", "invalid-corpus"),
        (b"one\n" + b"x" * 400_000, "line 2: longer than", "invalid-corpus"),
        (b"\xff\xfeo\0n\0e\0", "UTF-16", "unsupported-input"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03cut", "tr", "truncated-input"),
    ],
)
def test_a_file_that_cannot_be_aligned_is_refused(tmp_path: Path, content: bytes, said: str, code: str) -> None:
    path = tmp_path / "dev.de"
    path.write_bytes(content)
    with pytest.raises(CorpusInputError, match=rf"dev\.de.*{said}") as caught:
        read_sentences(path)
    assert caught.value.code == code


def test_a_mark_at_the_beginning_and_line_ends_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "src").write_bytes(b"\xef\xbb\xbfone\r\ntwo")
    (tmp_path / "tgt").write_bytes(b"eins\nzwei\n")
    assert read_aligned(tmp_path / "src", tmp_path / "tgt") == (["one", "two"], ["eins", "zwei"])
