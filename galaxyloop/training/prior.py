"""Where the head starts: at what is known before any image is looked at."""

from typing import Any, cast

import torch
from jaxtyping import Float, Float32
from numpy import ndarray
from torch import Tensor

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.dirichlet import votes_loss
from galaxyloop.heads import (
    CONCENTRATION_RANGE,
    LARGEST_FREE_LOGIT,
    MIN_CONCENTRATION,
    VoteHead,
    concentrations_of,
)

_MAX_GALAXIES = 2048
_HIGHEST_START = 50.0


def fit_prior(
    votes: Float32[ndarray, "galaxy answer"], tree: DecisionTree
) -> Float[Tensor, " answer"]:
    """The one set of concentrations that makes all votes most likely, whatever the image.

    Each campaign's is fitted by itself to the galaxies with votes of that campaign, so that a
    small campaign starts as well beside a large one as alone.

    Args:
        votes: counts; evenly spread galaxies are used if there are very many.
        tree: says which answers belong to one question.
    """
    prior = torch.empty(len(tree.columns))
    for part in tree.parts:
        places = tree.places_of(part)
        own = votes[:, places]
        prior[places] = _fit_campaign(own[own.any(axis=1)], part)
    return prior


def _fit_campaign(
    votes: Float32[ndarray, "galaxy answer"], tree: DecisionTree
) -> Float[Tensor, " answer"]:
    """The concentrations of one campaign's answers."""
    rows = torch.linspace(0, len(votes) - 1, min(len(votes), _MAX_GALAXIES)).long()
    counts = torch.from_numpy(votes)[rows]
    with torch.enable_grad():
        logits = torch.full((len(tree.columns),), -3.5, requires_grad=True)
        optimizer = torch.optim.LBFGS([logits], max_iter=40, line_search_fn="strong_wolfe")

        def loss() -> float:
            value = votes_loss(concentrations_of(logits).expand_as(counts), counts, tree)
            (logits.grad,) = torch.autograd.grad(value, logits)
            return value.item()

        cast(Any, optimizer).step(loss)
    return concentrations_of(logits.detach())


def start_at(head: VoteHead, concentrations: Float[Tensor, " answer"]) -> None:
    """Set the head's bias; without it the first hundreds of steps only move the bias there.

    Starts near either end of the sigmoid are moved inwards, where it still has a slope.
    """
    shares = (concentrations.clamp(max=_HIGHEST_START) - MIN_CONCENTRATION) / CONCENTRATION_RANGE
    with torch.no_grad():
        head.linear.bias.copy_(torch.logit(shares).clamp(min=-LARGEST_FREE_LOGIT))
