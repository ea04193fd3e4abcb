"""Metrics as the papers report them, beside what the volunteers' own scatter would give."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float64, Integer

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.metrics.bootstrap import Means, Metric
from galaxyloop.metrics.config import MetricsConfig

ASKED_SHARE = 0.5
"""At least this share of a galaxy's volunteers must have been asked a question (Walmsley et al.
2023, arXiv:2309.11425)."""
CONFUSION_COLUMNS = ("question", "volunteers", "model", "n_galaxies")
_N_REDRAWS = 20
_STREAM = 0x6E6F697365


class Answered(NamedTuple):
    """One question's galaxies with enough votes."""

    votes: Integer[np.ndarray, "galaxy answer"]
    predicted: Float64[np.ndarray, "galaxy answer"]
    """Mean fractions."""
    is_mostly_asked: Bool[np.ndarray, " galaxy"]
    """At least half of the galaxy's volunteers were asked the question."""

    @property
    def observed(self) -> Float64[np.ndarray, "galaxy answer"]:
        """Observed fractions."""
        fractions: np.ndarray = self.votes / self.votes.sum(axis=1, keepdims=True)
        return fractions


def is_mostly_asked(
    votes: Integer[np.ndarray, "galaxy answer"], tree: DecisionTree
) -> Bool[np.ndarray, "galaxy question"]:
    """Whether at least half of the volunteers who saw a galaxy were asked the question.

    Those who saw it are counted by the votes on the first question of the question's campaign.
    """
    n_votes = {name: votes[:, part].sum(axis=1) for name, part in tree.slices.items()}
    first = {name: names[0] for names in tree.by_campaign.values() for name in names}
    asked = [
        (n_votes[name] > 0) & (n_votes[name] >= ASKED_SHARE * n_votes[first[name]])
        for name in tree.question_names
    ]
    return np.stack(asked, axis=1)


def science_metrics(answered: Answered, config: MetricsConfig) -> Iterator[Metric]:
    """Errors where most were asked, scores where volunteers are confident, and their ceilings.

    A metric whose name ends in ``_noise`` is the same metric of a model that says exactly what
    the volunteers said, judged by new votes of as many volunteers, drawn from the observed
    fractions (a multinomial, 20 times a galaxy). No model can be expected to do better, since
    votes scatter; with few votes it is a little too good, for observed fractions are more extreme
    than true ones.

    ``rmse_asked`` and ``mae_asked`` of the fractions count galaxies of which at least half the
    volunteers were asked the question; ``confident_f1``, the mean over answers of the F1 score
    weighted by galaxies, those with a fraction above ``confident_fraction``, as does
    ``confident_accuracy``.
    """
    redrawn = _redraw(answered.votes, config)
    observed = answered.observed
    asked = answered.is_mostly_asked
    errors = {
        "": (answered.predicted - observed)[None, asked],
        "_noise": (redrawn - observed)[:, asked],
    }
    for ending, error in errors.items():
        yield Metric(f"rmse_asked{ending}", np.square(error).mean(axis=(0, 2))[:, None], _root)
        yield Metric(f"mae_asked{ending}", np.abs(error).mean(axis=(0, 2))[:, None], _only)
    is_sure = observed.max(axis=1, initial=0) > config.confident_fraction
    told = observed[is_sure].argmax(axis=1)
    n_answers = observed.shape[1]
    found = _confusion(told, answered.predicted[None, is_sure].argmax(axis=2), n_answers)
    noise = _confusion(told, redrawn[:, is_sure].argmax(axis=2), n_answers)
    yield Metric("confident_f1", found, _weighted_f1)
    yield Metric("confident_accuracy_noise", noise, _accuracy)
    yield Metric("confident_f1_noise", noise, _weighted_f1)


def confusion_table(
    fractions: Float[np.ndarray, "galaxy answer"],
    votes: Integer[np.ndarray, "galaxy answer"],
    tree: DecisionTree,
    config: MetricsConfig | None = None,
) -> pd.DataFrame:
    """How often volunteers were confident of one answer and the model thinks another likeliest.

    Args:
        fractions: predicted mean fractions.
        votes: observed.
        tree: the questions.
        config: the fewest votes, and above which fraction volunteers are confident.

    Returns:
        ``CONFUSION_COLUMNS``, a row for each question and pair of its answers; answers without
        the question's name.
    """
    config = config or MetricsConfig()
    rows = []
    for question in tree.questions:
        part = tree.slices[question.name]
        n_votes = votes[:, part].sum(axis=1)
        observed = votes[:, part] / np.maximum(n_votes, 1)[:, None]
        is_sure = (n_votes >= config.min_votes) & (observed.max(axis=1) > config.confident_fraction)
        told, said = observed[is_sure].argmax(axis=1), fractions[is_sure, part].argmax(axis=1)
        n_answers = len(question.answers)
        counts = np.bincount(told * n_answers + said, minlength=n_answers**2)
        for pair, count in enumerate(counts.tolist()):
            one, other = divmod(pair, n_answers)
            rows.append((question.name, question.answers[one], question.answers[other], count))
    return pd.DataFrame(rows, columns=list(CONFUSION_COLUMNS))


def _redraw(
    votes: Integer[np.ndarray, "galaxy answer"], config: MetricsConfig
) -> Float64[np.ndarray, "redraw galaxy answer"]:
    """Fractions of new votes of as many volunteers, from the observed fractions."""
    n_votes = votes.sum(axis=1)
    if not len(votes):
        return np.zeros((_N_REDRAWS, *votes.shape))
    rng = np.random.default_rng([config.seed, _STREAM])
    shares = votes / n_votes[:, None]
    counts = rng.multinomial(n_votes, shares, size=(_N_REDRAWS, len(votes)))
    redrawn: np.ndarray = counts / n_votes[:, None]
    return redrawn


def _confusion(
    told: Integer[np.ndarray, " galaxy"], said: Integer[np.ndarray, "draw galaxy"], n_answers: int
) -> Float64[np.ndarray, "galaxy pair"]:
    """For each galaxy the share of draws in each cell of the confusion matrix."""
    pairs = told * n_answers + said
    cells: np.ndarray = (pairs[..., None] == np.arange(n_answers**2)).mean(axis=0)
    return cells


def _matrix(means: Means) -> Float64[np.ndarray, "resampling told said"]:
    """Confusion matrices from their cells."""
    n_answers = round(means.shape[-1] ** 0.5)
    return means.reshape(*means.shape[:-1], n_answers, n_answers)


def _accuracy(means: Means) -> np.ndarray:
    """Share on the diagonal."""
    accuracy: np.ndarray = np.trace(_matrix(means), axis1=-2, axis2=-1)
    return accuracy


def _weighted_f1(means: Means) -> np.ndarray:
    """F1 of each answer, weighted by how many galaxies volunteers gave it."""
    matrix = _matrix(means)
    told, said = matrix.sum(axis=-1), matrix.sum(axis=-2)
    right = np.diagonal(matrix, axis1=-2, axis2=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        f1 = np.where(told > 0, 2 * right / (told + said), 0.0)
    mean: np.ndarray = (told * f1).sum(axis=-1) / told.sum(axis=-1)
    return mean


def _only(means: Means) -> np.ndarray:
    """The mean itself."""
    mean: np.ndarray = means[..., 0]
    return mean


def _root(means: Means) -> np.ndarray:
    """Root of a mean square."""
    root: np.ndarray = np.sqrt(means[..., 0])
    return root
