"""Intervals of metrics by resampling the galaxies."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from galaxyloop.metrics.config import MetricsConfig

_VALUES_PER_CHUNK = 2**23

Means = Float64[np.ndarray, "resampling quantity"]


@dataclass(frozen=True)
class Metric:
    """A metric as a function of means over galaxies, which makes resampling one matrix product."""

    name: str
    values: Float64[np.ndarray, "galaxy quantity"]
    """What each galaxy adds; a squared error, say."""
    combine: Callable[[Means], Float64[np.ndarray, " resampling"]]
    """From the quantities' means to the metric; a square root, say."""
    is_distance: bool = False
    """Whether it is a mean of absolute differences, which chance only makes larger."""


def evaluate_metric(metric: Metric, config: MetricsConfig) -> tuple[float, float, float]:
    """The metric, and the 5 and 95 % points of its values on resampled galaxies.

    All three are NaN without galaxies. Of a distance the points are mirrored at the value (the
    basic bootstrap) and kept above 0: resampling adds the galaxies' chance a second time, so that
    its values lie above the value as that lies above the truth. Such an interval of a model that
    is right holds 0 in about 85 % of samples.
    """
    n_galaxies = len(metric.values)
    if not n_galaxies:
        return np.nan, np.nan, np.nan
    value = float(metric.combine(metric.values.mean(axis=0, keepdims=True))[0])
    rng = np.random.default_rng(config.seed)
    resampled = []
    n_each = max(1, _VALUES_PER_CHUNK // n_galaxies)
    for start in range(0, config.n_bootstrap, n_each):
        n_draws = min(n_each, config.n_bootstrap - start)
        picks = rng.integers(0, n_galaxies, (n_draws, n_galaxies))
        weights = np.stack([np.bincount(pick, minlength=n_galaxies) for pick in picks])
        resampled.append(metric.combine(weights @ metric.values / n_galaxies))
    low, high = np.quantile(np.concatenate(resampled), [0.05, 0.95])
    if metric.is_distance:
        low, high = max(2 * value - high, 0.0), max(2 * value - low, 0.0)
    return value, float(low), float(high)
