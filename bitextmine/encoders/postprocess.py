"""Post-processing of an encoder's vectors, fitted on a sample of one language: off unless it is asked for.

Sentence vectors of many encoders fill a narrow cone, whose direction depends on the language. Taking off what all
vectors of a language have in common can make languages comparable:

    centre    the language's mean is taken off (Libovický, Rosa & Fraser 2020, "On the language neutrality of
              pre-trained multilingual representations", section 3)
    outliers  the few dimensions that dominate every cosine are zeroed (Timkey & van Schijndel 2021, "All bark and no
              bite"); which they are goes by three standard deviations, as in Kovaleva et al. 2021, "BERT busters"
    zca       whitening that turns the axes as little as possible (Su et al. 2021, "Whitening sentence
              representations"), with the covariance shrunk as in Ledoit & Wolf 2004, "A well-conditioned estimator
              for large-dimensional covariance matrices"

Steps are done in the order given, each fitted on what the one before it leaves; then rows are brought to length 1.
`outliers,centre` is not `centre,outliers`: most dimensions that dominate do so by their mean, which centring takes off.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitextmine.errors import ArtifactError, MismatchError, ParameterError
from bitextmine.files import write_atomically
from bitextmine.vectors import unit_rows

OUTLIER_DEVIATIONS = 3.0
_LEAST_ROWS = 2
_LEAST_VARIANCE = 1e-6  # of a direction, as a share of the mean one: no direction is stretched without bound


class Step(StrEnum):
    """One thing that can be done to all vectors of a language."""

    CENTRE = "centre"
    OUTLIERS = "outliers"
    ZCA = "zca"


@dataclass(frozen=True)
class FittedStep:
    """`(vectors - offset) * factor`, or `@ factor` where it is a matrix."""

    step: Step
    offset: NDArray[np.float32]  # (dims,)
    factor: NDArray[np.float32]  # (dims,) or (dims, dims)

    def apply(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        moved = vectors - self.offset
        return np.asarray(moved * self.factor if self.factor.ndim == 1 else moved @ self.factor, np.float32)


@dataclass(frozen=True)
class FittedPostProcessing:
    """What was fitted on a sample of one language, to be applied to all its vectors. Never changed."""

    steps: tuple[FittedStep, ...]

    @property
    def dims(self) -> int:
        return len(self.steps[0].offset)

    @cached_property
    def digest(self) -> str:
        """32 hexadecimal digits over the steps and their numbers: SHA-256, truncated to 128 bits."""
        found = sha256()
        for step in self.steps:
            found.update(f"{step.step} {step.factor.shape}\n".encode())
            found.update(step.offset.tobytes() + step.factor.tobytes())
        return found.hexdigest()[:32]

    def apply(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """Vectors of the language that this was fitted on, processed: (n, dims), rows of length 1; zero rows stay zero.

        Raises:
            MismatchError: they have other dimensions.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.dims:
            raise MismatchError(f"a post-processing of {self.dims} dimensions does not fit vectors {vectors.shape}")
        rows = np.asarray(vectors, np.float32)
        empty = ~rows.any(axis=1)
        for step in self.steps:
            rows = step.apply(rows)
        processed = unit_rows(rows)
        processed[empty] = 0
        return processed

    def save(self, path: Path) -> None:
        """Write it as .npz, whole or not at all.

        Raises:
            DiskFullError: no room.
        """
        arrays: dict[str, NDArray[np.generic]] = {"digest": np.array(self.digest)}
        arrays["steps"] = np.array([step.step.value for step in self.steps])
        for number, step in enumerate(self.steps):
            arrays |= {f"offset{number}": step.offset, f"factor{number}": step.factor}
        stream = BytesIO()
        np.savez(stream, **arrays)  # type: ignore[arg-type]  # its stub has no room for keywords
        write_atomically(path, stream.getvalue())

    @classmethod
    def load(cls, path: Path) -> FittedPostProcessing:
        """Read what `save` wrote.

        Raises:
            ArtifactError: it is missing, damaged or something else.
        """
        try:
            with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
                steps = [Step(str(name)) for name in arrays["steps"]]
                fitted = cls(
                    tuple(
                        FittedStep(step, arrays[f"offset{number}"], arrays[f"factor{number}"])
                        for number, step in enumerate(steps)
                    )
                )
                intact = bool(steps) and str(arrays["digest"]) == fitted.digest
        except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
            raise ArtifactError(f"{path} is no post-processing: {error}") from error
        if not intact:
            raise ArtifactError(f"{path} is damaged: its content does not match its digest")
        return fitted


@dataclass(frozen=True, slots=True)
class PostProcessing:
    """The steps to fit, in order; one at least, none twice.

    Raises:
        ParameterError: there is none, or one comes twice.
    """

    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        if not self.steps or len(set(self.steps)) < len(self.steps):
            raise ParameterError(f"a post-processing has one step or more, each once, not {str(self)!r}")

    @classmethod
    def parse(cls, text: str) -> PostProcessing:
        """The one that people write as `centre` or `outliers,centre`.

        Raises:
            ParameterError: a step has no such name, comes twice, or there is none.
        """
        names = [name.strip() for name in text.split(",")]
        known = [step.value for step in Step]
        for name in names:
            if name not in known:
                raise ParameterError(f"there is no post-processing step {name[:40]!r}; known: {', '.join(known)}")
        return cls(tuple(Step(name) for name in names))

    def __str__(self) -> str:
        return ",".join(self.steps)

    def least_rows(self, dims: int) -> int:
        """How many vectors a fit needs: one of each dimension for a covariance, else enough for a mean."""
        return max(dims, _LEAST_ROWS) if Step.ZCA in self.steps else _LEAST_ROWS

    def check_rows(self, rows: int, dims: int, *, of: str) -> None:
        """Refuse a sample that is too small.

        Raises:
            ParameterError: `too-few-vectors`.
        """
        if rows < (least := self.least_rows(dims)):
            message = f"{of} has {rows:,} vectors; {self} needs {least:,} at least to be fitted on {dims} dimensions"
            raise ParameterError(message, code="too-few-vectors")

    def fit(self, vectors: NDArray[np.floating], *, of: str = "the sample") -> FittedPostProcessing:
        """Fit the steps on vectors of one language. Rows of zeros say nothing of it and are passed over.

        Args:
            vectors: (n, dims), finite.
            of: what errors call them.

        Raises:
            ParameterError: `too-few-vectors`.
            MismatchError: they are no (n, dims) vectors, or not finite.
        """
        if vectors.ndim != 2 or not np.isfinite(vectors).all():
            raise MismatchError(f"a post-processing is fitted on finite vectors (rows, dims), not {vectors.shape}")
        rows = np.asarray(vectors, np.float32)
        rows = rows[rows.any(axis=1)]
        self.check_rows(*rows.shape, of=of)
        fitted = []
        for step in self.steps:
            fitted.append(_FIT[step](rows))
            rows = fitted[-1].apply(rows)
        return FittedPostProcessing(tuple(fitted))


def shrinkage(centred: NDArray[np.float64]) -> float:
    """How much of the covariance to replace by a multiple of the identity: 0..1 (Ledoit & Wolf 2004, section 3.3).

    Args:
        centred: (n, dims) vectors with their mean taken off, n >= 1.
    """
    n, dims = centred.shape
    covariance = centred.T @ centred / n
    scale = np.trace(covariance) / dims
    squares = float((covariance**2).sum())
    distance = squares - dims * scale**2  # squared, from the multiple of the identity
    lengths = np.einsum("nd,nd->n", centred, centred)
    error = (float((lengths**2).sum()) / n - squares) / n  # expected square of the covariance's own error
    return 1.0 if distance <= 0 else float(np.clip(error / distance, 0, 1))


def _fit_centre(vectors: NDArray[np.float32]) -> FittedStep:
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    return FittedStep(Step.CENTRE, mean, np.ones_like(mean))


def _fit_outliers(vectors: NDArray[np.float32]) -> FittedStep:
    magnitude = np.abs(vectors).mean(axis=0, dtype=np.float64)
    kept = magnitude <= magnitude.mean() + OUTLIER_DEVIATIONS * magnitude.std()
    return FittedStep(Step.OUTLIERS, np.zeros(len(kept), np.float32), kept.astype(np.float32))


def _fit_zca(vectors: NDArray[np.float32]) -> FittedStep:
    mean = vectors.mean(axis=0, dtype=np.float64)
    centred = vectors - mean
    share = shrinkage(centred)
    covariance = centred.T @ centred / len(centred)
    scale = np.trace(covariance) / len(mean)
    shrunk = (1 - share) * covariance + share * scale * np.eye(len(mean))
    variances, directions = np.linalg.eigh(shrunk)
    stretch = 1 / np.sqrt(np.maximum(variances, _LEAST_VARIANCE * scale)) if scale > 0 else np.ones_like(variances)
    return FittedStep(Step.ZCA, mean.astype(np.float32), ((directions * stretch) @ directions.T).astype(np.float32))


_FIT: dict[Step, Callable[[NDArray[np.float32]], FittedStep]] = {
    Step.CENTRE: _fit_centre,
    Step.OUTLIERS: _fit_outliers,
    Step.ZCA: _fit_zca,
}
