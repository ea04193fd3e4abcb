"""One number for all questions, and for those of each campaign."""

import numpy as np
import pandas as pd

from galaxyloop.decision_tree import DecisionTree

ALL_QUESTIONS = "all"
"""What stands in a metric table's column ``question`` for all questions together; in the column
``campaign`` for several campaigns together."""


def overall_name(campaign: str) -> str:
    """What stands in the column ``question`` for all questions of one campaign of several."""
    return f"{ALL_QUESTIONS}-{campaign}"


def question_sets(tree: DecisionTree) -> dict[tuple[str, str], tuple[str, ...]]:
    """Campaign and question of each row that stands for many questions, with these.

    One campaign has one such row, ``all``; several have one each, ``all-<campaign>``, and then
    ``all``, whose campaign is ``all`` too.
    """
    parts = tree.by_campaign
    if len(parts) == 1:
        return {(campaign, ALL_QUESTIONS): names for campaign, names in parts.items()}
    sets = {(campaign, overall_name(campaign)): names for campaign, names in parts.items()}
    return {**sets, (ALL_QUESTIONS, ALL_QUESTIONS): tree.question_names}


def add_average_ratio(
    metrics: pd.DataFrame, tree: DecisionTree, min_galaxies: int = 30
) -> pd.DataFrame:
    """The table with the mean of ``rmse_ratio`` over questions; of several campaigns one each too.

    Questions with fewer held-out galaxies than ``min_galaxies`` say more of their galaxies than
    of the model, and are left out.

    Returns:
        The rows, then those of ``question_sets`` with metric ``rmse_ratio``; their ``n_galaxies``
        is the largest of the averaged questions'. Without any such question the value is NaN.
    """
    ratios = metrics[(metrics["metric"] == "rmse_ratio") & (metrics["n_galaxies"] >= min_galaxies)]
    rows = []
    for (campaign, question), names in question_sets(tree).items():
        chosen = ratios[ratios["question"].isin(names)]
        row = {
            "campaign": campaign,
            "question": question,
            "metric": "rmse_ratio",
            "value": chosen["value"].mean(),
            "low": np.nan,
            "high": np.nan,
            "n_galaxies": int(chosen["n_galaxies"].max()) if len(chosen) else 0,
        }
        rows.append(row)
    return pd.concat([metrics, pd.DataFrame(rows)], ignore_index=True)
