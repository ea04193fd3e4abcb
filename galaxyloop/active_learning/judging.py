"""How wrong a head is about the test galaxies."""

import math

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from galaxyloop.campaigns import volunteers_questions
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.dirichlet import is_answered, vote_fractions, vote_log_likelihood
from galaxyloop.metrics.science import is_mostly_asked


def counted_questions(tree: DecisionTree, questions: list[str]) -> list[str]:
    """The questions named, or all that volunteers answer, in the tree's order."""
    chosen = questions or volunteers_questions(tree)
    return [name for name in tree.question_names if name in chosen]


def measure_errors(
    concentrations: Float[Tensor, "sample galaxy answer"],
    votes: Float32[np.ndarray, "galaxy answer"],
    tree: DecisionTree,
    questions: list[str],
) -> dict[str, float]:
    """Each of ``MEASURES`` on some galaxies.

    - ``rmse``: between predicted and voted fractions, over the answers of a question and the
      galaxies where at least half of its campaign's volunteers were asked it; then the mean over
      questions, so that a question on rare galaxies counts as much as one on all.
    - ``log_loss``: negative log-probability of the votes on a question under the mixture of all
      samples [nats]; the mean over galaxies with votes on it, then over questions.
    - ``ranking_error``: of a single question with two answers that one expert gave, the share of
      pairs of galaxies with different answers that are in the wrong order, 1 - AUC; else NaN.

    Args:
        concentrations: Dirichlet parameters.
        votes: counts.
        tree: the questions.
        questions: names of those that count; of each measure those are left out that no galaxy
            has what it takes for.
    """
    counts = torch.from_numpy(votes)
    answered = is_answered(counts, tree)
    is_mostly = torch.from_numpy(is_mostly_asked(votes.astype(np.int64), tree))
    likelihood = vote_log_likelihood(concentrations, counts, tree, check=False)
    log_p = torch.logsumexp(likelihood, dim=0) - math.log(len(concentrations))
    fractions = vote_fractions(concentrations, tree).mean(dim=0)
    squares, losses = [], []
    for name in questions:
        part, place = tree.slices[name], tree.question_names.index(name)
        rows = is_mostly[:, place]
        if rows.any():
            voted = counts[rows, part] / counts[rows, part].sum(dim=1, keepdim=True)
            squares.append((fractions[rows, part] - voted).square().mean().sqrt())
        if answered[:, place].any():
            losses.append(-log_p[answered[:, place], place].mean())
    return {
        "rmse": float(torch.stack(squares).mean()) if squares else float("nan"),
        "log_loss": float(torch.stack(losses).mean()) if losses else float("nan"),
        "ranking_error": _ranking_error(fractions, votes, tree),
    }


def _ranking_error(
    fractions: Float[Tensor, "galaxy answer"],
    votes: Float32[np.ndarray, "galaxy answer"],
    tree: DecisionTree,
) -> float:
    """1 - AUC of labels; NaN of anything else."""
    if len(tree.columns) != 2 or not (votes.sum(axis=1) == 1).all():
        return float("nan")
    is_second = votes[:, 1] == 1
    if is_second.all() or not is_second.any():
        return float("nan")
    from sklearn.metrics import roc_auc_score  # here: scikit-learn takes a while

    return 1 - float(roc_auc_score(is_second, fractions[:, 1].numpy()))
