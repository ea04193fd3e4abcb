"""The table of metrics: held-out votes against predictions, question by question."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Float64, Integer
from torch import Tensor

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.dirichlet import vote_fractions, vote_log_likelihood
from galaxyloop.metrics.averages import question_sets
from galaxyloop.metrics.bootstrap import Means, Metric, evaluate_metric
from galaxyloop.metrics.calibration import count_pit, is_covered, is_not_mirrored
from galaxyloop.metrics.config import MetricsConfig
from galaxyloop.metrics.discrete_coverage import (
    CountsWithin,
    counts_within,
    discrete_coverage_metrics,
)
from galaxyloop.metrics.science import Answered, is_mostly_asked, science_metrics

METRIC_COLUMNS = ("campaign", "question", "metric", "value", "low", "high", "n_galaxies")
_GALAXIES_PER_CHUNK = 4096


@dataclass(frozen=True)
class _HeldOut:
    """One question's predictions and observations, for all galaxies."""

    votes: Integer[np.ndarray, "galaxy answer"]
    fractions: Float64[np.ndarray, "galaxy answer"]
    log_likelihood: Float64[np.ndarray, " galaxy"]
    pit: Float64[np.ndarray, "galaxy answer"]
    within: CountsWithin
    is_mostly_asked: Bool[np.ndarray, " galaxy"]
    is_not_mirrored: np.ndarray
    training_mean: Float64[np.ndarray, " answer"]


def evaluate_predictions(
    concentrations: Float[Tensor, "sample galaxy answer"]
    | Float[np.ndarray, "sample galaxy answer"],
    votes: Integer[np.ndarray, "galaxy answer"],
    training_votes: Integer[np.ndarray, "training_galaxy answer"],
    tree: DecisionTree,
    config: MetricsConfig | None = None,
    pit: Float64[np.ndarray, "galaxy answer"] | None = None,
) -> pd.DataFrame:
    """Metrics of every question with 5 to 95 % intervals over galaxies.

    ``rmse`` and ``mae`` of the vote fractions (over galaxies and answers), ``rmse_of_mean`` of
    predicting the training galaxies' mean fractions instead and ``rmse_ratio`` to it;
    ``confident_accuracy`` of the likeliest answer where volunteers are confident;
    ``log_likelihood`` of the votes under the mixture of samples [nats a galaxy]; ``coverage_90``
    and so on of the observed counts by central intervals; ``calibration_error``, the mean distance
    of the integral transforms' distribution from uniform; and those of ``science_metrics`` and
    ``discrete_coverage_metrics``. Galaxies count from ``min_votes`` votes
    on the question, for ``log_likelihood`` from one. The last rows are its sums over a galaxy's
    questions: of each campaign where there are several, and of all (see ``question_sets``).

    Args:
        concentrations: Dirichlet parameters of the held-out galaxies, each > 0.
        votes: their votes.
        training_votes: the votes that the model was trained on.
        tree: the questions.
        config: thresholds, levels, resamplings.
        pit: what ``count_pit`` gives for the same arguments, if it is known already.

    Returns:
        The columns ``METRIC_COLUMNS``; values are NaN where no galaxy has enough votes.
    """
    config = config or MetricsConfig()
    samples = torch.as_tensor(concentrations)
    pit = count_pit(samples, votes, tree, config) if pit is None else pit
    training_mean = mean_fractions(training_votes, tree, config.min_votes)
    log_likelihood = mixture_log_likelihood(samples, votes, tree)
    fractions = vote_fractions(samples, tree).mean(dim=0).double().cpu().numpy()
    calibration = pit, counts_within(samples, votes, tree, config)
    held_out = _by_question((fractions, log_likelihood), votes, tree, calibration, training_mean)
    metrics = [(name, metric) for name, one in held_out for metric in _metrics(one, config)]
    return _table([*metrics, *_total_log_likelihoods(log_likelihood, votes, tree)], tree, config)


def evaluate_fractions(
    fractions: Float[np.ndarray, "galaxy answer"],
    votes: Integer[np.ndarray, "galaxy answer"],
    baseline: Float[np.ndarray, "galaxy answer"],
    tree: DecisionTree,
    config: MetricsConfig | None = None,
) -> pd.DataFrame:
    """Errors of predicted mean fractions alone, each galaxy beside its own baseline.

    Args:
        fractions: predicted.
        votes: observed.
        baseline: what predicting the mean gives; it may differ from galaxy to galaxy, as in
            cross-validation.
        tree: the questions.
        config: the fewest votes, resamplings.

    Returns:
        The columns of ``evaluate_predictions`` with ``rmse``, ``rmse_of_mean``, ``rmse_ratio``
        and ``mae``.
    """
    config = config or MetricsConfig()
    metrics = []
    for question, part in tree.slices.items():
        n_votes = votes[:, part].sum(axis=1)
        keep = n_votes >= config.min_votes
        observed = votes[keep, part] / n_votes[keep, None]
        found = _fraction_metrics(observed, fractions[keep, part], baseline[keep, part])
        metrics += [(question, metric) for metric in found]
    return _table(metrics, tree, config)


def mixture_log_likelihood(
    concentrations: Float[Tensor, "sample galaxy answer"],
    votes: Integer[np.ndarray, "galaxy answer"],
    tree: DecisionTree,
) -> Float64[np.ndarray, "galaxy question"]:
    """Log of the mean over samples of the votes' probability [nats]; 0 without votes."""
    parts = [
        torch.logsumexp(vote_log_likelihood(chunk.double(), counts.to(chunk.device), tree), dim=0)
        for chunk, counts in zip(
            torch.split(concentrations, _GALAXIES_PER_CHUNK, dim=1),
            torch.split(torch.from_numpy(votes), _GALAXIES_PER_CHUNK),
            strict=True,
        )
    ]
    result: np.ndarray = (torch.cat(parts) - math.log(len(concentrations))).cpu().numpy()
    return result


def mean_fractions(
    votes: Integer[np.ndarray, "galaxy answer"], tree: DecisionTree, min_votes: int
) -> Float64[np.ndarray, " answer"]:
    """Mean observed fraction of each answer where there are enough votes; NaN if nowhere."""
    result = np.full(votes.shape[1], np.nan)
    for part in tree.slices.values():
        n_votes = votes[:, part].sum(axis=1, keepdims=True)
        is_enough = n_votes[:, 0] >= min_votes
        if is_enough.any():
            result[part] = (votes[is_enough, part] / n_votes[is_enough]).mean(axis=0)
    return result


def _by_question(
    predicted: tuple[Float64[np.ndarray, "galaxy answer"], Float64[np.ndarray, "galaxy question"]],
    votes: Integer[np.ndarray, "galaxy answer"],
    tree: DecisionTree,
    calibration: tuple[Float64[np.ndarray, "galaxy answer"], CountsWithin],
    training_mean: Float64[np.ndarray, " answer"],
) -> Iterator[tuple[str, _HeldOut]]:
    """What is compared, question by question; predicted are fractions and log-likelihoods."""
    fractions, log_likelihood = predicted
    keep, asked = is_not_mirrored(tree), is_mostly_asked(votes, tree)
    pit, within = calibration
    for index, (question, part) in enumerate(tree.slices.items()):
        yield (
            question,
            _HeldOut(
                votes[:, part],
                fractions[:, part],
                log_likelihood[:, index],
                pit[:, part],
                CountsWithin(*(one[:, part] for one in within)),
                asked[:, index],
                keep[part],
                training_mean[part],
            ),
        )


def _total_log_likelihoods(
    log_likelihood: Float64[np.ndarray, "galaxy question"],
    votes: Integer[np.ndarray, "galaxy answer"],
    tree: DecisionTree,
) -> Iterator[tuple[str, Metric]]:
    """The sum over questions, of galaxies with a vote on any of them."""
    names = list(tree.slices)
    n_votes = np.stack([votes[:, part].sum(axis=1) for part in tree.slices.values()], axis=1)
    for (_, label), questions in question_sets(tree).items():
        places = [names.index(question) for question in questions]
        has_votes = n_votes[:, places].any(axis=1)
        total = log_likelihood[has_votes][:, places].sum(axis=1, keepdims=True)
        yield label, Metric("log_likelihood", total, _only)


def _table(
    metrics: Iterable[tuple[str, Metric]], tree: DecisionTree, config: MetricsConfig
) -> pd.DataFrame:
    """Values and intervals, one row a question and metric."""
    campaign_of = {name: one for one, names in tree.by_campaign.items() for name in names}
    campaign_of.update({question: campaign for campaign, question in question_sets(tree)})
    rows = [
        (
            campaign_of[question],
            question,
            metric.name,
            *evaluate_metric(metric, config),
            len(metric.values),
        )
        for question, metric in metrics
    ]
    return pd.DataFrame(rows, columns=list(METRIC_COLUMNS))


def _metrics(held_out: _HeldOut, config: MetricsConfig) -> Iterator[Metric]:
    """Every metric of a question."""
    n_votes = held_out.votes.sum(axis=1)
    yield Metric("log_likelihood", held_out.log_likelihood[n_votes > 0, None], _only)
    is_enough = n_votes >= config.min_votes
    observed = held_out.votes[is_enough] / n_votes[is_enough, None]
    predicted = held_out.fractions[is_enough]
    yield from _fraction_metrics(observed, predicted, held_out.training_mean)
    is_sure = observed.max(axis=1, initial=0) > config.confident_fraction
    is_right = observed[is_sure].argmax(axis=1) == predicted[is_sure].argmax(axis=1)
    yield Metric("confident_accuracy", is_right[:, None].astype(float), _only)
    asked = held_out.is_mostly_asked[is_enough]
    yield from science_metrics(Answered(held_out.votes[is_enough], predicted, asked), config)
    keep = held_out.is_not_mirrored
    yield from _calibration_metrics(held_out.pit[is_enough], keep, config)
    within = CountsWithin(*(one[is_enough] for one in held_out.within))
    yield from discrete_coverage_metrics(within, keep)


def _fraction_metrics(
    observed: Float64[np.ndarray, "galaxy answer"],
    predicted: Float[np.ndarray, "galaxy answer"],
    mean: Float[np.ndarray, "#galaxy answer"] | Float[np.ndarray, " answer"],
) -> Iterator[Metric]:
    """Errors of the fractions, beside those of predicting the mean."""
    squared = np.square(predicted - observed).mean(axis=1, keepdims=True)
    squared_of_mean = np.square(mean - observed).mean(axis=1, keepdims=True)
    yield Metric("rmse", squared, _root)
    yield Metric("rmse_of_mean", squared_of_mean, _root)
    yield Metric("rmse_ratio", np.hstack([squared, squared_of_mean]), _root_ratio)
    yield Metric("mae", np.abs(predicted - observed).mean(axis=1, keepdims=True), _only)


def _calibration_metrics(
    pit: Float64[np.ndarray, "galaxy answer"], keep: np.ndarray, config: MetricsConfig
) -> Iterator[Metric]:
    """Coverage at each level, and how far the transforms are from uniform."""
    for level in config.levels:
        covered = is_covered(pit, level).mean(axis=1, keepdims=True)
        yield Metric(f"coverage_{100 * level:g}", covered, _only)
    levels = np.array(config.levels)
    # For each galaxy the share of its answers below each level: their means are the distribution.
    below = (pit[:, keep, None] <= levels).mean(axis=1)
    yield Metric(
        "calibration_error",
        below,
        lambda means: np.abs(means - levels).mean(axis=-1),
        is_distance=True,
    )


def _only(means: Means) -> np.ndarray:
    """The mean itself."""
    mean: np.ndarray = means[..., 0]
    return mean


def _root(means: Means) -> np.ndarray:
    """Root of a mean square."""
    root: np.ndarray = np.sqrt(means[..., 0])
    return root


def _root_ratio(means: Means) -> np.ndarray:
    """Ratio of two roots of mean squares; NaN over 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(means[..., 0] / means[..., 1])
    return np.where(np.isfinite(ratio), ratio, np.nan)
