"""Whether observed vote counts scatter as the posterior says."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Float64, Integer
from torch import Tensor

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.metrics.config import MetricsConfig
from galaxyloop.posterior.counts import vote_count_probability

_VALUES_PER_CHUNK = 2**21
_STREAM = 0x706974


def count_pit(
    concentrations: Float[Tensor, "sample galaxy answer"],
    votes: Integer[np.ndarray, "galaxy answer"],
    tree: DecisionTree,
    config: MetricsConfig,
) -> Float64[np.ndarray, "galaxy answer"]:
    """Randomised probability integral transform of each observed number of votes.

    The predicted probability of fewer votes plus a random share of that of just as many, under
    the mixture over samples of beta-binomials, given the votes on the question (Czado, Gneiting
    & Held 2009). Uniform from 0 to 1 if and only if the counts scatter as predicted.

    Args:
        concentrations: Dirichlet parameters, each > 0.
        votes: observed votes.
        tree: says which answers belong to one question.
        config: the fewest votes, and the seed of the random shares.

    Returns:
        The transform; NaN where a question has fewer than ``min_votes`` votes.
    """
    # A stream of its own: votes simulated from the same seed must not share its numbers.
    shares = np.random.default_rng([config.seed, _STREAM]).random(votes.shape)
    result = np.full(votes.shape, np.nan)
    for part in tree.slices.values():
        n_votes = votes[:, part].sum(axis=1)
        for count in np.unique(n_votes[n_votes >= config.min_votes]).tolist():
            galaxies = np.flatnonzero(n_votes == count)
            n_values = len(concentrations) * (count + 1) * (part.stop - part.start)
            n_chunks = -(-len(galaxies) * n_values // _VALUES_PER_CHUNK)
            for rows in np.array_split(galaxies, max(1, min(n_chunks, len(galaxies)))):
                chunk = concentrations[:, torch.from_numpy(rows), part].double().cpu()
                below, same = _count_probabilities(chunk, votes[rows, part], count)
                result[rows, part] = below + shares[rows, part] * same
    return result


def _count_probabilities(
    concentrations: Float[Tensor, "sample galaxy answer"],
    votes: Integer[np.ndarray, "galaxy answer"],
    n_votes: int,
) -> tuple[Float64[np.ndarray, "galaxy answer"], Float64[np.ndarray, "galaxy answer"]]:
    """Probability of fewer votes than observed, and of exactly as many."""
    rest = concentrations.sum(dim=-1, keepdim=True) - concentrations
    pairs = torch.stack([concentrations, rest], dim=-1)
    probability = vote_count_probability(pairs, n_votes).mean(dim=0).numpy()
    same = np.take_along_axis(probability, votes[..., None], axis=-1)[..., 0]
    up_to = np.take_along_axis(probability.cumsum(axis=-1), votes[..., None], axis=-1)[..., 0]
    return up_to - same, same


def pit_values(
    pit: Float64[np.ndarray, "galaxy answer"], tree: DecisionTree
) -> Float64[np.ndarray, " value"]:
    """All transforms in one list, for a histogram; mirror images of others are left out."""
    chosen = pit[:, is_not_mirrored(tree)]
    values: np.ndarray = chosen[np.isfinite(chosen)]
    return values


def calibration_table(
    pit: Float64[np.ndarray, "galaxy answer"], tree: DecisionTree, levels: Sequence[float]
) -> pd.DataFrame:
    """Observed coverage of central intervals of the counts at each nominal level.

    Counts at an interval's edge are inside with the probability that makes the nominal level
    exact, which the randomised transform does by itself.

    Returns:
        ``question``, ``nominal``, ``observed``, ``n_galaxies``; questions without galaxies are
        left out.
    """
    rows = []
    for name, part in tree.slices.items():
        values = pit[:, part][np.isfinite(pit[:, part]).all(axis=1)]
        for level in levels if len(values) else ():
            observed = float(is_covered(values, level).mean())
            rows.append((name, level, observed, len(values)))
    return pd.DataFrame(rows, columns=["question", "nominal", "observed", "n_galaxies"])


def is_covered(
    pit: Float64[np.ndarray, "galaxy answer"], level: float
) -> Bool[np.ndarray, "galaxy answer"]:
    """Whether counts lie inside their central interval."""
    return np.abs(pit - 0.5) <= level / 2


def is_not_mirrored(tree: DecisionTree) -> Bool[np.ndarray, " answer"]:
    """All answers but the second of two, whose count the first one's gives away.

    Together their transforms would be symmetric, and hide a bias.
    """
    keep = [
        len(question.answers) > 2 or index == 0
        for question in tree.questions
        for index in range(len(question.answers))
    ]
    return np.array(keep)
