"""What a catalogue says of each galaxy: fractions, their intervals, and who would be asked."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.dirichlet import vote_fractions
from galaxyloop.posterior.config import PosteriorConfig
from galaxyloop.posterior.intervals import mixture_interval


@dataclass(frozen=True)
class PosteriorSummary:
    """A posterior in four tables."""

    fraction: Float[Tensor, "galaxy answer"]
    """Mean vote fraction among volunteers who are asked the question."""
    p05: Float[Tensor, "galaxy answer"]
    """5 % point of the vote fraction."""
    p95: Float[Tensor, "galaxy answer"]
    """95 % point of the vote fraction."""
    asked: Float[Tensor, "galaxy question"]
    """Probability that a volunteer is asked the question."""


def summarise(
    concentrations: Float[Tensor, "sample galaxy answer"],
    tree: DecisionTree,
    config: PosteriorConfig,
) -> PosteriorSummary:
    """Mean, 90 % interval and probability asked under the mixture of all samples."""
    fractions = vote_fractions(concentrations, tree)
    p05, p95 = mixture_interval(concentrations, tree, (0.05, 0.95), config.n_grid)
    # Averaged last: a sample is one network, whose answers along a path go together.
    asked = asked_probability(fractions, tree).mean(dim=0)
    return PosteriorSummary(fractions.mean(dim=0), p05, p95, asked)


def asked_probability(
    fractions: Float[Tensor, "*batch answer"], tree: DecisionTree
) -> Float[Tensor, "*batch question"]:
    """Probability that a volunteer is asked each question.

    The sum, over the answers that lead to a question, of being asked theirs times giving that
    answer; 1 for questions that everybody is asked.
    """
    asked: list[Tensor] = []
    for question in tree.questions:
        parents = [tree.columns.index(column) for column in question.asked_after]
        total = (
            torch.zeros_like(fractions[..., 0]) if parents else torch.ones_like(fractions[..., 0])
        )
        for parent in parents:
            total = total + asked[tree.question_of_answer[parent]] * fractions[..., parent]
        asked.append(total)
    return torch.stack(asked, dim=-1)
