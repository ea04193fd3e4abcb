"""Metrics of a calibrated model beside those of the same model before it was calibrated."""

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.metrics.calibration import calibration_table, count_pit
from galaxyloop.metrics.config import MetricsConfig
from galaxyloop.metrics.evaluation import evaluate_predictions

CALIBRATED_METRICS = (
    "log_likelihood",
    "coverage_90",
    "calibration_error",
    "discrete_coverage_error",
)
"""What temperatures change; fractions stay, and all that follows from them."""
UNCALIBRATED = "_uncalibrated"
"""Ends the names of what is told of a model without its temperatures."""


def beside_uncalibrated(
    tables: tuple[pd.DataFrame, pd.DataFrame],
    uncalibrated: Float[Tensor, "sample galaxy answer"],
    votes: tuple[np.ndarray, np.ndarray],
    tree: DecisionTree,
    config: MetricsConfig,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics and calibration with those of the model without its temperatures.

    Args:
        tables: what ``evaluate_predictions`` and ``calibration_table`` say of the model as it is.
        uncalibrated: its concentrations times the temperatures.
        votes: of the held-out and of the training galaxies.
        tree: the questions.
        config: of the metrics.

    Returns:
        Metrics with a row more for each question and one of ``CALIBRATED_METRICS``, whose names
        end in ``_uncalibrated``; calibration with a column ``observed_uncalibrated``.
    """
    metrics, calibration = tables
    pit = count_pit(uncalibrated, votes[0], tree, config)
    found = evaluate_predictions(uncalibrated, *votes, tree, config, pit)
    found = found[found["metric"].isin(CALIBRATED_METRICS)]
    found = found.assign(metric=found["metric"] + UNCALIBRATED)
    observed = calibration_table(pit, tree, config.levels)["observed"]
    calibration = calibration.assign(**{f"observed{UNCALIBRATED}": observed})
    return pd.concat([metrics, found], ignore_index=True), calibration
