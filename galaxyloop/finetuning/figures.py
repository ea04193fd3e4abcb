"""The pictures of a finetuned model's evaluation."""

import math
from dataclasses import dataclass

from matplotlib.figure import Figure

from galaxyloop.finetuning.curves import confusion_matrix, precision_recall_curves, roc_curves
from galaxyloop.finetuning.evaluation import LabelEvaluation
from galaxyloop.plots import LIGHT, new_figure, paint
from galaxyloop.plots.finetuning import (
    plot_confusion,
    plot_curves,
    plot_mistakes,
    plot_regression,
)

_N_COLUMNS = 8
_MOST_SHOWN_CLASSES = 14


@dataclass(frozen=True)
class EvaluationFigure:
    """One picture and how to read it."""

    name: str
    title: str
    caption: str
    figure: Figure


def draw_figures(evaluation: LabelEvaluation) -> list[EvaluationFigure]:
    """Curves and confusions, or predicted against true values; then the worst mistakes."""
    is_class = evaluation.target.is_classification
    figures = _class_figures(evaluation) if is_class else [_value_figure(evaluation)]
    if len(evaluation.mistakes):
        figures.append(_mistake_figure(evaluation))
    for one in figures:
        paint(one.figure, LIGHT)
    return figures


def _class_figures(evaluation: LabelEvaluation) -> list[EvaluationFigure]:
    """ROC and precision-recall curves, and the confusion matrix."""
    target, own = evaluation.target, evaluation.finetuned
    metrics = evaluation.metrics[evaluation.metrics["model"] == "finetuned"]
    curves, axes = new_figure(7.4, 3.6, 1, 2)
    plot_curves(
        roc_curves(own, target), precision_recall_curves(own, target), metrics, (axes[0], axes[1])
    )
    side = 2.6 + 0.35 * min(len(target.classes), _MOST_SHOWN_CLASSES)
    confusion, (ax,) = new_figure(side, side)
    plot_confusion(confusion_matrix(own, target), ax)
    return [
        EvaluationFigure(
            "curves",
            "Every threshold",
            "Left, how many false alarms each completeness costs; right, how pure a sample of each "
            "completeness is. Dashed is guessing. Choose the threshold on the probability that "
            "suits your use: 0.5 is only a default.",
            curves,
        ),
        EvaluationFigure(
            "confusion",
            "Which classes are taken for which",
            "Galaxies by their label (rows) and the likeliest class (columns).",
            confusion,
        ),
    ]


def _value_figure(evaluation: LabelEvaluation) -> EvaluationFigure:
    """Predicted against true values."""
    figure, (ax,) = new_figure(4.2, 4.2)
    plot_regression(evaluation.finetuned, ax)
    return EvaluationFigure(
        "values",
        "Predicted against true values",
        "On the diagonal is right; a cloud flatter than it shies away from extremes.",
        figure,
    )


def _mistake_figure(evaluation: LabelEvaluation) -> EvaluationFigure:
    """A gallery of the most confident mistakes."""
    n_rows = math.ceil(len(evaluation.mistakes) / _N_COLUMNS)
    figure, axes = new_figure(1.15 * _N_COLUMNS, 1.6 * n_rows, n_rows, _N_COLUMNS)
    plot_mistakes(evaluation.images, evaluation.mistakes, axes)
    return EvaluationFigure(
        "mistakes",
        "The most confident mistakes",
        "The first to look at: often the label is at fault, else they show what the model has not "
        "seen. Their ids are in mistakes.csv, in this order.",
        figure,
    )
