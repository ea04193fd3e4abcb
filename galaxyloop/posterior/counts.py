"""Predicted numbers of votes: the beta-binomial of one answer against the rest."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.dirichlet import sum_by_answer


def vote_count_probability(
    concentrations: Float[Tensor, "*batch 2"], n_votes: int
) -> Float[Tensor, "*batch count"]:
    """Probability that an answer gets 0, 1 ... n_votes of the votes on its question.

    Args:
        concentrations: the answer's concentration, and the sum of the question's others.
        n_votes: votes on the question, >= 0.

    Returns:
        One probability a count, for each sample and galaxy; their mean over samples is the
        posterior's.

    Raises:
        ValueError: ``n_votes`` is negative.
    """
    if n_votes < 0:
        raise ValueError(f"n_votes must be >= 0, got {n_votes}")
    answer, rest = log_urn_weights(concentrations, n_votes).unbind(dim=-2)
    total = log_urn_weights(concentrations.sum(dim=-1), n_votes)[..., -1:]
    return (answer + rest.flip(-1) - total).exp()


def answer_against_rest(
    concentrations: Float[Tensor, "*batch answer"], tree: DecisionTree
) -> Float[Tensor, "*batch answer 2"]:
    """Each answer's concentration beside the sum of its question's others.

    Votes for one answer against all others are beta-binomial with these two.
    """
    rest = sum_by_answer(concentrations, tree) - concentrations
    return torch.stack([concentrations, rest], dim=-1)


def vote_count_interval(
    concentrations: Float[Tensor, "sample *batch 2"],
    n_votes: int,
    levels: tuple[float, float] = (0.05, 0.95),
) -> tuple[Int[Tensor, "*batch"], Int[Tensor, "*batch"]]:
    """Smallest and largest number of votes in the central interval of what is predicted.

    Exact: the mixture's probabilities of 0, 1 ... votes are added up. Counts are whole, so the
    interval holds at least the nominal probability, and often more.

    Args:
        concentrations: of an answer and of its question's rest (see ``answer_against_rest``).
        n_votes: votes on the question, >= 0.
        levels: lower and upper level, in (0, 1).

    Returns:
        The counts at which the probability of so many votes or fewer first reaches each level.

    Raises:
        ValueError: the levels do not rise within (0, 1), or ``n_votes`` is negative.
    """
    if not 0 < levels[0] < levels[1] < 1:
        raise ValueError(f"levels must rise within (0, 1), got {levels}; use (0.05, 0.95) for 90 %")
    probability = vote_count_probability(concentrations.double(), n_votes).mean(dim=0)
    up_to = probability.cumsum(dim=-1)
    low, high = ((up_to < level).sum(dim=-1).clamp(max=n_votes) for level in levels)
    return low, high


def log_urn_weights(
    concentration: Float[Tensor, "*batch"], n_votes: int
) -> Float[Tensor, "*batch count"]:
    """Log of a (a+1) ... (a+k-1) / k! for k = 0 ... n_votes, by one cumulative sum of logs.

    The product of an outcome's weights, one an answer, over the weight of the question's total is
    the outcome's Dirichlet-multinomial probability; no lgamma, and no large numbers to subtract.
    """
    steps = torch.arange(n_votes, device=concentration.device, dtype=concentration.dtype)
    shares = torch.addcmul(steps / (steps + 1), concentration[..., None], 1 / (steps + 1))
    return torch.nn.functional.pad(shares.log().cumsum(dim=-1), (1, 0))
