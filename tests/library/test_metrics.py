import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import betabinom, dirichlet_multinomial, kstest
from torch import Tensor

from galaxyloop.config import ConfigError
from galaxyloop.decision_tree import DecisionTree, Question, combine_trees
from galaxyloop.metrics import (
    METRIC_COLUMNS,
    MetricsConfig,
    calibration_table,
    count_pit,
    evaluate_predictions,
    mean_fractions,
    mixture_log_likelihood,
    pit_values,
)
from galaxyloop.metrics.bootstrap import Metric, evaluate_metric
from tests.reference.trees import flat_tree

TREE = flat_tree([2, 4])
QUICK = MetricsConfig(n_bootstrap=50)


def simulate(n_galaxies: int, seed: int = 0, n_samples: int = 3) -> tuple[Tensor, np.ndarray]:
    """Concentrations, and votes by volunteers who agree with one of the samples, drawn anew."""
    rng = np.random.default_rng(seed)
    concentrations = rng.uniform(1, 30, (n_samples, n_galaxies, 6))
    votes = np.zeros((n_galaxies, 6), dtype=np.int64)
    for galaxy in range(n_galaxies):
        true = concentrations[rng.integers(n_samples), galaxy]
        for part in TREE.slices.values():
            fractions = rng.dirichlet(true[part])
            votes[galaxy, part] = rng.multinomial(rng.integers(0, 40), fractions)
    return torch.as_tensor(concentrations), votes


def value(table: pd.DataFrame, question: str, metric: str) -> float:
    chosen = table[(table["question"] == question) & (table["metric"] == metric)]
    return float(chosen["value"].item())


def test_evaluate_predictions__gives_the_errors_worked_by_hand() -> None:
    concentrations = torch.tensor([[[6.0, 2.0], [5.0, 5.0]], [[2.0, 2.0], [5.0, 5.0]]])
    votes = np.array([[8, 2], [1, 9]])  # observed .8 .1, predicted .625 .5
    training = np.array([[10, 0], [4, 6]])  # mean .7
    table = evaluate_predictions(concentrations, votes, training, flat_tree([2]), QUICK)
    assert tuple(table.columns) == METRIC_COLUMNS
    rmse = np.sqrt((0.175**2 + 0.4**2) / 2)
    of_mean = np.sqrt((0.1**2 + 0.6**2) / 2)
    assert value(table, "question-0", "rmse") == pytest.approx(rmse)
    assert value(table, "question-0", "mae") == pytest.approx((0.175 + 0.4) / 2)
    assert value(table, "question-0", "rmse_of_mean") == pytest.approx(of_mean)
    assert value(table, "question-0", "rmse_ratio") == pytest.approx(rmse / of_mean)
    # Of the two only the second is past .8, and its tie goes to the first answer.
    assert value(table, "question-0", "confident_accuracy") == 0


def test_evaluate_predictions__counts_galaxies_with_enough_votes() -> None:
    concentrations = torch.full((1, 3, 2), 5.0)
    votes = np.array([[4, 0], [3, 2], [0, 0]])
    table = evaluate_predictions(concentrations, votes, votes, flat_tree([2]), QUICK)
    of_question = table[table["question"] == "question-0"]
    n_galaxies = of_question.set_index("metric")["n_galaxies"]
    assert n_galaxies["rmse"] == n_galaxies["coverage_90"] == 1
    assert n_galaxies["log_likelihood"] == 2
    assert n_galaxies["confident_accuracy"] == 0
    assert np.isnan(value(table, "question-0", "confident_accuracy"))


def test_evaluate_predictions__has_intervals_that_hold_the_value_and_shrink() -> None:
    widths = []
    for n_galaxies in (100, 1600):
        concentrations, votes = simulate(n_galaxies)
        table = evaluate_predictions(concentrations, votes, votes, TREE)
        rows = table[table["metric"] == "rmse"]
        assert (rows["low"] < rows["value"]).all()
        assert (rows["value"] < rows["high"]).all()
        widths.append((rows["high"] - rows["low"]).mean())
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.4)


def test_evaluate_predictions__is_the_same_each_time() -> None:
    concentrations, votes = simulate(50)
    tables = [evaluate_predictions(concentrations, votes, votes, TREE, QUICK) for _ in range(2)]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    from_numpy = evaluate_predictions(concentrations.numpy(), votes, votes, TREE, QUICK)
    pd.testing.assert_frame_equal(from_numpy, tables[0])


def test_evaluate_predictions__finds_the_truth_calibrated_and_overconfidence_not() -> None:
    concentrations, votes = simulate(1500, n_samples=1)
    calibrated = evaluate_predictions(concentrations, votes, votes, TREE, QUICK)
    too_sure = evaluate_predictions(concentrations * 10, votes, votes, TREE, QUICK)
    for question in TREE.question_names:
        assert value(calibrated, question, "coverage_90") == pytest.approx(0.9, abs=0.03)
        assert value(calibrated, question, "calibration_error") < 0.025
        assert value(too_sure, question, "coverage_90") < 0.85
        gain = value(calibrated, question, "log_likelihood")
        assert gain > value(too_sure, question, "log_likelihood")
        error = value(calibrated, question, "calibration_error")
        assert value(too_sure, question, "calibration_error") > 1.5 * error


def test_evaluate_predictions__sums_the_log_likelihood_of_each_campaign() -> None:
    others = (Question("third", ("yes", "no")),)
    both = combine_trees([TREE, DecisionTree("other", others)])
    concentrations, votes = simulate(80)
    concentrations = torch.cat([concentrations, concentrations[..., :2]], dim=-1)
    votes = np.hstack([votes, votes[:, :2]])
    votes[:50, :6] = 0
    votes[30:, 6:] = 0
    table = evaluate_predictions(concentrations, votes, votes, both, QUICK)
    totals = table[table["question"].str.startswith("all")].set_index("question")
    assert totals["campaign"].tolist() == [TREE.name, "other", "all"]
    of_question = mixture_log_likelihood(concentrations, votes, both)
    for question, columns in ((f"all-{TREE.name}", slice(0, 2)), ("all-other", slice(2, 3))):
        has_votes = (of_question[:, columns] != 0).any(axis=1)
        mean = of_question[has_votes, columns].sum(axis=1).mean()
        assert totals.loc[question, "value"] == pytest.approx(mean)
        assert totals.loc[question, "n_galaxies"] == has_votes.sum()
    assert totals.loc["all", "n_galaxies"] == (of_question != 0).any(axis=1).sum()


def test_mixture_log_likelihood__equals_scipy_on_each_question() -> None:
    concentrations, votes = simulate(20)
    result = mixture_log_likelihood(concentrations.float(), votes, TREE)
    for index, part in enumerate(TREE.slices.values()):
        for galaxy in range(20):
            counts = votes[galaxy, part]
            probabilities = [
                dirichlet_multinomial.pmf(counts, one, int(counts.sum()))
                for one in concentrations.float().double()[:, galaxy, part].numpy()
            ]
            assert np.exp(result[galaxy, index]) == pytest.approx(np.mean(probabilities))


def test_count_pit__lies_between_the_mixtures_probabilities_by_scipy() -> None:
    concentrations, votes = simulate(60)
    pit = count_pit(concentrations, votes, TREE, MetricsConfig())
    for galaxy, (name, part) in ((g, item) for g in range(60) for item in TREE.slices.items()):
        own = concentrations[:, galaxy, part].numpy()
        n_votes = votes[galaxy, part].sum()
        if n_votes < 5:
            assert np.isnan(pit[galaxy, part]).all(), name
            continue
        rest = own.sum(axis=1, keepdims=True) - own
        up_to = betabinom.cdf(votes[galaxy, part], n_votes, own, rest).mean(axis=0)
        below = betabinom.cdf(votes[galaxy, part] - 1, n_votes, own, rest).mean(axis=0)
        assert (pit[galaxy, part] >= below - 1e-9).all()
        assert (pit[galaxy, part] <= up_to + 1e-9).all()


def test_pit_values__are_uniform_when_votes_follow_the_prediction() -> None:
    concentrations, votes = simulate(1500, seed=4)
    pit = count_pit(concentrations, votes, TREE, MetricsConfig(min_votes=1))
    for answer in (0, 2, 3, 4, 5):
        chosen = pit[np.isfinite(pit[:, answer]), answer]
        assert kstest(chosen, "uniform").pvalue > 1e-3
    n_finite = np.isfinite(pit[:, [0, 2, 3, 4, 5]]).sum()
    assert len(pit_values(pit, TREE)) == n_finite


def test_pit_values__of_biased_predictions_lean_to_one_side() -> None:
    concentrations, votes = simulate(500)
    biased = concentrations * torch.tensor([0.2, 1, 1, 1, 1, 1])
    pit = count_pit(biased, votes, TREE, MetricsConfig())
    assert pit_values(pit[:, :2], flat_tree([2])).mean() > 0.65


def test_calibration_table__has_a_row_a_question_and_level() -> None:
    concentrations, votes = simulate(300)
    votes[:, 2:] = 0
    pit = count_pit(concentrations, votes, TREE, MetricsConfig())
    table = calibration_table(pit, TREE, [0.5, 0.9])
    assert list(table.columns) == ["question", "nominal", "observed", "n_galaxies"]
    assert table["question"].tolist() == ["question-0", "question-0"]
    np.testing.assert_allclose(table["observed"], [0.5, 0.9], atol=0.08)


def test_mean_fractions__average_fractions_and_not_votes() -> None:
    votes = np.array([[5, 0, 1, 1, 1, 1], [50, 50, 0, 0, 0, 0], [0, 4, 0, 0, 0, 0]])
    result = mean_fractions(votes, TREE, 5)
    np.testing.assert_allclose(result, [0.75, 0.25, np.nan, np.nan, np.nan, np.nan])


@pytest.mark.parametrize(
    ("setting", "bad"),
    [
        ("min_votes", 0),
        ("confident_fraction", 1.5),
        ("levels", [0.5, 1.0]),
        ("levels", []),
        ("n_bootstrap", 0),
        ("seed", -1),
    ],
)
def test_metrics_config__refuses_values_out_of_range(setting: str, bad: object) -> None:
    with pytest.raises(ConfigError, match=rf"{setting} must be ") as refusal:
        MetricsConfig.from_dict({setting: bad})
    assert str(bad) in str(refusal.value)


def test_evaluate_metric__of_a_distance_that_is_none_holds_none() -> None:
    config = MetricsConfig(n_bootstrap=200)
    rng, held, inside = np.random.default_rng(5), [], []
    for _ in range(100):
        values = rng.uniform(size=(100, 1)) <= np.array([0.25, 0.5, 0.75])
        metric = Metric(
            "calibration_error",
            values.astype(float),
            lambda means: np.abs(means - np.array([0.25, 0.5, 0.75])).mean(axis=-1),
            is_distance=True,
        )
        value, low, high = evaluate_metric(metric, config)
        held.append(low == 0)
        inside.append(low <= value <= high)
    # As the points of the resampled values themselves, it would never hold 0.
    assert np.mean(held) >= 0.8
    assert np.mean(inside) >= 0.9
