"""Curves, confusions and mistakes of predicted labels."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from galaxyloop.finetuning.curves import (
    confusion_matrix,
    most_confident_mistakes,
    precision_recall_curves,
    roc_curves,
)
from galaxyloop.finetuning.metrics import LabelMetricsConfig, evaluate_labels
from galaxyloop.finetuning.targets import prediction_table
from tests.library.label_predictions import BINARY, MULTICLASS, REGRESSION, simulate, values_of

FEW = LabelMetricsConfig(n_bootstrap=1)


def test_roc_curves__area_is_the_auc() -> None:
    for target, name in ((BINARY, "auc"), (MULTICLASS, "macro_auc")):
        table = simulate(target)
        areas = [
            np.trapezoid(curve["true_positive_rate"], curve["false_positive_rate"])
            for _, curve in roc_curves(table, target).groupby("class")
        ]
        found = values_of(evaluate_labels(table, target, FEW))[name, ""]
        assert np.mean(areas) == pytest.approx(found, rel=1e-12)
        assert len(areas) == (1 if target is BINARY else 4)


def test_precision_recall_curves__area_is_the_average_precision() -> None:
    table = simulate(BINARY)
    curve = precision_recall_curves(table, BINARY)
    area = -(curve["recall"].diff().to_numpy()[1:] @ curve["precision"].to_numpy()[:-1])
    found = values_of(evaluate_labels(table, BINARY, FEW))["average_precision", ""]
    assert area == pytest.approx(found, rel=1e-12)
    assert curve["precision"].iloc[0] == pytest.approx((table["label"] == "ring").mean())


def test_curves__leave_out_classes_without_galaxies() -> None:
    table = simulate(MULTICLASS)
    table = table[table["label"] != "c"]
    assert list(roc_curves(table, MULTICLASS)["class"].unique()) == ["a", "b", "d"]
    alone = table[table["label"] == "a"]
    assert roc_curves(alone, MULTICLASS).empty
    assert precision_recall_curves(alone, MULTICLASS).empty


def test_confusion_matrix__equals_scikit_learn_and_sums_to_the_galaxies() -> None:
    table = simulate(MULTICLASS)
    confusion = confusion_matrix(table, MULTICLASS)
    expected = sklearn_metrics.confusion_matrix(table["label"], table["prediction"])
    np.testing.assert_array_equal(confusion.to_numpy(), expected)
    assert confusion.to_numpy().sum() == len(table)
    assert list(confusion.index) == list(confusion.columns) == MULTICLASS.classes


def test_most_confident_mistakes__are_the_worst_first() -> None:
    probabilities = np.array([[0.1, 0.9], [0.4, 0.6], [0.95, 0.05], [0.2, 0.8]])
    y = np.array([0.0, 0.0, 1.0, 1.0])
    table = prediction_table(["a", "b", "c", "d"], y, probabilities, BINARY)
    found = most_confident_mistakes(table, 2)
    assert found.to_dict("list") == {
        "id_str": ["c", "a"],
        "label": ["ring", "no"],
        "prediction": ["no", "ring"],
        "confidence": [0.95, 0.9],
    }
    assert len(most_confident_mistakes(table, 10)) == 3
    right = table[table["label"] == table["prediction"]]
    assert most_confident_mistakes(right, 5).empty


def test_most_confident_mistakes__of_values_have_the_largest_errors() -> None:
    y, predicted = np.array([1.0, 2.0, 3.0]), np.array([1.5, 0.0, 3.1])
    table = prediction_table(["a", "b", "c"], y, predicted, REGRESSION)
    found = most_confident_mistakes(table, 2)
    assert found["id_str"].tolist() == ["b", "a"]
    assert found["error"].tolist() == [-2.0, 0.5]
