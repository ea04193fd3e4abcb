"""What volunteers see in a simulated galaxy: from its parameters to true vote fractions."""

import numpy as np
from jaxtyping import Float64

from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.errors import UnknownNameError
from galaxyloop.synthetic.config import SimulationConfig
from galaxyloop.synthetic.galaxies import Galaxy
from galaxyloop.synthetic.impression import Impression, impression_of
from galaxyloop.synthetic.scores import SCORES, Score

_CARELESS_SHARE = 0.01
"""One vote in a hundred is a slip of the finger, so no share is exactly 0."""


def true_concentrations(
    galaxy: Galaxy, tree: DecisionTree, config: SimulationConfig
) -> Float64[np.ndarray, " answer"]:
    """The Dirichlet parameters that volunteers' votes on a galaxy are drawn from.

    Each is ``1 + concentration * share`` with shares that sum to 1 over a question's answers, so
    a network whose concentrations lie in (1, 101) can represent them exactly. The true fraction
    of an answer is its concentration over the sum of its question's.

    Raises:
        UnknownNameError: volunteers have no opinion on a question or an answer of the tree.
    """
    seen = impression_of(galaxy, config)
    return np.concatenate(
        [1 + config.concentration * _shares(question, seen) for question in tree.questions]
    )


def true_fractions(
    concentrations: Float64[np.ndarray, "*batch answer"], tree: DecisionTree
) -> Float64[np.ndarray, "*batch answer"]:
    """Each concentration over the sum of its question's."""
    fractions = np.empty_like(concentrations)
    for part in tree.slices.values():
        total = concentrations[..., part].sum(axis=-1, keepdims=True)
        fractions[..., part] = concentrations[..., part] / total
    return fractions


def _shares(question: Question, seen: Impression) -> Float64[np.ndarray, " answer"]:
    """Softmax of the answers' scores, less the careless votes, which fall on any answer."""
    scores = np.array([score(seen) for score in _scores_of(question)], dtype=np.float64)
    weights = np.exp(scores - scores.max())
    shares: Float64[np.ndarray, " answer"] = (
        1 - _CARELESS_SHARE
    ) * weights / weights.sum() + _CARELESS_SHARE / len(weights)
    return shares


def _scores_of(question: Question) -> list[Score]:
    """The scores of a question's answers, found by the question without its campaign."""
    stems = [
        stem for stem in SCORES if question.name == stem or question.name.startswith(f"{stem}-")
    ]
    if not stems:
        raise UnknownNameError("opinion on the question", question.name, SCORES)
    scores = SCORES[max(stems, key=len)]
    unknown = [answer for answer in question.answers if answer not in scores]
    if unknown:
        raise UnknownNameError(f"opinion on '{question.name}' for the answer", unknown[0], scores)
    return [scores[answer] for answer in question.answers]
