"""Which galaxies have votes enough."""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64

from galaxyloop.acquisition.config import RetirementConfig
from galaxyloop.campaigns import volunteers_questions
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.errors import UnknownNameError

RETIREMENT_COLUMNS = ("id_str", "n_votes", "is_retired", "reason")
ENOUGH_VOTES = "volunteers enough have seen it"
KNOWN = "its vote fractions are known"
_LEVELS = (0.05, 0.95)


def retire(votes: pd.DataFrame, tree: DecisionTree, config: RetirementConfig) -> pd.DataFrame:
    """Which galaxies need no more volunteers.

    A galaxy is retired after ``max_votes`` volunteers, and from ``min_votes`` on as soon as the
    fraction of every answer to the questions that count is known: the 90 % interval of its Beta
    posterior, from a flat Dirichlet and the votes, is at most ``max_interval_width`` wide. A
    question that less than ``min_asked_share`` of the volunteers reached does not count. Nor do a
    campaign's questions for a galaxy without a vote on the campaign's first one; where that leaves
    no question, nothing is known.

    Args:
        votes: ``id_str`` and a count for each answer of the tree.
        tree: the questions; experts' attributes do not count, unless it has no others.
        config: the rule.

    Returns:
        ``RETIREMENT_COLUMNS``, a row a galaxy in the order of ``votes``. ``n_votes`` is the number
        of volunteers: votes on a question that everybody is asked, of several campaigns the most.
        ``reason`` is empty where the galaxy is not retired.

    Raises:
        UnknownNameError: there is no such question.
    """
    for name in config.questions:
        if name not in tree.question_names:
            raise UnknownNameError("question", name, tree.question_names)
    everybody = _everybodys_questions(tree)
    n_votes = np.max([_total(votes, question) for question in everybody], axis=0)
    counted = [tree.question(name) for name in config.questions] or everybody
    is_known = _is_all_known(votes, counted, tree, config)
    has_enough = n_votes >= config.max_votes
    is_settled = is_known & (n_votes >= config.min_votes) & (config.max_interval_width > 0)
    return pd.DataFrame(
        {
            "id_str": votes["id_str"].to_numpy(dtype=object),
            "n_votes": n_votes.astype(np.int64),
            "is_retired": has_enough | is_settled,
            "reason": np.where(has_enough, ENOUGH_VOTES, np.where(is_settled, KNOWN, "")),
        }
    ).astype({"id_str": "str", "reason": "str"})


def _everybodys_questions(tree: DecisionTree) -> list[Question]:
    """The volunteers' questions that depend on no answer: the first of each campaign."""
    questions = [tree.question(name) for name in volunteers_questions(tree)]
    return [question for question in questions if not question.asked_after]


def _is_all_known(
    votes: pd.DataFrame, counted: list[Question], tree: DecisionTree, config: RetirementConfig
) -> Bool[np.ndarray, " galaxy"]:
    """Whether every question is known whose campaign has votes on the galaxy; one must have."""
    has_votes = np.array([_total(votes, _first_question(one, tree)) > 0 for one in counted])
    is_known = np.array([_is_known(votes, one, tree, config) for one in counted])
    return np.asarray((is_known | ~has_votes).all(axis=0) & has_votes.any(axis=0))


def _is_known(
    votes: pd.DataFrame, question: Question, tree: DecisionTree, config: RetirementConfig
) -> Bool[np.ndarray, " galaxy"]:
    """Whether every answer's interval is narrow, or too few of the volunteers came that far."""
    total = _total(votes, question)
    n_votes = _total(votes, _first_question(question, tree))
    is_asked = total >= np.maximum(config.min_asked_share * n_votes, 1)
    is_narrow = _widest_interval(votes, question) <= config.max_interval_width
    return np.asarray(is_narrow | (~is_asked & bool(question.asked_after)))


def _first_question(question: Question, tree: DecisionTree) -> Question:
    """The question that everybody was asked on the way to one."""
    while question.asked_after:
        parent = tree.columns.index(question.asked_after[0])
        question = tree.questions[tree.question_of_answer[parent]]
    return question


def _widest_interval(votes: pd.DataFrame, question: Question) -> Float64[np.ndarray, " galaxy"]:
    """Of the question's answers the widest 90 % interval, each by its Beta posterior."""
    from scipy.stats import beta  # here: scipy takes a while

    counts = votes[list(question.columns)].to_numpy(dtype=np.float64)
    alpha = 1 + counts
    rest = alpha.sum(axis=1, keepdims=True) - alpha
    low, high = (beta.ppf(level, alpha, rest) for level in _LEVELS)
    return np.asarray((high - low).max(axis=1))


def _total(votes: pd.DataFrame, question: Question) -> Float64[np.ndarray, " galaxy"]:
    """Votes on a question."""
    return np.asarray(votes[list(question.columns)].to_numpy(dtype=np.float64).sum(axis=1))
