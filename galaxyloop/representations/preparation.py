"""What is done to representations before the angles between them are compared."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from galaxyloop.errors import RepresentationError
from galaxyloop.representations.config import check_preparation

ROWS_AT_ONCE = 16_384
"""Galaxies that are prepared or compared together."""
_ROUNDING = 1e-6
_FAINTEST_AXIS = 1e-4

Vectors = Float32[np.ndarray, "galaxy feature"]


@dataclass(frozen=True)
class Preparation:
    """Turns representations into directions: unit vectors whose products are similarities.

    Features after a rectifier and an average are >= 0, so that all galaxies point into one corner
    and share most of their direction: with plain cosines everybody is similar to everybody.
    "centred" takes the survey's mean off first, so that what all galaxies have in common does not
    count. "whitened" also turns to the principal axes and divides by their standard deviations, so
    that no axis outweighs another; axes with less than 1e-4 of the largest variance are left out,
    being noise. "plain" changes nothing.
    """

    mean: Float32[np.ndarray, " feature"] | None
    """Taken off each representation."""
    axes: Float32[np.ndarray, "feature axis"] | None
    """What each representation is multiplied by after that."""

    @classmethod
    def of(cls, vectors: Vectors, name: str) -> "Preparation":
        """The preparation of that name, learnt from the galaxies it is for.

        Raises:
            ConfigError: there is no such preparation.
            RepresentationError: there are fewer than two galaxies, or all representations are
                equal.
        """
        check_preparation(name)
        if len(vectors) < 2:
            raise RepresentationError(
                f"at least 2 galaxies are needed to compare representations, got {len(vectors)}"
            )
        if name == "plain":
            return cls(None, None)
        mean = vectors.mean(axis=0, dtype=np.float64)
        largest = max(float(np.abs(part).max(initial=0)) for part in _deviations(vectors, mean))
        if largest <= _ROUNDING * float(np.abs(mean).max(initial=0)):
            raise RepresentationError(
                f"the representations of all {len(vectors)} galaxies are equal to within rounding: "
                "the encoder has collapsed, or the images are all the same; look at the "
                "checkpoint's log"
            )
        axes = _whitening_axes(vectors, mean) if name == "whitened" else None
        return cls(mean.astype(np.float32), axes)

    def directions(self, vectors: Vectors) -> Float32[np.ndarray, "galaxy axis"]:
        """Unit vectors; a representation that equals the mean has none and stays zero."""
        moved = vectors if self.mean is None else vectors - self.mean
        lengths = np.linalg.norm(moved, axis=1, keepdims=True)
        # What is left of such a galaxy is rounding, and its direction would be chance.
        is_zero = lengths <= _ROUNDING * np.linalg.norm(vectors, axis=1, keepdims=True)
        if self.axes is not None:
            moved = moved @ self.axes
            lengths = np.linalg.norm(moved, axis=1, keepdims=True)
        unit = moved / np.where(lengths == 0, 1, lengths)
        return np.where(is_zero, np.float32(0), unit).astype(np.float32, copy=False)


def _deviations(
    vectors: Vectors, mean: Float64[np.ndarray, " feature"]
) -> Iterator[Float64[np.ndarray, "galaxy feature"]]:
    """What galaxies differ from the mean by, some at a time."""
    for first in range(0, len(vectors), ROWS_AT_ONCE):
        yield vectors[first : first + ROWS_AT_ONCE] - mean


def _whitening_axes(
    vectors: Vectors, mean: Float64[np.ndarray, " feature"]
) -> Float32[np.ndarray, "feature axis"]:
    """Principal axes, each divided by the standard deviation along it."""
    covariance = np.zeros((len(mean), len(mean)))
    for part in _deviations(vectors, mean):
        covariance += part.T @ part
    variances, axes = np.linalg.eigh(covariance / len(vectors))
    is_kept = variances > _FAINTEST_AXIS * variances[-1]
    return np.asarray(axes[:, is_kept] / np.sqrt(variances[is_kept]), np.float32)
