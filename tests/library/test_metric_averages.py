import numpy as np
import pandas as pd

from galaxyloop.metrics import ALL_QUESTIONS, add_average_ratio


def table(**n_galaxies: int) -> pd.DataFrame:
    ratios = {"bar": 0.5, "odd": 0.7, "arms": 0.9}
    rows = [
        (question, metric, value, np.nan, np.nan, n_galaxies[question])
        for question, ratio in ratios.items()
        for metric, value in (("rmse", 9.0), ("rmse_ratio", ratio))
    ]
    columns = ["question", "metric", "value", "low", "high", "n_galaxies"]
    return pd.DataFrame(rows, columns=columns)


def test_add_average_ratio__averages_questions_with_enough_galaxies() -> None:
    last = add_average_ratio(table(bar=30, odd=200, arms=29)).iloc[-1]
    assert (last["question"], last["metric"]) == (ALL_QUESTIONS, "rmse_ratio")
    assert last["value"] == 0.6
    assert last["n_galaxies"] == 200


def test_add_average_ratio__is_nan_without_such_a_question() -> None:
    assert np.isnan(add_average_ratio(table(bar=1, odd=2, arms=3)).iloc[-1]["value"])
