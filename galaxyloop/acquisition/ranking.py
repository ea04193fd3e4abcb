"""The list of galaxies to ask about next, from a table of predictions."""

import hashlib
from collections.abc import Callable, Collection

import numpy as np
import pandas as pd
from jaxtyping import Float64

from galaxyloop.acquisition.config import AcquisitionConfig
from galaxyloop.campaigns import volunteers_questions
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
}


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
            ``{question}_information_nats`` for each question.
        tree: the questions.
        config: the acquisition, and the questions that count.
        exclude_ids: galaxies to leave out: those that volunteers have seen already.

    Returns:
        ``rank`` from 1, ``id_str``, ``ra_deg``, ``dec_deg``, ``information_nats`` (sum over the
        questions that count), each question's own, and ``most_informative_question``.

    Raises:
        UnknownNameError: there is no such acquisition, or no such question.
        ValueError: an information is not finite.
    """
    if config.name not in ACQUISITIONS:
        raise UnknownNameError("acquisition", config.name, ACQUISITIONS)
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
