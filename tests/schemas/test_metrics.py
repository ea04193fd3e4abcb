"""The schema of metric tables."""

import numpy as np
import pandas as pd
import pytest
import torch

from galaxyloop.decision_tree import DecisionTree, Question, combine_trees
from galaxyloop.metrics import evaluate_predictions
from schemas.metrics import judge_metrics

TREE = DecisionTree("toy", (Question("bar-toy", ("yes", "no")),))


@pytest.fixture
def metrics() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "campaign": ["toy", "toy", "toy"],
            "question": ["bar-toy", "bar-toy", "all"],
            "metric": ["rmse", "mae", "rmse_ratio"],
            "value": [0.1, np.nan, np.nan],
            "low": [0.05, np.nan, np.nan],
            "high": [0.15, np.nan, np.nan],
            "n_galaxies": [12, 0, 12],
        }
    )


def test_judge_metrics__accepts_a_metric_over_no_galaxies(metrics: pd.DataFrame) -> None:
    assert judge_metrics(metrics, TREE).empty


def test_judge_metrics__accepts_what_is_evaluated() -> None:
    rng = np.random.default_rng(4)
    concentrations = rng.uniform(1, 20, (5, 30, 2)).astype(np.float32)
    votes = rng.integers(0, 30, (30, 2))
    table = evaluate_predictions(torch.from_numpy(concentrations), votes, votes, TREE)
    assert judge_metrics(table, TREE).empty
    unasked = evaluate_predictions(torch.from_numpy(concentrations), votes, 0 * votes, TREE)
    assert judge_metrics(unasked, TREE).empty
    other = DecisionTree("other", (Question("ring-other", ("yes", "no")),))
    both = combine_trees([TREE, other])
    twice = np.concatenate([concentrations, concentrations], axis=2)
    unasked_there = np.hstack([votes, 0 * votes])
    table = evaluate_predictions(twice, unasked_there, unasked_there, both)
    assert judge_metrics(table, both).empty
    unanswered = evaluate_predictions(torch.from_numpy(concentrations), 0 * votes, votes, TREE)
    assert judge_metrics(unanswered, TREE).empty


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("question", ["bar-toy", "bar-toy", "bulge-toy"], "isin"),
        ("campaign", ["toy", "toy", "gz2"], "isin"),
        ("value", [np.inf, np.nan, 0.2], "must be finite"),
        ("value", [0.1, 0.1, 0.2], "a value over no galaxies must be missing"),
        ("low", [0.2, np.nan, np.nan], "low must not be above high"),
        ("metric", ["rmse", "rmse", "rmse"], "unique"),
        ("n_galaxies", [12, -1, 12], "greater_than_or_equal_to(0)"),
    ],
)
def test_judge_metrics__names_the_reason(
    metrics: pd.DataFrame, column: str, values: list[object], reason: str
) -> None:
    found = judge_metrics(metrics.assign(**{column: values}), TREE)
    assert found["reason"].str.contains(reason, regex=False).any()
