"""Errors where most were asked, confident galaxies, confusion, ceilings, discrete coverage."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import betabinom, binom

from galaxyloop.decision_tree import combine_trees
from galaxyloop.metrics import (
    MetricsConfig,
    confusion_table,
    counts_within,
    discrete_coverage,
    evaluate_predictions,
)
from galaxyloop.metrics.discrete_coverage import DEVIATIONS
from galaxyloop.metrics.science import is_mostly_asked
from galaxyloop.posterior import binomial_concentrations
from tests.reference.trees import flat_tree, spiral_tree

QUICK = MetricsConfig(n_bootstrap=20)
TREE = flat_tree([3])
ONE_QUESTION = "question-0"


def value(table: pd.DataFrame, metric: str, question: str = ONE_QUESTION) -> float:
    chosen = table[(table["question"] == question) & (table["metric"] == metric)]
    return float(chosen["value"].item())


def certain(fractions: list[list[float]]) -> torch.Tensor:
    """One sample of concentrations with these mean fractions."""
    return 100 * torch.tensor([fractions], dtype=torch.float64)


def test_is_mostly_asked__counts_votes_on_the_first_question_of_the_campaign() -> None:
    tree = combine_trees([spiral_tree(), flat_tree([2])])
    votes = np.zeros((2, len(tree.columns)), np.int64)
    votes[0, :3] = 2, 18, 0
    votes[0, 3:5] = 4, 6  # 10 of 20 volunteers
    votes[0, 5:9] = 3, 2, 1, 0  # 6 of 20
    votes[1, 11:] = 1, 0
    assert is_mostly_asked(votes, tree).tolist() == [
        [True, True, False, False, False],
        [False, False, False, False, True],
    ]


def test_evaluate_predictions__errors_where_most_were_asked_by_hand() -> None:
    votes = np.zeros((3, 11), np.int64)
    votes[:, 1] = 10
    votes[0, 3:5] = 8, 2
    votes[1, 3:5] = 5, 0
    votes[2, 3:5] = 4, 0  # 4 of 10 were asked, and fewer than five
    concentrations = torch.full((1, 3, 11), 5.0)
    table = evaluate_predictions(concentrations, votes, votes, spiral_tree(), QUICK)
    assert value(table, "rmse_asked", "edge-small") == pytest.approx(np.sqrt((0.3**2 + 0.5**2) / 2))
    assert value(table, "mae_asked", "edge-small") == pytest.approx(0.4)
    # The second galaxy's volunteers all agree: new ones would say the same.
    assert 0 < value(table, "rmse_asked_noise", "edge-small") < 0.2


def test_evaluate_predictions__noise_is_the_multinomials_own() -> None:
    rng = np.random.default_rng(0)
    fractions = rng.dirichlet([2, 2, 2], 2000)
    votes = rng.multinomial(40, fractions)
    observed = votes / 40
    # A model that knows the truth errs by the volunteers' scatter, which is the ceiling.
    model = torch.as_tensor(1000 * fractions)[None]
    table = evaluate_predictions(model, votes, votes, TREE, QUICK)
    expected = np.sqrt((observed * (1 - observed) / 40).mean())
    assert value(table, "rmse_asked_noise") == pytest.approx(expected, rel=0.01)
    assert value(table, "rmse_asked") == pytest.approx(expected, rel=0.04)
    assert value(table, "mae_asked") == pytest.approx(value(table, "mae_asked_noise"), rel=0.04)


def test_evaluate_predictions__scores_confident_galaxies_by_hand() -> None:
    said = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.6, 0.1]]
    votes = np.array([[20, 0, 0], [19, 1, 0], [0, 20, 0], [0, 1, 19], [10, 10, 0]])
    table = evaluate_predictions(certain(said), votes, votes, TREE, QUICK)
    # Of four confident galaxies two are right. F1: first 2*1/(2+2), second 0, third 1.
    assert value(table, "confident_accuracy") == pytest.approx(0.5)
    assert value(table, "confident_f1") == pytest.approx((2 * 0.5 + 1 * 0 + 1 * 1) / 4)
    assert value(table, "confident_accuracy_noise") == 1
    assert value(table, "confident_f1_noise") == 1
    confusion = confusion_table(np.array(said), votes, TREE).set_index(["volunteers", "model"])
    counts = confusion["n_galaxies"]
    assert counts["answer-0", "answer-0"] == 1
    assert counts["answer-0", "answer-1"] == 1
    assert counts["answer-1", "answer-0"] == 1
    assert counts["answer-2", "answer-2"] == 1
    assert counts.sum() == 4


def test_evaluate_predictions__scores_fall_back_to_nothing_without_confident_galaxies() -> None:
    votes = np.array([[10, 10, 0]])
    table = evaluate_predictions(certain([[0.5, 0.4, 0.1]]), votes, votes, TREE, QUICK)
    assert np.isnan(value(table, "confident_f1"))
    assert np.isnan(value(table, "confident_f1_noise"))


def test_counts_within__equals_scipy_for_a_mixture() -> None:
    tree = flat_tree([2])
    concentrations = torch.tensor([[[3.0, 7.0]], [[9.0, 2.0]]], dtype=torch.float64)
    votes = np.array([[7, 5]])
    within = counts_within(concentrations, votes, tree)
    counts = np.arange(13)
    p = (betabinom.pmf(counts, 12, 3, 7) + betabinom.pmf(counts, 12, 9, 2)) / 2
    distance = np.abs(counts - (p * counts).sum())
    for deviation in DEVIATIONS:
        expected = p[distance <= deviation].sum()
        assert within.predicted[0, 0, deviation] == pytest.approx(expected)
        assert within.observed[0, 0, deviation] == (distance[7] <= deviation)


def test_discrete_coverage__of_binomial_votes_is_that_of_the_binomial_network() -> None:
    tree, n_votes = flat_tree([2]), 40
    rng = np.random.default_rng(0)
    rho = rng.uniform(0.05, 0.95, 3000)
    first = rng.binomial(n_votes, rho)
    votes = np.column_stack([first, n_votes - first])
    samples = binomial_concentrations(torch.as_tensor(rho)[None])
    table = discrete_coverage(counts_within(samples, votes, tree), tree).set_index("deviation")
    for deviation in (1, 5, 10):
        low = np.ceil(n_votes * rho - deviation - 1e-9) - 1
        high = np.floor(n_votes * rho + deviation + 1e-9)
        expected = (binom.cdf(high, n_votes, rho) - binom.cdf(low, n_votes, rho)).mean()
        assert table.loc[deviation, "predicted"] == pytest.approx(expected, abs=1e-5)
        assert table.loc[deviation, "observed"] == pytest.approx(expected, abs=0.03)


def test_evaluate_predictions__discrete_coverage_error_finds_overconfidence() -> None:
    tree = flat_tree([2])
    rng = np.random.default_rng(0)
    fractions = rng.dirichlet([4, 4], 1500)
    votes = rng.multinomial(30, fractions)
    errors = {}
    for name, scale in (("right", 1.0), ("too sure", 10.0)):
        model = torch.full((1, 1500, 2), 4.0 * scale)
        table = evaluate_predictions(model, votes, votes, tree, QUICK)
        errors[name] = value(table, "discrete_coverage_error")
    assert errors["right"] < 0.02
    assert errors["too sure"] > 0.1
