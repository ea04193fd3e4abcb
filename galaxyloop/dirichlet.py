"""The one likelihood: Dirichlet-multinomial votes, all questions of a tree at once."""

from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Real
from torch import Tensor

from galaxyloop.decision_tree import DecisionTree


def vote_log_likelihood(
    concentrations: Float[Tensor, "*sample galaxy answer"],
    votes: Real[Tensor, "galaxy answer"],
    tree: DecisionTree,
    check: bool = True,
) -> Float[Tensor, "*sample galaxy question"]:
    """Log-probability of the votes on each question.

    Volunteers draw vote fractions from a Dirichlet, then vote from them
    (Walmsley et al. 2022, arXiv:2102.08414). With two answers it is the beta-binomial, which
    tends to the binomial of Walmsley et al. (2020, arXiv:1905.07424) as concentrations grow. A
    galaxy without votes on a question gives exactly 0, and exactly no gradient. Computed in
    float32 at least, whatever the autocast; the number of operations does not depend on the
    number of questions.

    Args:
        concentrations: Dirichlet parameters, each > 0; a leading axis of samples is allowed.
        votes: vote counts, each >= 0.
        tree: says which answers belong to one question.
        check: look for bad values first; on an accelerator this waits for the device.

    Returns:
        Natural-log probability [nats].

    Raises:
        ValueError: a concentration is <= 0 or not finite, or a vote is negative or not finite.
    """
    if check:
        _check_values(concentrations, votes)
    with torch.autocast(concentrations.device.type, enabled=False):
        dtype = torch.promote_types(concentrations.dtype, torch.float32)
        concentrations, votes = concentrations.to(dtype), votes.to(dtype)
        # Answers and their questions' totals side by side go through one lgamma call.
        parameters = torch.cat([concentrations, sum_by_question(concentrations, tree)], dim=-1)
        counts = torch.cat([votes, sum_by_question(votes, tree)], dim=-1)
        terms = torch.lgamma(parameters + counts) - torch.lgamma(parameters)
        terms = terms - torch.lgamma(counts + 1)
        n_answers = votes.shape[-1]
        return sum_by_question(terms[..., :n_answers], tree) - terms[..., n_answers:]


def votes_loss(
    concentrations: Float[Tensor, "galaxy answer"],
    votes: Real[Tensor, "galaxy answer"],
    tree: DecisionTree,
    check: bool = False,
) -> Float[Tensor, ""]:
    """Negative log-likelihood per answered question.

    The sum over galaxies and questions, divided by the number of (galaxy, question) pairs with
    votes, so that unlabelled galaxies and unasked questions neither add nor dilute. A batch
    without any votes gives 0 with zero gradients.

    Args:
        concentrations: Dirichlet parameters, each > 0.
        votes: vote counts, each >= 0; nobody answered is 0.
        tree: says which answers belong to one question.
        check: look for bad values first; on an accelerator this waits for the device.

    Returns:
        Mean negative log-likelihood [nats an answered question].

    Raises:
        ValueError: ``check`` is set and a value is out of range.
    """
    log_likelihood = vote_log_likelihood(concentrations, votes, tree, check)
    n_answered = is_answered(votes, tree).sum().clamp(min=1)
    return -log_likelihood.sum() / n_answered


def is_answered(
    votes: Real[Tensor, "galaxy answer"], tree: DecisionTree
) -> Bool[Tensor, "galaxy question"]:
    """Whether a galaxy has any vote on a question."""
    with torch.autocast(votes.device.type, enabled=False):
        return sum_by_question(votes.to(torch.float32), tree) > 0


def vote_fractions(
    concentrations: Float[Tensor, "*batch answer"], tree: DecisionTree
) -> Float[Tensor, "*batch answer"]:
    """Mean of the Dirichlet: each concentration over its question's total."""
    return concentrations / sum_by_answer(concentrations, tree)


def sum_by_question(
    values: Float[Tensor, "*batch answer"], tree: DecisionTree
) -> Float[Tensor, "*batch question"]:
    """Sum of an answer-wise quantity over each question's answers."""
    # A matrix product, because it is deterministic on every device; in float64, because a float32
    # product may silently be rounded to TF32 or bfloat16 (torch.set_float32_matmul_precision).
    dtype = values.dtype if values.device.type == "mps" else torch.float64
    indicator = _question_indicator(tree, values.device, dtype)
    return (values.to(dtype) @ indicator).to(values.dtype)


def sum_by_answer(
    values: Float[Tensor, "*batch answer"], tree: DecisionTree
) -> Float[Tensor, "*batch answer"]:
    """Each question's sum, repeated for each of its answers."""
    of_answer = torch.as_tensor(tree.question_of_answer, device=values.device)
    return sum_by_question(values, tree).index_select(-1, of_answer)


@lru_cache(maxsize=32)
def _question_indicator(
    tree: DecisionTree, device: torch.device, dtype: torch.dtype
) -> Float[Tensor, "answer question"]:
    """1 where an answer belongs to a question."""
    # A tensor first made in inference mode could not be kept for a later backward pass.
    with torch.inference_mode(False):
        indicator = torch.zeros(len(tree.columns), len(tree.questions), dtype=dtype)
        indicator[range(len(tree.columns)), tree.question_of_answer] = 1
        return indicator.to(device)


def _check_values(concentrations: Tensor, votes: Tensor) -> None:
    """Refuse values outside the model; one pass over each tensor."""
    if not concentrations.numel():
        return
    low, high = torch.aminmax(concentrations.detach())
    if not (low > 0 and torch.isfinite(high)):
        raise ValueError(
            f"concentrations must be finite and > 0, got values from {low.item():g} to "
            f"{high.item():g}; use the head's scaled sigmoid"
        )
    low, high = torch.aminmax(votes)
    if not (low >= 0 and torch.isfinite(high)):
        raise ValueError(
            f"votes must be finite and >= 0, got values from {low.item():g} to {high.item():g}; "
            "write 0 where nobody answered"
        )
