"""A survey's representations with votes or labels, as what a loop is played on."""

import numpy as np
import pandas as pd
from jaxtyping import Float32

from galaxyloop.active_learning.data import LoopData, label_tree, votes_of_labels
from galaxyloop.campaigns import volunteers_questions
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.errors import LabelError
from galaxyloop.finetuning.labels import Labels
from galaxyloop.representations.table import Representations
from galaxyloop.splits import SplitConfig, split_galaxies


def loop_of_votes(
    representations: Representations,
    votes: pd.DataFrame,
    tree: DecisionTree,
    split: SplitConfig,
) -> LoopData:
    """Galaxies with a volunteer's vote and a representation.

    Args:
        representations: of the survey.
        votes: ``id_str`` and a count for each answer of the tree.
        tree: the questions.
        split: the share of groups that test; the others are the pool.

    Raises:
        LabelError: no galaxy has both, or none is left to test or to ask about.
    """
    answers = [c for name in volunteers_questions(tree) for c in tree.question(name).columns]
    voted = votes[votes[answers].sum(axis=1) > 0]
    counts = voted[list(tree.columns)].to_numpy(dtype=np.float32)
    return _join(representations, voted["id_str"], counts, tree, split)


def loop_of_labels(
    representations: Representations, labels: Labels, split: SplitConfig
) -> LoopData:
    """Galaxies with a label and a representation; a label is one expert's vote.

    Args:
        representations: of the survey.
        labels: of classes.
        split: the share of groups that test; the others are the pool.

    Raises:
        LabelError: the labels are no classes, no galaxy has both, or none is left to test or to
            ask about.
    """
    tree = label_tree(labels.target)
    counts = votes_of_labels(labels.table["y"].to_numpy(dtype=np.float64), tree)
    return _join(representations, labels.table["id_str"], counts, tree, split)


def _join(
    representations: Representations,
    id_strs: pd.Series,
    counts: Float32[np.ndarray, "voted answer"],
    tree: DecisionTree,
    split: SplitConfig,
) -> LoopData:
    """Galaxies on both sides, in order of their ids."""
    galaxies = representations.galaxies.reset_index(drop=True)
    splits = split_galaxies(galaxies, split).set_index("id_str")["split"]
    place = pd.Series(galaxies.index, index=galaxies["id_str"])
    order = np.argsort(id_strs.to_numpy(dtype=str), kind="stable")
    ids = id_strs.to_numpy(dtype=object)[order]
    is_there = np.isin(ids.astype(str), galaxies["id_str"].to_numpy(dtype=str))
    if not is_there.any():
        raise LabelError(
            f"none of the {len(ids)} galaxies with votes or labels, such as {list(ids[:3])}, is "
            f"among the {len(galaxies)} with representations; give both the same id_str",
            len(ids),
            len(ids),
            [str(name) for name in ids[:5]],
        )
    ids, rows = ids[is_there], order[is_there]
    return LoopData(
        ids,
        representations.vectors[place[ids].to_numpy(dtype=np.int64)],
        counts[rows],
        (splits[ids] == "test").to_numpy(dtype=bool),
        tree,
    )
