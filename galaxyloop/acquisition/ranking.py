"""The list of galaxies to ask about next, from a table of predictions."""

import hashlib
from collections.abc import Callable, Collection

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float64

from galaxyloop.acquisition.baselines import vote_entropy
from galaxyloop.acquisition.config import AcquisitionConfig
from galaxyloop.campaigns import volunteers_questions
from galaxyloop.config import require
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.errors import UnknownNameError

Scores = Float64[np.ndarray, " galaxy"]
Acquisition = Callable[[pd.DataFrame, DecisionTree, AcquisitionConfig], Scores]
"""Scores each galaxy of a prediction table; the highest is asked about first."""


def score_by_mutual_information(
    predictions: pd.DataFrame, tree: DecisionTree, config: AcquisitionConfig
) -> Scores:
    """Mutual information summed over the chosen questions [nats].

    Questions share one network, so the sum is an upper bound of what all votes tell together.
    """
    scores: Scores = _information(predictions, tree, config).sum(axis=1)
    return scores


def score_by_entropy(
    predictions: pd.DataFrame, tree: DecisionTree, config: AcquisitionConfig
) -> Scores:
    """Entropy of one vote on each of the chosen questions, times the share asked [nats].

    What the mean prediction is unsure of, be it for want of training or because volunteers will
    never agree: a baseline.
    """
    columns = [f"{column}_fraction" for column in tree.columns]
    fractions = predictions[columns].to_numpy(dtype=np.float64, copy=True)
    entropy = vote_entropy(torch.from_numpy(fractions), tree).numpy()
    asked = predictions[[f"{name}_asked" for name in tree.question_names]]
    names = _question_names(tree, config)
    places = [tree.question_names.index(name) for name in names]
    scores: Scores = (entropy * asked.to_numpy(dtype=np.float64))[:, places].sum(axis=1)
    return scores


def score_by_disagreement(
    predictions: pd.DataFrame, tree: DecisionTree, config: AcquisitionConfig
) -> Scores:
    """Mutual information of one vote on each of the chosen questions, times the share asked [nats].

    A baseline that does not see how many votes there will be.
    """
    columns = [f"{name}_disagreement_nats" for name in _question_names(tree, config)]
    scores: Scores = predictions[columns].to_numpy(dtype=np.float64).sum(axis=1)
    return scores


def score_at_random(
    predictions: pd.DataFrame, tree: DecisionTree, config: AcquisitionConfig
) -> Scores:
    """A number from 0 to 1 by hash of seed and id: the baseline, the same in any order of rows."""
    digests = (
        hashlib.blake2b(f"{config.seed}:{id_str}".encode(), digest_size=8).digest()
        for id_str in predictions["id_str"]
    )
    return np.frombuffer(b"".join(digests), dtype="<u8") / 2.0**64


ACQUISITIONS: dict[str, Acquisition] = {
    "mutual_information": score_by_mutual_information,
    "random": score_at_random,
    "entropy": score_by_entropy,
    "disagreement": score_by_disagreement,
}


def columns_to_score(tree: DecisionTree, acquisition: str) -> list[str]:
    """The columns that an acquisition scores, beside every question's information."""
    names = tree.question_names
    if acquisition == "entropy":
        fractions = [f"{column}_fraction" for column in tree.columns]
        return [*fractions, *(f"{name}_asked" for name in names)]
    if acquisition == "disagreement":
        return [f"{name}_disagreement_nats" for name in names]
    return []


def check_columns(found: Collection[str], tree: DecisionTree, acquisition: str) -> None:
    """Refuse an acquisition for which a table of predictions lacks columns.

    Raises:
        ConfigError: it does; a survey's predictions have no disagreement.
    """
    lacking = [name for name in columns_to_score(tree, acquisition) if name not in found]
    require(
        not lacking,
        f"the acquisition '{acquisition}' scores the columns {lacking[:3]} ..., which these "
        "predictions lack; of a survey's predictions 'mutual_information' with "
        "information.expected_votes=1 is the disagreement about one vote",
    )


def rank_galaxies(
    predictions: pd.DataFrame,
    tree: DecisionTree,
    config: AcquisitionConfig,
    exclude_ids: Collection[str] = (),
) -> pd.DataFrame:
    """Galaxies in the order in which volunteers should see them.

    Equal scores are ordered by ``id_str``, so the list does not depend on the order of the rows.

    Args:
        predictions: one row a galaxy: ``id_str``, ``ra_deg``, ``dec_deg`` and
            ``{question}_information_nats`` for each question; and ``columns_to_score``.
        tree: the questions.
        config: the acquisition, and the questions that count.
        exclude_ids: galaxies to leave out: those that volunteers have seen already.

    Returns:
        ``rank`` from 1, ``id_str``, ``ra_deg``, ``dec_deg``, ``information_nats`` (sum over the
        questions that count), each question's own, and ``most_informative_question``.

    Raises:
        UnknownNameError: there is no such acquisition, or no such question.
        ConfigError: the acquisition needs columns that are not there.
        ValueError: an information is not finite.
    """
    if config.name not in ACQUISITIONS:
        raise UnknownNameError("acquisition", config.name, ACQUISITIONS)
    check_columns(set(predictions.columns), tree, config.name)
    is_left = ~predictions["id_str"].isin(set(exclude_ids))
    candidates = predictions[is_left].reset_index(drop=True)
    scores = ACQUISITIONS[config.name](candidates, tree, config)
    order = np.lexsort((candidates["id_str"].to_numpy(dtype=str), -scores))
    ranked = candidates.iloc[order].reset_index(drop=True)
    information = _information(ranked, tree, config)
    names = np.array(_question_names(tree, config), dtype=object)
    table = ranked[["id_str", "ra_deg", "dec_deg"]].copy()
    table.insert(0, "rank", np.arange(1, len(ranked) + 1))
    table["information_nats"] = information.sum(axis=1)
    own = [_column(name) for name in tree.question_names]
    most = pd.Series(names[information.argmax(axis=1)], dtype="str", index=ranked.index)
    return pd.concat([table, ranked[own], most.rename("most_informative_question")], axis=1)


def _information(
    predictions: pd.DataFrame, tree: DecisionTree, config: AcquisitionConfig
) -> Float64[np.ndarray, "galaxy question"]:
    """The information of the questions that count."""
    columns = [_column(name) for name in _question_names(tree, config)]
    information = predictions[columns].to_numpy(dtype=np.float64)
    is_bad = ~np.isfinite(information).all(axis=1)
    if is_bad.any():
        examples = list(predictions.loc[is_bad, "id_str"][:3])
        raise ValueError(
            f"information must be finite, but is not for {is_bad.sum()} galaxies such as "
            f"{examples}; predict them again with a checkpoint whose weights are finite"
        )
    return information


def _question_names(tree: DecisionTree, config: AcquisitionConfig) -> list[str]:
    """The questions that count, in the tree's order."""
    for name in config.questions:
        if name not in tree.question_names:
            raise UnknownNameError("question", name, tree.question_names)
    chosen = config.questions or volunteers_questions(tree)
    return [name for name in tree.question_names if name in chosen]


def _column(question: str) -> str:
    """Where a prediction table keeps a question's information."""
    return f"{question}_information_nats"
