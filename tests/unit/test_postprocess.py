"""Post-processing of vectors against the formulas, written out."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from bitextmine.encoders.postprocess import FittedPostProcessing, PostProcessing, Step, shrinkage
from bitextmine.errors import ArtifactError, MismatchError, ParameterError

DIMS = 12
COMBINATIONS = [",".join(steps) for count in (1, 2, 3) for steps in permutations(Step, count)]


def unit(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rows of length 1, one at a time; zero rows as they are."""
    return np.array([row / np.linalg.norm(row) if row.any() else row for row in rows.astype(np.float64)])


def sample(rows: int = 60, *, seed: int = 3, dims: int = DIMS) -> NDArray[np.float32]:
    """Unit vectors with a common direction, directions of unlike variance, and a dimension that dominates."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((dims, dims))
    vectors = rng.standard_normal((rows, dims)) @ mixing + 2 * rng.standard_normal(dims)
    vectors[:, 5] = 60 + rng.standard_normal(rows)
    return unit(vectors).astype(np.float32)


def written_out(step: Step, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a step makes of the rows that it is fitted on."""
    n, dims = rows.shape
    if step is Step.CENTRE:
        return rows - rows.mean(axis=0)
    if step is Step.OUTLIERS:
        magnitudes = np.array([np.mean([abs(row[d]) for row in rows]) for d in range(dims)])
        bound = magnitudes.mean() + 3 * np.sqrt(np.mean((magnitudes - magnitudes.mean()) ** 2))
        return np.array([[row[d] if magnitudes[d] <= bound else 0.0 for d in range(dims)] for row in rows])
    centred = rows - rows.mean(axis=0)
    covariance = sum(np.outer(row, row) for row in centred) / n
    share, scale = ledoit_wolf(centred), np.trace(covariance) / dims
    shrunk = share * scale * np.eye(dims) + (1 - share) * covariance
    variances, directions = np.linalg.eigh(shrunk)
    return np.asarray(centred @ directions @ np.diag(variances**-0.5) @ directions.T)


def ledoit_wolf(centred: NDArray[np.floating]) -> float:
    """Ledoit & Wolf (2004), lemmas 3.2 to 3.4: b2 / d2, with norms divided by the number of dimensions."""
    n, p = centred.shape
    covariance = sum(np.outer(x, x) for x in centred) / n
    m = np.trace(covariance) / p
    d2 = np.sum((covariance - m * np.eye(p)) ** 2) / p
    b2 = sum(np.sum((np.outer(x, x) - covariance) ** 2) / p for x in centred) / n**2
    return float(min(b2, d2) / d2)


@pytest.mark.parametrize("text", COMBINATIONS)
def test_steps_are_the_formulas_in_the_order_given(text: str) -> None:
    vectors = sample()
    processing = PostProcessing.parse(text)
    expected = vectors.astype(np.float64)
    for step in processing.steps:
        expected = written_out(step, expected)
    found = processing.fit(vectors).apply(vectors)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, unit(expected), atol=2e-4)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_the_sample_has_what_the_steps_take_away() -> None:
    vectors = sample()
    outliers = PostProcessing.parse("outliers").fit(vectors)
    assert np.flatnonzero(outliers.steps[0].factor == 0).tolist() == [5]
    assert not outliers.apply(vectors)[:, 5].any()
    assert np.linalg.norm(vectors.mean(axis=0)) > 0.9
    assert np.linalg.norm(PostProcessing.parse("centre").fit(vectors).apply(vectors).mean(axis=0)) < 0.2


def test_other_vectors_are_processed_by_what_the_sample_was_like() -> None:
    seen, new = sample(), sample(7, seed=8)
    mean = seen.astype(np.float64).mean(axis=0)
    found = PostProcessing.parse("centre").fit(seen).apply(new)
    np.testing.assert_allclose(found, unit(new - mean), atol=1e-5)
    alone = np.concatenate([PostProcessing.parse("centre").fit(seen).apply(new[row : row + 1]) for row in range(7)])
    np.testing.assert_array_equal(alone, found)


def test_whitening_makes_every_direction_vary_alike_when_there_is_plenty_of_text() -> None:
    rng = np.random.default_rng(4)
    vectors = (rng.standard_normal((5_000, DIMS)) * np.geomspace(0.3, 3, DIMS) + 2).astype(np.float32)
    fitted = PostProcessing.parse("zca").fit(vectors)
    white = fitted.steps[0].apply(vectors)
    covariance = np.cov(white.T)
    np.testing.assert_allclose(covariance / covariance[0, 0], np.eye(DIMS), atol=0.05)
    factor = fitted.steps[0].factor
    np.testing.assert_allclose(factor, factor.T, atol=1e-5 * np.abs(factor).max())


@settings(deadline=None, max_examples=50)
@given(arrays(np.float64, st.tuples(st.integers(3, 9), st.integers(1, 5)), elements=st.integers(-4, 4)))
def test_shrinkage_is_ledoit_and_wolfs(rows: NDArray[np.float64]) -> None:
    centred = rows - rows.mean(axis=0)
    covariance = centred.T @ centred / len(rows)
    scale = np.trace(covariance) / rows.shape[1]
    if np.allclose(covariance, scale * np.eye(rows.shape[1])):
        assert 0 <= shrinkage(centred) <= 1
    else:
        assert shrinkage(centred) == pytest.approx(ledoit_wolf(centred), abs=1e-9)


def test_vectors_with_nothing_in_them_stay_finite() -> None:
    same = np.tile(sample(1), (DIMS, 1))
    for text in COMBINATIONS:
        found = PostProcessing.parse(text).fit(same).apply(same)
        assert np.isfinite(found).all(), text
    with_zero = np.concatenate([sample(), np.zeros((1, DIMS), np.float32)])
    found = PostProcessing.parse("centre,zca").fit(with_zero).apply(with_zero)
    assert not found[-1].any(), "a zero vector has no direction before and none after"
    assert np.isfinite(found).all()
    assert (
        PostProcessing.parse("centre,zca").fit(sample()).digest
        == PostProcessing.parse("centre,zca").fit(with_zero).digest
    )
    with pytest.raises(ParameterError, match="the sample has 1 vectors"):
        PostProcessing.parse("centre").fit(with_zero[-2:])


def test_a_direction_without_variance_is_not_stretched_without_bound() -> None:
    flat = sample(400)
    flat[:, 2] = flat[:, 3]
    fitted = PostProcessing.parse("zca").fit(flat)
    assert np.isfinite(fitted.apply(flat)).all()
    assert np.abs(fitted.steps[0].factor).max() < 1e4


def test_what_was_fitted_is_read_back_whole(tmp_path: Path) -> None:
    vectors = sample()
    digests = set()
    for number, text in enumerate(COMBINATIONS):
        fitted = PostProcessing.parse(text).fit(vectors)
        fitted.save(tmp_path / f"{number}.npz")
        read = FittedPostProcessing.load(tmp_path / f"{number}.npz")
        assert read.digest == fitted.digest
        assert [step.step for step in read.steps] == list(PostProcessing.parse(text).steps)
        np.testing.assert_array_equal(read.apply(vectors), fitted.apply(vectors))
        digests.add(fitted.digest)
    assert len(digests) == len(COMBINATIONS)
    assert PostProcessing.parse("centre").fit(vectors[:-1]).digest not in digests
    assert PostProcessing.parse("centre").fit(vectors).digest in digests


def test_a_damaged_fit_is_refused(tmp_path: Path) -> None:
    fitted = PostProcessing.parse("centre").fit(sample())
    path = tmp_path / "fit.npz"
    fitted.save(path)
    whole = path.read_bytes()
    with np.load(path) as stored:
        changed = dict(stored)
    changed["offset0"] = changed["offset0"] + np.float32(0.5)
    np.savez(tmp_path / "changed.npz", **changed)
    np.savez(tmp_path / "lacking.npz", **{name: array for name, array in changed.items() if name != "factor0"})
    np.savez(tmp_path / "pickled.npz", steps=np.array([object()]))
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.npz").write_bytes(b"centre")
    (tmp_path / "empty.npz").touch()
    for name in ("changed", "lacking", "pickled", "cut", "text", "empty", "missing"):
        with pytest.raises(ArtifactError, match=rf"{name}\.npz") as caught:
            FittedPostProcessing.load(tmp_path / f"{name}.npz")
        assert caught.value.code == "artifact-damaged"


@pytest.mark.parametrize("text", ["", "center", "centre,", "centre,centre", "zca;centre", "CENTRE"])
def test_steps_that_there_are_not_are_refused(text: str) -> None:
    with pytest.raises(ParameterError):
        PostProcessing.parse(text)
    with pytest.raises(ParameterError):
        PostProcessing(())


def test_steps_are_parsed_in_the_order_written() -> None:
    assert PostProcessing.parse(" outliers, centre ").steps == (Step.OUTLIERS, Step.CENTRE)
    assert str(PostProcessing.parse("zca,centre")) == "zca,centre"


def test_a_sample_that_is_too_small_is_refused() -> None:
    for text, rows in (("centre", 1), ("outliers", 0), ("zca", DIMS - 1), ("centre,zca", 2)):
        with pytest.raises(ParameterError, match=f"the German side has {rows} vectors") as caught:
            PostProcessing.parse(text).fit(sample()[:rows], of="the German side")
        assert caught.value.code == "too-few-vectors"
    PostProcessing.parse("centre").fit(sample(2))
    PostProcessing.parse("zca").fit(sample(DIMS))


def test_what_are_no_such_vectors_is_refused() -> None:
    processing = PostProcessing.parse("centre")
    infinite = sample()
    infinite[3, 4] = np.inf
    for wrong in (infinite, sample()[0]):
        with pytest.raises(MismatchError):
            processing.fit(wrong)
    for wrong in (sample(dims=DIMS + 1), sample()[0]):
        with pytest.raises(MismatchError):
            processing.fit(sample()).apply(wrong)
