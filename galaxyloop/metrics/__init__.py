"""Metrics of predictions on held-out votes: errors, likelihood, calibration."""

from galaxyloop.metrics.averages import (
    ALL_QUESTIONS,
    add_average_ratio,
    overall_name,
    question_sets,
)
from galaxyloop.metrics.calibration import calibration_table, count_pit, pit_values
from galaxyloop.metrics.config import MetricsConfig
from galaxyloop.metrics.evaluation import (
    METRIC_COLUMNS,
    evaluate_fractions,
    evaluate_predictions,
    mean_fractions,
    mixture_log_likelihood,
)

__all__ = [
    "ALL_QUESTIONS",
    "METRIC_COLUMNS",
    "MetricsConfig",
    "add_average_ratio",
    "calibration_table",
    "count_pit",
    "evaluate_fractions",
    "evaluate_predictions",
    "mean_fractions",
    "mixture_log_likelihood",
    "overall_name",
    "pit_values",
    "question_sets",
]
