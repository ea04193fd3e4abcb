"""The galaxies volunteers could be asked about: in the survey now, and without votes."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from galaxyloop.acquisition.ranking import check_columns, columns_to_score
from galaxyloop.campaigns import volunteers_questions
from galaxyloop.decision_tree import DecisionTree


def read_candidates(
    prediction_files: Sequence[Path],
    tree: DecisionTree,
    galaxies: pd.DataFrame,
    votes: pd.DataFrame,
    acquisition: str = "mutual_information",
) -> pd.DataFrame:
    """Positions and information of every galaxy that volunteers have not seen.

    Args:
        prediction_files: of the survey's shards, oldest first; later files win.
        tree: the questions.
        galaxies: the survey as it is now: ``id_str``, ``group_id``, ``ra_deg``, ``dec_deg``,
            ``image_digest``. A prediction of another image does not count.
        votes: ``id_str`` and the tree's answers. A galaxy with a volunteer's vote on any of its
            images, that is in its group, has been seen; so has one whose group has the id of a
            voted image that left the survey. An expert's attributes do not count, unless the tree
            has no other questions.
        acquisition: one of ``ACQUISITIONS``, whose columns are read too.

    Returns:
        ``id_str``, ``ra_deg``, ``dec_deg``, ``{question}_information_nats`` and what the
        acquisition scores, a row a galaxy.

    Raises:
        ConfigError: the predictions lack what the acquisition scores.
    """
    information = [f"{question}_information_nats" for question in tree.question_names]
    for path in prediction_files:
        check_columns(pq.read_schema(path).names, tree, acquisition)
    information += columns_to_score(tree, acquisition)
    columns = ["id_str", "image_digest", *information]
    files = [pd.read_parquet(path, columns=columns) for path in prediction_files]
    predictions = pd.concat(files or [pd.DataFrame(columns=columns)], ignore_index=True)
    predictions = predictions.drop_duplicates(["id_str", "image_digest"], keep="last")
    answers = [c for name in volunteers_questions(tree) for c in tree.question(name).columns]
    is_voted = votes[answers].sum(axis=1) > 0
    voted = galaxies["id_str"].isin(votes.loc[is_voted, "id_str"])
    seen = galaxies["group_id"].isin(galaxies.loc[voted, "group_id"])
    # An image that has left the survey may have given the group its name.
    seen |= galaxies["group_id"].isin(votes.loc[is_voted, "id_str"])
    unseen = galaxies.loc[~seen, ["id_str", "ra_deg", "dec_deg", "image_digest"]]
    candidates = unseen.merge(predictions, on=["id_str", "image_digest"], validate="one_to_one")
    return candidates[["id_str", "ra_deg", "dec_deg", *information]]
