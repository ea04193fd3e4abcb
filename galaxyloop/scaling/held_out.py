"""The two numbers that a cell is judged by, on galaxies that training never saw."""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Integer, UInt8

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.devices import predicting
from galaxyloop.dirichlet import vote_fractions
from galaxyloop.metrics import mixture_log_likelihood
from galaxyloop.models import GalaxyModel
from galaxyloop.posterior import PosteriorConfig, predict_concentrations
from galaxyloop.training.data import LabelledCutouts


def judge_held_out(
    model: GalaxyModel, galaxies: LabelledCutouts, posterior: PosteriorConfig, min_votes: int
) -> dict[str, float]:
    """Errors of a model on galaxies with votes.

    Args:
        model: a trained model.
        galaxies: held out from its training.
        posterior: dropout samples.
        min_votes: see ``fraction_rmse``.

    Returns:
        ``nll``: mean negative log-likelihood of a galaxy's votes under the mixture of samples
        [nats a galaxy]; ``rmse``: see ``fraction_rmse``.
    """
    votes = galaxies.labels.astype(np.int64)
    with predicting(model, posterior.n_threads):
        samples = predict_concentrations(model, _images(galaxies, posterior.batch_size), posterior)
    likelihood = mixture_log_likelihood(samples, votes, model.tree)
    fractions = vote_fractions(samples, model.tree).mean(dim=0).numpy()
    return {
        "nll": -float(likelihood.sum(axis=1).mean()),
        "rmse": fraction_rmse(fractions, votes, model.tree, min_votes),
    }


def fraction_rmse(
    fractions: Float[np.ndarray, "galaxy answer"],
    votes: Integer[np.ndarray, "galaxy answer"],
    tree: DecisionTree,
    min_votes: int,
) -> float:
    """Root mean square error of vote fractions; each pair of galaxy and question weighs the same.

    Observed fractions scatter by the volunteers' number alone, so it does not fall to 0.

    Args:
        fractions: predicted.
        votes: observed counts.
        tree: the questions.
        min_votes: fewest votes on a question for a galaxy's pair to count.

    Returns:
        NaN if no galaxy has as many votes on any question.
    """
    squares: list[np.ndarray] = []
    for part in tree.slices.values():
        n_votes = votes[:, part].sum(axis=1)
        keep = n_votes >= min_votes
        observed = votes[keep, part] / n_votes[keep, None]
        squares.append(np.square(fractions[keep, part] - observed).mean(axis=1))
    pooled = np.concatenate(squares)
    return math.sqrt(float(pooled.mean())) if len(pooled) else math.nan


def _images(
    galaxies: LabelledCutouts, batch_size: int
) -> Iterator[UInt8[np.ndarray, "galaxy y x band"]]:
    """Batches of images in order."""
    for start in range(0, len(galaxies), batch_size):
        yield galaxies.cutouts.read(galaxies.positions[start : start + batch_size])
