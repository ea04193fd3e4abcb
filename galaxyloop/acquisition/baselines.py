"""What other acquisitions score: how unsure the mean is, and how far the samples disagree."""

import torch
from jaxtyping import Float
from torch import Tensor

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.dirichlet import sum_by_question, vote_fractions


def vote_entropy(
    fractions: Float[Tensor, "*batch answer"], tree: DecisionTree
) -> Float[Tensor, "*batch question"]:
    """Entropy of one vote on each question.

    High where volunteers will disagree as well as where the network does not know, so it also
    asks about galaxies that nobody can decide on.

    Args:
        fractions: probability of each answer, which sum to 1 over a question.
        tree: says which answers belong to one question.

    Returns:
        Entropy [nats], from 0 to the log of the number of answers.
    """
    return sum_by_question(-torch.special.xlogy(fractions, fractions), tree).clamp(min=0)


def disagreement(
    concentrations: Float[Tensor, "sample galaxy answer"], tree: DecisionTree
) -> Float[Tensor, "galaxy question"]:
    """Mutual information between one vote and the network, in closed form.

    The entropy of the mean fractions less the mean entropy of each sample's (Houlsby et al. 2011,
    arXiv:1112.5745): ``mutual_information`` of a single vote. It knows the samples' fractions, and
    not how sure each sample is of its own.

    Args:
        concentrations: Dirichlet parameters, each > 0.
        tree: says which answers belong to one question.

    Returns:
        Information [nats], from 0 (the samples agree) to the log of the number of answers.
    """
    fractions = vote_fractions(concentrations, tree)
    together = vote_entropy(fractions.mean(dim=0), tree)
    return (together - vote_entropy(fractions, tree).mean(dim=0)).clamp(min=0)
