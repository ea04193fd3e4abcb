"""Metrics of galaxies that count several times or not at all, for many such weightings at once.

A resampled set of galaxies is a weight for each, so that intervals cost a few matrix products and
no sorting of their own. With weights of 1 they equal scikit-learn's metrics. NaN is where a metric
is not defined, such as an AUC without a galaxy of one class.
"""

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, Int64

Weights: TypeAlias = Float64[np.ndarray, "resampling galaxy"]
"""How often each galaxy counts."""
Values: TypeAlias = Float64[np.ndarray, " resampling"]

_EPSILON = float(np.finfo(np.float64).eps)


def mean_of(weights: Weights, values: Float64[np.ndarray, " galaxy"]) -> Values:
    """Weighted mean of what each galaxy adds."""
    return ratio(weights @ values, weights.sum(axis=1))


def area_under_roc(
    weights: Weights,
    is_positive: Bool[np.ndarray, " galaxy"],
    score: Float64[np.ndarray, " galaxy"],
) -> Values:
    """Probability that a positive galaxy's score is above a negative one's; ties count half."""
    positive, negative = _by_score(weights, is_positive, score)
    below = negative.cumsum(axis=1) - negative
    won = (positive * (below + negative / 2)).sum(axis=1)
    return ratio(won, positive.sum(axis=1) * negative.sum(axis=1))


def average_precision(
    weights: Weights,
    is_positive: Bool[np.ndarray, " galaxy"],
    score: Float64[np.ndarray, " galaxy"],
) -> Values:
    """Mean precision over the recall's steps, without interpolation."""
    positive, negative = (part[:, ::-1] for part in _by_score(weights, is_positive, score))
    found = positive.cumsum(axis=1)
    precision = found / np.maximum(found + negative.cumsum(axis=1), 1)
    return ratio((positive * precision).sum(axis=1), positive.sum(axis=1))


def recall_of_classes(
    weights: Weights,
    truth: Int64[np.ndarray, " galaxy"],
    guess: Int64[np.ndarray, " galaxy"],
    n_classes: int,
) -> Float64[np.ndarray, "resampling class"]:
    """Share of each class's galaxies that are found (completeness)."""
    right = weights @ _one_hot(truth, n_classes, truth == guess)
    return ratio(right, weights @ _one_hot(truth, n_classes))


def f1_of_classes(
    weights: Weights,
    truth: Int64[np.ndarray, " galaxy"],
    guess: Int64[np.ndarray, " galaxy"],
    n_classes: int,
) -> Float64[np.ndarray, "resampling class"]:
    """Harmonic mean of recall and precision; NaN where a class is neither there nor predicted."""
    right = weights @ _one_hot(truth, n_classes, truth == guess)
    either = weights @ (_one_hot(truth, n_classes) + _one_hot(guess, n_classes))
    return ratio(2 * right, either)


def log_loss(
    weights: Weights,
    truth: Int64[np.ndarray, " galaxy"],
    probabilities: Float64[np.ndarray, "galaxy class"],
) -> Values:
    """Mean negative log-probability of the true class [nats]."""
    likely = probabilities[np.arange(len(truth)), truth]
    return mean_of(weights, -np.log(np.clip(likely, _EPSILON, 1 - _EPSILON)))


def calibration_error(
    weights: Weights,
    is_positive: Bool[np.ndarray, " galaxy"],
    probability: Float64[np.ndarray, " galaxy"],
    n_bins: int,
) -> Values:
    """Expected calibration error: distance of mean probability from share, over equal bins.

    Guo et al. (2017, arXiv:1706.04599). Scatter within bins raises it, and more so in resampled
    galaxies, so an interval may lie above the value.
    """
    bins = np.minimum((probability * n_bins).astype(np.int64), n_bins - 1)
    excess = _one_hot(bins, n_bins) * (probability - is_positive)[:, None]
    return ratio(np.abs(weights @ excess).sum(axis=1), weights.sum(axis=1))


def explained_variance(
    weights: Weights, truth: Float64[np.ndarray, " galaxy"], guess: Float64[np.ndarray, " galaxy"]
) -> Values:
    """R2: 1 less the squared errors over those of the galaxies' own mean."""
    centred = truth - truth.mean()
    spread = mean_of(weights, centred**2) - mean_of(weights, centred) ** 2
    is_spread = spread > _EPSILON * (centred**2).mean()
    return 1 - ratio(mean_of(weights, (guess - truth) ** 2), np.where(is_spread, spread, 0.0))


def rank_correlation(
    weights: Weights, truth: Float64[np.ndarray, " galaxy"], guess: Float64[np.ndarray, " galaxy"]
) -> Values:
    """Spearman's correlation; ties share their mean rank."""
    total = weights.sum(axis=1, keepdims=True)
    first, second = (_ranks(weights, values) - (total + 1) / 2 for values in (truth, guess))
    covariance = (weights * first * second).sum(axis=1)
    spread = (weights * first**2).sum(axis=1) * (weights * second**2).sum(axis=1)
    return ratio(covariance, np.sqrt(spread))


def mean_over_classes(values: Float64[np.ndarray, "resampling class"], n_least: int = 1) -> Values:
    """Mean over the classes for which there is a value; NaN for fewer than ``n_least``."""
    is_there = np.isfinite(values)
    n_there = is_there.sum(axis=1).astype(np.float64)
    total = np.where(is_there, values, 0.0).sum(axis=1)
    return ratio(total, np.where(n_there >= n_least, n_there, 0.0))


def ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Quotient, NaN over 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = top / bottom
    return np.where(bottom == 0, np.nan, quotient)


def _one_hot(
    places: Int64[np.ndarray, " galaxy"], n_places: int, counts: np.ndarray | None = None
) -> Float64[np.ndarray, "galaxy place"]:
    """1 in each galaxy's place, where it counts."""
    table = np.zeros((len(places), n_places))
    table[np.arange(len(places)), places] = 1.0 if counts is None else counts
    return table


def _by_score(
    weights: Weights,
    is_positive: Bool[np.ndarray, " galaxy"],
    score: Float64[np.ndarray, " galaxy"],
) -> tuple[np.ndarray, np.ndarray]:
    """Weight of positive and of negative galaxies at each different score, rising."""
    order = np.argsort(score, kind="stable")
    starts = _starts(score[order])
    sorted_weights, positive = weights[:, order], is_positive[order]
    return (
        np.add.reduceat(sorted_weights * positive, starts, axis=1),
        np.add.reduceat(sorted_weights * ~positive, starts, axis=1),
    )


def _ranks(weights: Weights, values: Float64[np.ndarray, " galaxy"]) -> Weights:
    """Mean rank of each galaxy among all that count, from 1."""
    order = np.argsort(values, kind="stable")
    starts = _starts(values[order])
    group = np.empty(len(values), np.int64)
    group[order] = np.repeat(np.arange(len(starts)), np.diff([*starts, len(values)]))
    sizes = np.add.reduceat(weights[:, order], starts, axis=1)
    ranks = sizes.cumsum(axis=1) - (sizes - 1) / 2
    return np.asarray(ranks[:, group])


def _starts(rising: Float64[np.ndarray, " galaxy"]) -> Int64[np.ndarray, " group"]:
    """Where each different value begins."""
    return np.flatnonzero(np.append(True, rising[1:] != rising[:-1]))
