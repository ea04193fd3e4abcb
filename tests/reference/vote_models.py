"""Independent scipy implementations in float64, written for clarity and not for speed."""

import itertools
from collections.abc import Iterator

import numpy as np
from scipy.special import betainc, logsumexp
from scipy.stats import dirichlet_multinomial

from galaxyloop.decision_tree import DecisionTree


def all_vote_counts(n_votes: int, n_answers: int) -> np.ndarray:
    """Every way in which n_votes volunteers can answer, one row an outcome."""
    return np.array(list(_compositions(n_votes, n_answers)), dtype=np.int64)


def _compositions(n_votes: int, n_answers: int) -> Iterator[tuple[int, ...]]:
    if n_answers == 1:
        yield (n_votes,)
        return
    for first in range(n_votes + 1):
        for rest in _compositions(n_votes - first, n_answers - 1):
            yield (first, *rest)


def log_likelihood_by_question(
    concentrations: np.ndarray, votes: np.ndarray, tree: DecisionTree
) -> np.ndarray:
    """Dirichlet-multinomial log-probability per galaxy and question, one at a time."""
    result = np.zeros((len(votes), len(tree.questions)))
    for i, (name, part) in itertools.product(range(len(votes)), tree.slices.items()):
        counts = votes[i, part]
        result[i, tree.question_names.index(name)] = dirichlet_multinomial.logpmf(
            counts, concentrations[i, part].astype(float), int(counts.sum())
        )
    return result


def mixture_quantile(alpha: np.ndarray, beta: np.ndarray, level: float) -> np.ndarray:
    """Quantile of an equal mixture of Betas (samples on axis 0) by bisection of its CDF."""
    low, high = np.zeros(alpha.shape[1:]), np.ones(alpha.shape[1:])
    for _ in range(40):
        middle = (low + high) / 2
        is_below = betainc(alpha, beta, middle).mean(axis=0) < level
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return (low + high) / 2


def mutual_information_nats(concentrations: np.ndarray, n_votes: int) -> float:
    """H[mean of the samples' predictions] - mean of their H, over every outcome of one question."""
    outcomes = all_vote_counts(n_votes, concentrations.shape[1])
    log_p = np.array(
        [
            dirichlet_multinomial.logpmf(outcomes, one.astype(float), n_votes)
            for one in concentrations
        ]
    )
    log_mixture = logsumexp(log_p, axis=0) - np.log(len(log_p))
    mixture_entropy = -np.sum(np.exp(log_mixture) * log_mixture)
    return float(mixture_entropy - np.mean(-np.sum(np.exp(log_p) * log_p, axis=1)))
