"""Metrics of predicted labels."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as sklearn_metrics

from galaxyloop.errors import ConfigError
from galaxyloop.finetuning import weighted_metrics as weighted
from galaxyloop.finetuning.metrics import (
    LABEL_METRIC_COLUMNS,
    LabelMetricsConfig,
    evaluate_labels,
    label_baseline,
)
from galaxyloop.finetuning.targets import Target, prediction_table
from tests.library.label_predictions import (
    BINARY,
    MULTICLASS,
    REGRESSION,
    simulate,
    values_of,
)

FEW = LabelMetricsConfig(n_bootstrap=60)


def test_evaluate_labels__of_two_classes_equals_scikit_learn() -> None:
    table = simulate(BINARY)
    truth, guess = table["label"] == "ring", table["prediction"] == "ring"
    p = table["probability-ring"]
    expected = {
        "auc": sklearn_metrics.roc_auc_score(truth, p),
        "average_precision": sklearn_metrics.average_precision_score(truth, p),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(truth, guess),
        "accuracy": sklearn_metrics.accuracy_score(truth, guess),
        "f1": sklearn_metrics.f1_score(truth, guess),
        "log_loss": sklearn_metrics.log_loss(truth, p),
        "brier": sklearn_metrics.brier_score_loss(truth, p),
    }
    found = values_of(evaluate_labels(table, BINARY, FEW))
    for name, value in expected.items():
        assert found[name, ""] == pytest.approx(value, rel=1e-12), name
    assert found["recall", "ring"] == pytest.approx(sklearn_metrics.recall_score(truth, guess))
    assert found["precision", "no"] == pytest.approx(
        sklearn_metrics.precision_score(~truth, ~guess)
    )


def test_evaluate_labels__of_several_classes_equals_scikit_learn() -> None:
    table = simulate(MULTICLASS)
    truth, guess = table["label"], table["prediction"]
    p = table[MULTICLASS.probability_columns].to_numpy()
    expected = {
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(truth, guess),
        "accuracy": sklearn_metrics.accuracy_score(truth, guess),
        "macro_f1": sklearn_metrics.f1_score(truth, guess, average="macro"),
        "log_loss": sklearn_metrics.log_loss(truth, p),
        "macro_auc": sklearn_metrics.roc_auc_score(truth, p, multi_class="ovr"),
    }
    found = values_of(evaluate_labels(table, MULTICLASS, FEW))
    for name, value in expected.items():
        assert found[name, ""] == pytest.approx(value, rel=1e-12), name
    recalls = sklearn_metrics.recall_score(truth, guess, average=None)
    precisions = sklearn_metrics.precision_score(truth, guess, average=None)
    for place, name in enumerate(MULTICLASS.classes):
        assert found["recall", name] == pytest.approx(recalls[place])
        assert found["precision", name] == pytest.approx(precisions[place])


def test_evaluate_labels__of_values_equals_scipy_and_scikit_learn() -> None:
    table = simulate(REGRESSION)
    truth, guess = table["label"], table["prediction"]
    expected = {
        "rmse": sklearn_metrics.root_mean_squared_error(truth, guess),
        "mae": sklearn_metrics.mean_absolute_error(truth, guess),
        "r2": sklearn_metrics.r2_score(truth, guess),
        "bias": float((guess - truth).mean()),
        "spearman": stats.spearmanr(truth, guess).statistic,
    }
    found = values_of(evaluate_labels(table, REGRESSION, FEW))
    assert found == {(name, ""): pytest.approx(value) for name, value in expected.items()}


def test_weighted_metrics__equal_metrics_of_repeated_galaxies() -> None:
    table, values = simulate(BINARY, 80), simulate(REGRESSION, 80)
    truth, score = (table["label"] == "ring").to_numpy(), table["probability-ring"].to_numpy()
    true_value, guess = values["label"].to_numpy(), values["prediction"].to_numpy()
    rng = np.random.default_rng(1)
    weights = rng.integers(0, 4, (5, 80)).astype(float)
    pairs = {
        "auc": weighted.area_under_roc(weights, truth, score),
        "ap": weighted.average_precision(weights, truth, score),
        "r2": weighted.explained_variance(weights, true_value, guess),
        "spearman": weighted.rank_correlation(weights, true_value, guess),
    }
    for row, weight in enumerate(weights.astype(int)):
        picks = np.repeat(np.arange(80), weight)
        expected = {
            "auc": sklearn_metrics.roc_auc_score(truth[picks], score[picks]),
            "ap": sklearn_metrics.average_precision_score(truth[picks], score[picks]),
            "r2": sklearn_metrics.r2_score(true_value[picks], guess[picks]),
            "spearman": stats.spearmanr(true_value[picks], guess[picks]).statistic,
        }
        for name, value in expected.items():
            assert pairs[name][row] == pytest.approx(value, rel=1e-10), name


def test_calibration_error__equals_bins_counted_by_hand() -> None:
    probability = np.array([0.05, 0.15, 0.11, 0.95, 1.0])
    truth = np.array([False, True, False, True, True])
    # Bins: 0.05 against 0, 0.13 against 0.5, 0.975 against 1, with 1, 2 and 2 galaxies.
    expected = (1 * 0.05 + 2 * 0.37 + 2 * 0.025) / 5
    found = weighted.calibration_error(np.ones((1, 5)), truth, probability, 10)
    assert found[0] == pytest.approx(expected)


@pytest.mark.parametrize("target", [BINARY, MULTICLASS, REGRESSION])
def test_evaluate_labels__has_intervals_around_the_values(target: Target) -> None:
    metrics = evaluate_labels(simulate(target), target, LabelMetricsConfig(n_bootstrap=200))
    assert tuple(metrics.columns) == LABEL_METRIC_COLUMNS
    plain = metrics[metrics["metric"] != "ece"]
    assert (plain["low"] < plain["value"]).all()
    assert (plain["value"] < plain["high"]).all()
    assert (metrics["n_resamplings"] == 200).all()
    whole = metrics[metrics["class"] == ""]
    assert (whole["n_galaxies"] == 300).all()


def test_evaluate_labels__intervals_cover_the_truth_as_often_as_they_say() -> None:
    # Scores one standard deviation apart: the AUC is Phi(1 / sqrt(2)).
    truth = stats.norm.cdf(1 / np.sqrt(2))
    n_inside = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        y = (np.arange(150) % 3 == 0).astype(float)
        outputs = (y + rng.normal(size=150))[:, None]
        ids = [f"g{i:03d}" for i in range(150)]
        table = prediction_table(ids, y, BINARY.predict(outputs), BINARY)
        config = LabelMetricsConfig(n_bootstrap=100, seed=seed)
        row = evaluate_labels(table, BINARY, config).set_index("metric").loc["auc"]
        n_inside += int(row["low"] <= truth <= row["high"])
    # 90 expected; with a standard deviation of 3 the bounds are four of them away.
    assert 78 <= n_inside <= 99


@pytest.mark.parametrize("target", [BINARY, MULTICLASS, REGRESSION])
def test_evaluate_labels__does_not_depend_on_the_rows_order(target: Target) -> None:
    table = simulate(target)
    shuffled = table.sample(frac=1, random_state=3)
    y = target.encode(table["label"])
    first = evaluate_labels(table, target, FEW, y)
    pd.testing.assert_frame_equal(first, evaluate_labels(shuffled, target, FEW, y[::-1].copy()))


def test_evaluate_labels__auc_of_swapped_classes_is_the_complement() -> None:
    table = simulate(BINARY)
    found = values_of(evaluate_labels(table, BINARY, FEW))["auc", ""]
    swapped = table.rename(
        columns={"probability-no": "probability-ring", "probability-ring": "probability-no"}
    )
    assert values_of(evaluate_labels(swapped, BINARY, FEW))["auc", ""] == pytest.approx(1 - found)
    # Naming the other class positive turns labels and scores: the area stays.
    other = dataclasses.replace(BINARY, classes=["ring", "no"])
    assert values_of(evaluate_labels(table, other, FEW))["auc", ""] == pytest.approx(found)


@pytest.mark.parametrize("target", [BINARY, MULTICLASS])
def test_evaluate_labels__of_perfect_predictions_is_perfect(target: Target) -> None:
    table = simulate(target)
    y = target.encode(table["label"])
    sure = np.eye(len(target.classes))[y.astype(int)]
    perfect = prediction_table(table["id_str"].to_numpy(), y, sure, target)
    for (name, _), value in values_of(evaluate_labels(perfect, target, FEW)).items():
        best = 0.0 if name in ("log_loss", "brier", "ece") else 1.0
        assert value == pytest.approx(best, abs=1e-12), name


def test_evaluate_labels__baseline_says_what_no_model_would_get() -> None:
    table = simulate(BINARY)
    training = np.array([0.0] * 9 + [1.0])
    found = values_of(evaluate_labels(table, BINARY, FEW, training))
    share = float((table["label"] == "ring").mean())
    assert found["accuracy_of_baseline", ""] == pytest.approx(1 - share)
    assert found["balanced_accuracy_of_baseline", ""] == pytest.approx(0.5)
    assert found["auc_of_baseline", ""] == pytest.approx(0.5)
    assert found["average_precision_of_baseline", ""] == pytest.approx(share)
    expected = -(share * np.log(0.1) + (1 - share) * np.log(0.9))
    assert found["log_loss_of_baseline", ""] == pytest.approx(expected)


def test_label_baseline__of_values_is_the_training_mean() -> None:
    table = simulate(REGRESSION)
    training = np.array([1.0, 2.0, 6.0])
    assert set(label_baseline(table, REGRESSION, training)["prediction"]) == {3.0}
    found = values_of(evaluate_labels(table, REGRESSION, FEW, training))
    expected = float(np.sqrt(((table["label"] - 3) ** 2).mean()))
    assert found["rmse_of_baseline", ""] == pytest.approx(expected)
    assert np.isnan(found["spearman_of_baseline", ""])


def test_evaluate_labels__leaves_out_resamplings_that_lack_a_class_and_counts_them() -> None:
    n_galaxies = 20
    y = np.eye(n_galaxies)[0]
    outputs = np.linspace(1, -1, n_galaxies)[:, None]
    ids = [f"g{i:02d}" for i in range(n_galaxies)]
    table = prediction_table(ids, y, BINARY.predict(outputs), BINARY)
    config = LabelMetricsConfig(n_bootstrap=1000)
    metrics = evaluate_labels(table, BINARY, config).set_index(["metric", "class"])
    # The one positive galaxy is not drawn with probability (19/20)^20 = 0.358.
    n_used = int(metrics.loc[("auc", ""), "n_resamplings"])
    assert n_used == pytest.approx(642, abs=75)
    assert metrics.loc[("balanced_accuracy", ""), "n_resamplings"] == n_used
    assert metrics.loc[("accuracy", ""), "n_resamplings"] == 1000
    assert metrics.loc[("auc", ""), "value"] == 1.0


def test_evaluate_labels__of_one_class_only_gives_no_auc() -> None:
    table = simulate(BINARY)
    alone = table[table["label"] == "no"]
    metrics = evaluate_labels(alone, BINARY, FEW).set_index(["metric", "class"])
    assert metrics.loc[("auc", ""), ["value", "low", "high"]].isna().all()
    assert metrics.loc[("auc", ""), "n_resamplings"] == 0
    assert metrics.loc[("recall", "ring"), "n_galaxies"] == 0
    assert np.isfinite(metrics.loc[("accuracy", ""), "value"])


def test_evaluate_labels__refuses_predictions_that_are_not_finite() -> None:
    table = simulate(REGRESSION).sort_values("id_str", ignore_index=True)
    table.loc[4, "prediction"] = np.nan
    with pytest.raises(ValueError, match=r"finite, got 1 of 300 .*'g0004'"):
        evaluate_labels(table, REGRESSION, FEW)
    with pytest.raises(ValueError, match="at least one galaxy, got 0"):
        evaluate_labels(table[:0], REGRESSION, FEW)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_bootstrap": 0}, "n_bootstrap must be >= 1, got 0"),
        ({"seed": -1}, "seed must be >= 0, got -1"),
        ({"n_bins": 0}, "n_bins must be >= 1, got 0"),
    ],
)
def test_label_metrics_config__refuses(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LabelMetricsConfig(**settings)


def test_evaluate_labels__draws_images_of_one_galaxy_together() -> None:
    table = simulate(BINARY)
    four = pd.concat(
        [table.assign(id_str=table["id_str"] + f"-{i}", group_id=table["id_str"]) for i in range(4)]
    )
    config = LabelMetricsConfig(n_bootstrap=200)
    once = evaluate_labels(table, BINARY, config)
    grouped = evaluate_labels(four, BINARY, config)
    # Copies tell nothing new: the same values with intervals as wide.
    np.testing.assert_allclose(grouped["value"], once["value"])
    np.testing.assert_allclose(grouped["high"] - grouped["low"], once["high"] - once["low"])
    alone = evaluate_labels(four.drop(columns="group_id"), BINARY, config)
    assert (alone["high"] - alone["low"])[0] < 0.7 * (once["high"] - once["low"])[0]
