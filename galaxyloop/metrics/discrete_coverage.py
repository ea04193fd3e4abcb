"""Discrete coverage: how many galaxies' counts lie within some votes of what was predicted."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Float64, Integer
from torch import Tensor

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.metrics.bootstrap import Metric
from galaxyloop.metrics.calibration import is_not_mirrored
from galaxyloop.metrics.config import MetricsConfig
from galaxyloop.posterior.counts import answer_against_rest, vote_count_probability

DEVIATIONS = tuple(range(11))
"""Votes from the predicted mean at which coverage is told."""
DISCRETE_COVERAGE_COLUMNS = ("question", "deviation", "observed", "predicted", "n_galaxies")
_VALUES_PER_CHUNK = 2**21


class CountsWithin(NamedTuple):
    """Counts within 0, 1 ... 10 votes of their predicted mean."""

    observed: Float64[np.ndarray, "galaxy answer deviation"]
    """1 where the count is that near, else 0; NaN where there are too few votes."""
    predicted: Float64[np.ndarray, "galaxy answer deviation"]
    """Predicted probability that it is."""


def counts_within(
    concentrations: Float[Tensor, "sample galaxy answer"],
    votes: Integer[np.ndarray, "galaxy answer"],
    tree: DecisionTree,
    config: MetricsConfig | None = None,
) -> CountsWithin:
    """Which counts lie within some votes of the predicted mean, and how probable that was.

    ``|k - E[k]| <= d`` for each answer's count k of the N votes on its question, under the mixture
    over samples (discrete coverage, Walmsley et al. 2020, arXiv:1905.07424). Near its edges a
    sharp prediction may hold no whole number of votes, which both figures feel alike.

    Args:
        concentrations: Dirichlet parameters, each > 0.
        votes: observed votes.
        tree: says which answers belong to one question.
        config: the fewest votes.
    """
    config = config or MetricsConfig()
    result = CountsWithin(*(np.full((*votes.shape, len(DEVIATIONS)), np.nan) for _ in range(2)))
    for part in tree.slices.values():
        n_votes = votes[:, part].sum(axis=1)
        for count in np.unique(n_votes[n_votes >= config.min_votes]).tolist():
            galaxies = np.flatnonzero(n_votes == count)
            n_values = len(concentrations) * (count + 1) * (part.stop - part.start)
            n_chunks = -(-len(galaxies) * n_values // _VALUES_PER_CHUNK)
            for rows in np.array_split(galaxies, max(1, min(n_chunks, len(galaxies)))):
                chosen = concentrations[:, torch.from_numpy(rows)].double().cpu()
                pairs = answer_against_rest(chosen, tree)[..., part, :]
                probability = _mixture(pairs, count)
                within = _is_within(probability)
                observed = np.take_along_axis(within, votes[rows, part][..., None, None], axis=2)
                result.observed[rows, part] = observed[:, :, 0]
                result.predicted[rows, part] = (within * probability[..., None]).sum(axis=2)
    return result


def discrete_coverage(within: CountsWithin, tree: DecisionTree) -> pd.DataFrame:
    """Observed against predicted coverage of each question, over its galaxies and answers.

    Returns:
        ``DISCRETE_COVERAGE_COLUMNS``; questions without galaxies are left out.
    """
    rows = []
    for name, part in tree.slices.items():
        is_known = np.isfinite(within.observed[:, part, 0]).all(axis=1)
        if not is_known.any():
            continue
        keep = is_not_mirrored(tree)[part]
        observed, predicted = (one[is_known, part][:, keep].mean(axis=(0, 1)) for one in within)
        for deviation in DEVIATIONS:
            values = float(observed[deviation]), float(predicted[deviation])
            rows.append((name, deviation, *values, int(is_known.sum())))
    return pd.DataFrame(rows, columns=list(DISCRETE_COVERAGE_COLUMNS))


def discrete_coverage_metrics(within: CountsWithin, keep: np.ndarray) -> Iterator[Metric]:
    """``discrete_coverage_error``: mean distance of observed from predicted, over 0 to 10 votes.

    Args:
        within: of one question's galaxies.
        keep: which answers count.
    """
    observed, predicted = (one[:, keep].mean(axis=1) for one in within)
    n = len(DEVIATIONS)
    yield Metric(
        "discrete_coverage_error",
        np.hstack([observed, predicted]),
        lambda means: np.abs(means[..., :n] - means[..., n:]).mean(axis=-1),
        is_distance=True,
    )


def _mixture(
    pairs: Float[Tensor, "sample galaxy answer 2"], n_votes: int
) -> Float64[np.ndarray, "galaxy answer count"]:
    """Predicted probability of each number of votes."""
    probability: np.ndarray = vote_count_probability(pairs, n_votes).mean(dim=0).numpy()
    return probability


def _is_within(
    probability: Float64[np.ndarray, "galaxy answer count"],
) -> Bool[np.ndarray, "galaxy answer count deviation"]:
    """Which counts are within each deviation of the mean."""
    counts = np.arange(probability.shape[-1])
    distance = np.abs(counts - (probability * counts).sum(axis=-1, keepdims=True))
    # Rounding must not decide where the mean is a whole number.
    within: np.ndarray = distance[..., None] <= np.array(DEVIATIONS) + 1e-9
    return within
