"""Metrics of predictions on held-out votes: errors, likelihood, calibration."""

from galaxyloop.metrics.averages import (
    ALL_QUESTIONS,
    add_average_ratio,
    overall_name,
    question_sets,
)
from galaxyloop.metrics.calibration import calibration_table, count_pit, pit_values
from galaxyloop.metrics.config import MetricsConfig
from galaxyloop.metrics.discrete_coverage import counts_within, discrete_coverage
from galaxyloop.metrics.evaluation import (
    METRIC_COLUMNS,
    evaluate_fractions,
    evaluate_predictions,
    mean_fractions,
    mixture_log_likelihood,
)
from galaxyloop.metrics.science import confusion_table
from galaxyloop.metrics.uncalibrated import UNCALIBRATED, beside_uncalibrated

__all__ = [
    "ALL_QUESTIONS",
    "METRIC_COLUMNS",
    "MetricsConfig",
    "UNCALIBRATED",
    "add_average_ratio",
    "beside_uncalibrated",
    "calibration_table",
    "confusion_table",
    "count_pit",
    "counts_within",
    "discrete_coverage",
    "evaluate_fractions",
    "evaluate_predictions",
    "mean_fractions",
    "mixture_log_likelihood",
    "overall_name",
    "pit_values",
    "question_sets",
]
