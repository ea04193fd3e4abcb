"""Votes of simulated volunteers, drawn question by question down the decision tree."""

import numpy as np
from jaxtyping import Float64, Int64

from galaxyloop.decision_tree import DecisionTree


def draw_votes(
    concentrations: Float64[np.ndarray, " answer"],
    tree: DecisionTree,
    n_volunteers: int,
    rng: np.random.Generator,
) -> Int64[np.ndarray, " answer"]:
    """Votes of ``n_volunteers`` on one galaxy.

    A question without parents is answered by everybody, another by those who gave any of its
    parent answers. Votes on a question are Dirichlet-multinomial, as the likelihood assumes.

    Args:
        concentrations: Dirichlet parameters, each > 0, in the tree's layout.
        tree: the campaign's questions.
        n_volunteers: how many look at the galaxy, >= 0.
        rng: the galaxy's own stream.

    Returns:
        Vote counts in the tree's layout.
    """
    votes = np.zeros(len(tree.columns), np.int64)
    place = {column: i for i, column in enumerate(tree.columns)}
    for question in tree.questions:
        part = tree.slices[question.name]
        parents = [place[column] for column in question.asked_after]
        n_asked = int(votes[parents].sum()) if parents else n_volunteers
        fractions = rng.dirichlet(concentrations[part])
        votes[part] = rng.multinomial(n_asked, fractions)
    return votes


def draw_n_volunteers(mean: float, rng: np.random.Generator) -> int:
    """How many volunteers see a galaxy, at least one: a Poisson number with 15 % more scatter."""
    return max(1, int(rng.poisson(mean * rng.gamma(44.0, 1 / 44.0))))
