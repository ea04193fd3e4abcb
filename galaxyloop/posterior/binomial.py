"""The binomial votes of the first Bayesian network for galaxies, as a special case."""

import torch
from jaxtyping import Float
from torch import Tensor

LARGEST_TOTAL = 1e8
"""Sum of two concentrations that scatter no more than a binomial does: the probability of k votes
is off by less than its (k / 1e4)^2 share."""


def binomial_concentrations(
    fractions: Float[Tensor, "*batch"], total: float = LARGEST_TOTAL
) -> Float[Tensor, "*batch 2"]:
    """Concentrations of a question with two answers whose votes are binomial.

    Walmsley et al. 2020 (arXiv:1905.07424) let each dropout sample say one probability that a
    volunteer gives the first answer, and volunteers vote independently: k of N is binomial. That is
    the Dirichlet-multinomial whose concentrations are without bound. What these concentrations go
    into, such as ``vote_count_probability`` and ``mutual_information``, then gives that model's
    posterior and acquisition.

    Args:
        fractions: probability of the first answer, in (0, 1), for each sample and galaxy.
        total: sum of both concentrations.

    Returns:
        Concentrations of the first and of the other answer, in float64.

    Raises:
        ValueError: a fraction is not in (0, 1).
    """
    wide = fractions.double()
    if wide.numel() and not bool(((wide > 0) & (wide < 1)).all()):
        low, high = wide.min().item(), wide.max().item()
        raise ValueError(
            f"fractions must be in (0, 1), got values from {low:g} to {high:g}; clip them to "
            "1e-6 and 1 - 1e-6"
        )
    return total * torch.stack([wide, 1 - wide], dim=-1)
