"""Plots of finetuning: what they show is what the tables say."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from galaxyloop import plots
from galaxyloop.finetuning.curves import (
    confusion_matrix,
    most_confident_mistakes,
    precision_recall_curves,
    roc_curves,
)
from galaxyloop.finetuning.metrics import LabelMetricsConfig, evaluate_labels
from galaxyloop.finetuning.targets import Target, prediction_table
from galaxyloop.plots.finetuning import (
    plot_confusion,
    plot_curves,
    plot_mistakes,
    plot_regression,
)


def simulate(n_classes: int) -> tuple[pd.DataFrame, Target]:
    rng = np.random.default_rng(0)
    names = ["a class of a very long name", *"bcdefg"][:n_classes]
    target = Target("binary" if n_classes == 2 else "multiclass", "type", names)
    y = (np.arange(70) % n_classes).astype(float)
    outputs = rng.normal(size=(70, target.n_outputs))
    return prediction_table(
        [f"g{i}" for i in range(70)], y, target.predict(outputs), target
    ), target


@pytest.mark.parametrize(("n_classes", "n_curves"), [(2, 1), (7, 7)])
def test_plot_curves__draws_each_class_and_the_areas(n_classes: int, n_curves: int) -> None:
    table, target = simulate(n_classes)
    metrics = evaluate_labels(table, target, LabelMetricsConfig(n_bootstrap=20))
    _, (left, right) = plots.new_figure(7.0, 4.0, 1, 2)
    roc, precision_recall = roc_curves(table, target), precision_recall_curves(table, target)
    plot_curves(roc, precision_recall, metrics, (left, right))
    assert len(left.lines) == 1 + n_curves
    assert len(right.lines) == 2 * n_curves
    name = "auc" if n_classes == 2 else "macro_auc"
    value = metrics.set_index("metric").loc[name, "value"]
    assert f"AUC {value:.3f} (" in left.get_title()
    assert (left.get_legend() is not None) == (n_curves > 1)


@pytest.mark.parametrize("n_classes", [2, 7])
def test_plot_confusion__writes_the_share_of_each_cell(n_classes: int) -> None:
    table, target = simulate(n_classes)
    confusion = confusion_matrix(table, target)
    _, (ax,) = plots.new_figure(4.0, 4.0)
    plot_confusion(confusion, ax)
    words = [text.get_text() for text in ax.texts if isinstance(text, Text)]
    shares = (confusion.to_numpy() / (70 / n_classes)).ravel()
    assert [word.split("\n")[-1] for word in words] == [f"{share:.0%}" for share in shares]
    assert ax.get_xticklabels()[0].get_text() == "a class of a …"


def test_plot_mistakes__shows_label_prediction_and_confidence() -> None:
    table, _ = simulate(2)
    mistakes = most_confident_mistakes(table, 3)
    _, axes = plots.new_figure(6.0, 3.0, 1, 4)
    plot_mistakes(np.zeros((3, 8, 8, 3), dtype=np.uint8), mistakes, axes)
    assert [len(ax.images) for ax in axes] == [1, 1, 1, 0]
    title = axes[0].get_title(loc="left")
    assert title.endswith(f"at {mistakes['confidence'].iloc[0]:.0%}")
    grey = np.zeros((1, 8, 8, 1), dtype=np.uint8)
    errors = pd.DataFrame({"id_str": ["a"], "label": [1.0], "prediction": [2.5], "error": [1.5]})
    plot_mistakes(grey, errors, axes[3:])
    assert axes[3].get_title(loc="left") == "label 1\npredicted 2.5"


@pytest.mark.parametrize("n_galaxies", [1, 500])
def test_plot_regression__shows_every_galaxy(n_galaxies: int) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(n_galaxies, 2)), columns=["label", "prediction"])
    _, (ax,) = plots.new_figure(3.0, 3.0)
    plot_regression(table, ax)
    offsets = np.asarray(ax.collections[0].get_offsets())
    np.testing.assert_allclose(offsets, table.to_numpy())
