"""Predicted numbers of votes: the beta-binomial of one answer against the rest."""

import torch
from jaxtyping import Float
from torch import Tensor


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
    answer, rest = log_rising_factorials(concentrations, n_votes).unbind(dim=-2)
    total = log_rising_factorials(concentrations.sum(dim=-1), n_votes)[..., -1:]
    ways = log_binomials(n_votes).to(answer)
    return (ways + answer + rest.flip(-1) - total).exp()


def log_rising_factorials(
    start: Float[Tensor, "*batch"], n_steps: int
) -> Float[Tensor, "*batch count"]:
    """Log of a (a+1) ... (a+k-1) for k = 0 ... n_steps, by one cumulative sum of logs."""
    steps = torch.arange(n_steps, device=start.device, dtype=start.dtype)
    sums = (start[..., None] + steps).log().cumsum(dim=-1)
    return torch.cat([torch.zeros_like(start[..., None]), sums], dim=-1)


def log_factorials(n: int) -> Float[Tensor, " count"]:
    """Log of k! for k = 0 ... n, in float64."""
    return torch.lgamma(torch.arange(n + 1, dtype=torch.float64) + 1)


def log_binomials(n: int) -> Float[Tensor, " count"]:
    """Log of n over k for k = 0 ... n, in float64."""
    factorials = log_factorials(n)
    return factorials[-1] - factorials - factorials.flip(0)
