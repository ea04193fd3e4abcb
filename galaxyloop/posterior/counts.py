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
    answer, rest = log_urn_weights(concentrations, n_votes).unbind(dim=-2)
    total = log_urn_weights(concentrations.sum(dim=-1), n_votes)[..., -1:]
    return (answer + rest.flip(-1) - total).exp()


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
