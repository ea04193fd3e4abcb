"""What a model's training galaxies look like to its encoder, and how far others are from them."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from galaxyloop.config import require
from galaxyloop.errors import RepresentationError

MAX_AXES = 32
"""Principal axes along which variances are told apart."""
ONE_BEYOND_IN = 1000
"""Of so many galaxies like the training galaxies one is farther off than 1."""
_GALAXIES_PER_AXIS = 8
"""Fewer galaxies than this do not fix an axis and the variance along it."""
_LOWEST_PRECISION = 2.0**-7
"""Relative spacing of bfloat16: features that differ by less than it are the same."""
_ROWS_AT_ONCE = 4096


class FeatureReference(nn.Module):
    """Where the training galaxies lie among features: a normal distribution, and a unit.

    The distance is Mahalanobis's (Lee et al. 2018, arXiv:1807.03888, with one class for all, since
    votes make none). The covariance has a variance for each of the leading principal axes and one
    for all that is left (Tipping & Bishop 1999, doi:10.1111/1467-9868.00196), so that what no
    training galaxy shows counts as well. The unit is the distance that all but one in a thousand
    held-out galaxies keep below; of fewer than 999 held-out galaxies it is the largest distance.
    A new galaxy like n held-out ones exceeds it with probability ``share_beyond``, whatever the
    distribution (conformal: Bates et al. 2023, arXiv:2104.08279).

    Attributes:
        n_features: the encoder's; 0 if it was not fitted, and nothing is stored then.
        n_axes: leading principal axes.
    """

    def __init__(self, n_features: int = 0, n_axes: int = 0) -> None:
        """Make an empty reference, to be fitted (``fit_reference``) or filled from a file.

        Raises:
            ConfigError: there are more axes than features, or none.
        """
        super().__init__()
        is_empty = n_features == 0 and n_axes == 0
        require(
            is_empty or 1 <= n_axes <= n_features,
            f"a reference of {n_features} features must have 1 to {n_features} axes, got {n_axes}",
        )
        self.n_features, self.n_axes = n_features, n_axes
        self.mean: Tensor
        self.axes: Tensor
        self.variances: Tensor
        self.rest_variance: Tensor
        self.unit: Tensor
        self.n_held_out: Tensor
        n_scalars = int(self.is_fitted)
        for name, like in {
            "mean": torch.zeros(n_features),
            "axes": torch.zeros(n_features, n_axes),
            "variances": torch.ones(n_axes),
            "rest_variance": torch.ones(n_scalars),
            "unit": torch.ones(n_scalars),
            "n_held_out": torch.zeros(n_scalars, dtype=torch.int64),
        }.items():
            self.register_buffer(name, like, persistent=self.is_fitted)

    @property
    def is_fitted(self) -> bool:
        """Whether there is anything to measure distances from."""
        return self.n_axes > 0

    @property
    def share_beyond(self) -> float:
        """Share of galaxies like the held-out ones that are expected above 1; NaN if not fitted."""
        if not self.is_fitted:
            return float("nan")
        n_held_out = int(self.n_held_out)
        return _n_beyond(n_held_out) / (n_held_out + 1)

    def distance(self, features: Float[Tensor, "galaxy feature"]) -> Float[Tensor, " galaxy"]:
        """Distance of galaxies from the training galaxies, above 1 where they are like no other.

        A galaxy's distance does not depend on the others: it is computed in float64.

        Args:
            features: from the encoder, of the images as they are.

        Returns:
            Float32; NaN for every galaxy if the reference was not fitted.
        """
        if not self.is_fitted:
            return features.new_full((len(features),), float("nan"), dtype=torch.float32)
        with torch.autocast(features.device.type, enabled=False):
            off = features.double() - self.mean.double()
            along = off @ self.axes.double()
            squared = (along.square() / self.variances.double()).sum(dim=1)
            if self.n_axes < self.n_features:
                left = off - along @ self.axes.double().T
                squared = squared + left.square().sum(dim=1) / self.rest_variance.double()
            return (squared.sqrt() / self.unit.double()).float()

    def is_sound(self) -> bool:
        """Whether all that is divided by is above 0, as ``fit_reference`` leaves it."""
        parts = (self.variances, self.rest_variance, self.unit)
        return all(bool((part > 0).all()) for part in parts) and bool((self.n_held_out >= 0).all())


def fit_reference(
    train: Float[Tensor, "galaxy feature"], held_out: Float[Tensor, "other feature"]
) -> FeatureReference:
    """Fit the reference to training galaxies' features, its unit to galaxies not trained on.

    In float64; the same features give the same bytes. To each variance comes more than rounding
    to bfloat16 adds, so that no axis is measured finer than a catalogue is computed.

    Args:
        train: features of training galaxies.
        held_out: features of others like them.

    Returns:
        The reference; an unfitted one if fewer than two galaxies train, none is held out, or the
        features of all are the same to that rounding (the encoder has collapsed).

    Raises:
        RepresentationError: a feature is not finite.
    """
    for name, features in (("training", train), ("held-out", held_out)):
        if not bool(torch.isfinite(features).all()):
            raise RepresentationError(
                f"features of {name} galaxies must be finite, got NaN or infinity; look at the "
                "log for a training that diverged"
            )
    if len(train) < 2 or not len(held_out):
        return FeatureReference()
    mean, covariance, rounding = _moments(train)
    variances, axes = torch.linalg.eigh(covariance)
    if float(variances[-1]) <= float(rounding):
        return FeatureReference()
    n_features = train.shape[1]
    n_axes = max(1, min(MAX_AXES, n_features, len(train) // _GALAXIES_PER_AXIS))
    reference = FeatureReference(n_features, n_axes)
    n_left = n_features - n_axes
    reference.mean.copy_(mean)
    reference.axes.copy_(_upright(axes[:, n_left:].flip(1)))
    reference.variances.copy_(variances[n_left:].flip(0).clamp(min=0) + rounding)
    left = variances[:n_left].clamp(min=0).sum() / max(n_left, 1)
    reference.rest_variance.copy_(left + rounding)
    reference.n_held_out.fill_(len(held_out))
    distances = reference.distance(held_out).sort(descending=True).values
    reference.unit.copy_(distances[_n_beyond(len(held_out)) - 1])
    return reference if reference.is_sound() else FeatureReference()


def _moments(
    features: Float[Tensor, "galaxy feature"],
) -> tuple[Float[Tensor, " feature"], Float[Tensor, "feature feature"], Float[Tensor, ""]]:
    """Mean, covariance, and the variance below which the lowest precision tells nothing."""
    mean = features.mean(dim=0, dtype=torch.float64)
    covariance = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for first in range(0, len(features), _ROWS_AT_ONCE):
        off = features[first : first + _ROWS_AT_ONCE].double() - mean
        covariance += off.T @ off
    covariance /= len(features)
    power = covariance.diagonal().mean() + mean.square().mean()
    return mean, covariance, power * _LOWEST_PRECISION**2


def _upright(axes: Float[Tensor, "feature axis"]) -> Float[Tensor, "feature axis"]:
    """Axes of which the largest component is positive: an axis and its opposite are the same."""
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    return axes * torch.where(largest < 0, -1.0, 1.0)


def _n_beyond(n_held_out: int) -> int:
    """Which of the held-out galaxies' distances, from the largest on, is the unit."""
    return max(1, (n_held_out + 1) // ONE_BEYOND_IN)
