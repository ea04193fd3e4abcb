"""How good predicted classes or values are, with intervals over galaxies."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from galaxyloop.config import StrictConfig, require
from galaxyloop.finetuning import weighted_metrics as weighted
from galaxyloop.finetuning.targets import Target, prediction_table

LABEL_METRIC_COLUMNS = ("metric", "class", "value", "low", "high", "n_galaxies", "n_resamplings")
_VALUES_PER_CHUNK = 2**22
_BASELINE = "_of_baseline"


@dataclass(frozen=True)
class LabelMetricsConfig(StrictConfig):
    """How predictions are held against labels that training never saw."""

    n_bootstrap: int = 500
    """Resamplings of the galaxies (whole groups of images of one) behind each interval."""
    seed: int = 0
    """Seed of the resamplings."""
    n_bins: int = 10
    """Bins of probability, equally wide, of the expected calibration error."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.n_bootstrap >= 1, f"n_bootstrap must be >= 1, got {self.n_bootstrap}")
        require(self.seed >= 0, f"seed must be >= 0, got {self.seed}")
        require(self.n_bins >= 1, f"n_bins must be >= 1, got {self.n_bins}")


@dataclass(frozen=True)
class LabelMetric:
    """A metric as a function of how often each galaxy counts."""

    name: str
    of: Callable[[weighted.Weights], weighted.Values]
    class_name: str = ""
    """Of one class; empty for all."""
    counts: np.ndarray | None = None
    """Which galaxies it is about; none means all."""


def evaluate_labels(
    predictions: pd.DataFrame,
    target: Target,
    config: LabelMetricsConfig | None = None,
    training_y: Float[np.ndarray, " galaxy"] | None = None,
) -> pd.DataFrame:
    """Metrics of predictions, each with the 5 and 95 % points of its values on resampled galaxies.

    Binary: ``auc`` (area under the ROC curve), ``average_precision``, ``balanced_accuracy`` (mean
    recall), ``accuracy``, ``f1`` (of the positive class), ``log_loss`` [nats], ``brier`` (mean
    square error of the probability), ``ece`` (expected calibration error). Multiclass:
    ``balanced_accuracy``, ``accuracy``, ``macro_f1``, ``log_loss``, ``macro_auc`` (each class
    against the rest; means are over the classes that there are). Both: ``recall`` and
    ``precision`` of each class. Regression: ``rmse``, ``mae``, ``r2``, ``bias`` (mean of predicted
    less true), ``spearman``. Rows ``<metric>_of_baseline`` say what predicting the training
    labels' shares, or their mean, gives without a model.

    Args:
        predictions: what ``targets.prediction_table`` gives; the order does not matter. Rows of
            the same ``group_id``, where there is that column, are drawn together.
        target: what was predicted.
        config: resamplings and bins.
        training_y: numbers of the labels that the model was trained on, for the baseline.

    Returns:
        The columns ``LABEL_METRIC_COLUMNS``: a metric that is not defined is NaN; resamplings in
        which it is not (they lack a class) are left out of the interval, which rests on
        ``n_resamplings``.

    Raises:
        ValueError: there are no galaxies, or a prediction is not finite.
    """
    config = config or LabelMetricsConfig()
    table = predictions.sort_values("id_str", kind="stable", ignore_index=True)
    _check(table, target)
    metrics = list(_METRICS[target.kind](table, target, config))
    if training_y is not None:
        without_model = label_baseline(table, target, training_y)
        found = _METRICS[target.kind](without_model, target, config)
        metrics += [
            LabelMetric(one.name + _BASELINE, one.of) for one in found if not one.class_name
        ]
    groups = table["group_id"] if "group_id" in table else table["id_str"]
    return _table(metrics, pd.factorize(groups)[0], config)


def label_baseline(
    predictions: pd.DataFrame, target: Target, training_y: Float[np.ndarray, " galaxy"]
) -> pd.DataFrame:
    """The same table as if each class's share among training labels, or their mean, were predicted.

    Args:
        predictions: ``id_str`` and ``label``.
        target: what is predicted.
        training_y: numbers of the training labels.

    Returns:
        The columns of ``targets.prediction_table``.
    """
    n_galaxies = len(predictions)
    y = target.encode(predictions["label"])
    if not target.is_classification:
        mean = np.full(n_galaxies, float(np.mean(training_y)))
        return prediction_table(predictions["id_str"].to_numpy(), y, mean, target)
    counts = np.bincount(training_y.astype(np.int64), minlength=len(target.classes))
    shares = np.tile(counts / counts.sum(), (n_galaxies, 1))
    return prediction_table(predictions["id_str"].to_numpy(), y, shares, target)


def _check(table: pd.DataFrame, target: Target) -> None:
    """Refuse a table that no metric can be made of."""
    if table.empty:
        raise ValueError("metrics need at least one galaxy, got 0; give the test split a share")
    columns = target.probability_columns or ["prediction"]
    is_finite = np.isfinite(table[columns].to_numpy(dtype=np.float64)).all(axis=1)
    if not is_finite.all():
        raise ValueError(
            f"predictions must be finite, got {int((~is_finite).sum())} of {len(table)} that are "
            f"not, such as of '{table['id_str'][~is_finite].iloc[0]}'; look at the training's log"
        )


def _table(
    metrics: list[LabelMetric], groups: np.ndarray, config: LabelMetricsConfig
) -> pd.DataFrame:
    """Values and intervals, all from the same resamplings."""
    n_galaxies = len(groups)
    resampled: list[list[np.ndarray]] = [[] for _ in metrics]
    for weights in _resamplings(groups, config):
        for metric, parts in zip(metrics, resampled, strict=True):
            parts.append(metric.of(weights))
    once = np.ones((1, n_galaxies))
    rows = []
    for metric, parts in zip(metrics, resampled, strict=True):
        drawn = np.concatenate(parts)
        values = drawn[np.isfinite(drawn)]
        low, high = np.quantile(values, [0.05, 0.95]) if len(values) else (np.nan, np.nan)
        n_counted = n_galaxies if metric.counts is None else int(metric.counts.sum())
        value = float(metric.of(once)[0])
        rows.append((metric.name, metric.class_name, value, low, high, n_counted, len(values)))
    return pd.DataFrame(rows, columns=list(LABEL_METRIC_COLUMNS))


def _resamplings(groups: np.ndarray, config: LabelMetricsConfig) -> Iterator[weighted.Weights]:
    """How often each galaxy is drawn, with all of its group, some resamplings at a time."""
    rng = np.random.default_rng(config.seed)
    n_groups = int(groups.max()) + 1
    n_each = max(1, _VALUES_PER_CHUNK // len(groups))
    for start in range(0, config.n_bootstrap, n_each):
        picks = rng.integers(0, n_groups, (min(n_each, config.n_bootstrap - start), n_groups))
        counts = [np.bincount(pick, minlength=n_groups)[groups] for pick in picks]
        yield np.stack(counts).astype(np.float64)


def _binary_metrics(
    table: pd.DataFrame, target: Target, config: LabelMetricsConfig
) -> Iterator[LabelMetric]:
    """Of two classes."""
    truth, guess, probabilities = _class_arrays(table, target)
    positive, score = truth == 1, probabilities[:, 1]
    yield LabelMetric("auc", lambda w: weighted.area_under_roc(w, positive, score))
    yield LabelMetric("average_precision", lambda w: weighted.average_precision(w, positive, score))
    yield from _accuracies(truth, guess, 2)
    yield LabelMetric("f1", lambda w: weighted.f1_of_classes(w, truth, guess, 2)[:, 1])
    yield LabelMetric("log_loss", lambda w: weighted.log_loss(w, truth, probabilities))
    yield LabelMetric("brier", lambda w: weighted.mean_of(w, (score - positive) ** 2))
    yield LabelMetric(
        "ece", lambda w: weighted.calibration_error(w, positive, score, config.n_bins)
    )
    yield from _of_each_class(truth, guess, target)


def _multiclass_metrics(
    table: pd.DataFrame, target: Target, _: LabelMetricsConfig
) -> Iterator[LabelMetric]:
    """Of several classes."""
    truth, guess, probabilities = _class_arrays(table, target)
    n_classes = len(target.classes)

    def macro_auc(weights: weighted.Weights) -> weighted.Values:
        areas = [
            weighted.area_under_roc(weights, truth == place, probabilities[:, place])
            for place in range(n_classes)
        ]
        return weighted.mean_over_classes(np.stack(areas, axis=1), 2)

    yield from _accuracies(truth, guess, n_classes)
    yield LabelMetric(
        "macro_f1",
        lambda w: weighted.mean_over_classes(weighted.f1_of_classes(w, truth, guess, n_classes)),
    )
    yield LabelMetric("log_loss", lambda w: weighted.log_loss(w, truth, probabilities))
    yield LabelMetric("macro_auc", macro_auc)
    yield from _of_each_class(truth, guess, target)


def _regression_metrics(
    table: pd.DataFrame, _: Target, __: LabelMetricsConfig
) -> Iterator[LabelMetric]:
    """Of values."""
    truth = table["label"].to_numpy(dtype=np.float64)
    guess = table["prediction"].to_numpy(dtype=np.float64)
    error = guess - truth
    yield LabelMetric("rmse", lambda w: np.sqrt(weighted.mean_of(w, error**2)))
    yield LabelMetric("mae", lambda w: weighted.mean_of(w, np.abs(error)))
    yield LabelMetric("r2", lambda w: weighted.explained_variance(w, truth, guess))
    yield LabelMetric("bias", lambda w: weighted.mean_of(w, error))
    yield LabelMetric("spearman", lambda w: weighted.rank_correlation(w, truth, guess))


def _accuracies(truth: np.ndarray, guess: np.ndarray, n_classes: int) -> Iterator[LabelMetric]:
    """Share of right answers, and its mean over classes."""
    yield LabelMetric(
        "balanced_accuracy",
        lambda w: weighted.mean_over_classes(
            weighted.recall_of_classes(w, truth, guess, n_classes), 2
        ),
    )
    yield LabelMetric("accuracy", lambda w: weighted.mean_of(w, (truth == guess).astype(float)))


def _of_each_class(truth: np.ndarray, guess: np.ndarray, target: Target) -> Iterator[LabelMetric]:
    """Recall and precision."""
    for place, name in enumerate(target.classes):
        is_true, is_found = truth == place, guess == place
        right = (truth == guess).astype(float)
        yield LabelMetric("recall", _mean_where(is_true, right), name, is_true)
        yield LabelMetric("precision", _mean_where(is_found, right), name, is_found)


def _mean_where(
    counts: np.ndarray, values: np.ndarray
) -> Callable[[weighted.Weights], weighted.Values]:
    """The mean over some galaxies."""
    return lambda w: weighted.mean_of(w[:, counts], values[counts])


def _class_arrays(table: pd.DataFrame, target: Target) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of the true and of the predicted classes, and probabilities."""
    truth = target.encode(table["label"]).astype(np.int64)
    guess = target.encode(table["prediction"]).astype(np.int64)
    return truth, guess, table[target.probability_columns].to_numpy(dtype=np.float64)


_METRICS: dict[str, Callable[[pd.DataFrame, Target, LabelMetricsConfig], Iterator[LabelMetric]]] = {
    "binary": _binary_metrics,
    "multiclass": _multiclass_metrics,
    "regression": _regression_metrics,
}
