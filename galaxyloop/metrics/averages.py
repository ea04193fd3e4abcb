"""One number for all questions."""

import numpy as np
import pandas as pd

ALL_QUESTIONS = "all"
"""What stands in a metric table's column ``question`` for the average over questions."""


def add_average_ratio(metrics: pd.DataFrame, min_galaxies: int = 30) -> pd.DataFrame:
    """The table with one more row: the mean of ``rmse_ratio`` over questions.

    Questions with fewer held-out galaxies than ``min_galaxies`` say more of their galaxies than
    of the model, and are left out.

    Returns:
        The rows, then ``all`` with metric ``rmse_ratio``; its ``n_galaxies`` is the largest of
        the averaged questions'. Without any such question its value is NaN.
    """
    ratios = metrics[(metrics["metric"] == "rmse_ratio") & (metrics["n_galaxies"] >= min_galaxies)]
    row = {
        "question": ALL_QUESTIONS,
        "metric": "rmse_ratio",
        "value": ratios["value"].mean(),
        "low": np.nan,
        "high": np.nan,
        "n_galaxies": int(ratios["n_galaxies"].max()) if len(ratios) else 0,
    }
    return pd.concat([metrics, pd.DataFrame([row])], ignore_index=True)
