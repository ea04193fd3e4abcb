"""How well a finetuned model tells classes apart, or predicts values."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from galaxyloop.plots.style import BLUE, GREEN, GREY, ORANGE, tidy

_COLOURS = (BLUE, ORANGE, GREEN, "#b4559c", "#c44f3d", "#5f7fd9")
_MAX_WORD = 14
_FEW_CLASSES = 4
_DARKEST = 0.7
_DENSE = 300


def plot_curves(
    roc: pd.DataFrame,
    precision_recall: pd.DataFrame,
    metrics: pd.DataFrame,
    axes: tuple[Axes, Axes],
) -> tuple[Axes, Axes]:
    """ROC and precision-recall curves beside each other, with their areas.

    Good: the first hugs the upper left corner, the second the upper right. Dashed is what guessing
    gives: half of the area under the ROC curve, and a precision of the class's share.

    Args:
        roc: what ``finetuning.curves.roc_curves`` gives.
        precision_recall: what ``finetuning.curves.precision_recall_curves`` gives.
        metrics: what ``finetuning.metrics.evaluate_labels`` gives, for the titles.
        axes: where to draw.
    """
    left, right = axes
    left.plot((0, 1), (0, 1), color=GREY, linestyle="--", linewidth=1)
    for place, (name, curve) in enumerate(roc.groupby("class", sort=False)):
        colour = _COLOURS[place % len(_COLOURS)]
        rates = (curve["false_positive_rate"], curve["true_positive_rate"])
        left.plot(*rates, color=colour, linewidth=1.8, label=str(name))
    for place, (name, curve) in enumerate(precision_recall.groupby("class", sort=False)):
        colour = _COLOURS[place % len(_COLOURS)]
        shares = curve["recall"], curve["precision"]
        right.step(*shares, where="post", color=colour, linewidth=1.8, label=str(name))
        # At the lowest threshold every galaxy is found: its precision is the class's share.
        share = float(curve["precision"].iloc[0])
        right.axhline(share, color=colour, linestyle="--", linewidth=1, alpha=0.5)
    left.set(xlabel="false positive rate", ylabel="true positive rate")
    right.set(xlabel="recall (completeness)", ylabel="precision (purity)")
    left.set_title(_area(metrics, {"auc": "AUC", "macro_auc": "mean AUC"}))
    right.set_title(_area(metrics, {"average_precision": "average precision"}))
    for ax in axes:
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), box_aspect=1)
        tidy(ax)
    if roc["class"].nunique() > 1:
        left.legend(frameon=False, fontsize=8, loc="lower right")
    return axes


def plot_confusion(confusion: pd.DataFrame, ax: Axes) -> Axes:
    """Galaxies of each class (rows) by predicted class (columns), shaded by the row's share.

    Good: strong colour along the diagonal, and nowhere else. A column with colour outside the
    diagonal is a class that the model favours.

    Args:
        confusion: what ``finetuning.curves.confusion_matrix`` gives.
        ax: where to draw.
    """
    counts = confusion.to_numpy()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # Shades over the background, light enough for labels in the theme's colour.
    shade = np.broadcast_to(to_rgb(BLUE), (*shares.shape, 3))
    ax.imshow(np.dstack([shade, _DARKEST * shares]))
    names = [_shorten(str(name)) for name in confusion.columns]
    size = 9 if len(names) <= _FEW_CLASSES else 6.5
    for row, column in np.ndindex(counts.shape):
        share = f"{shares[row, column]:.0%}"
        label = f"{counts[row, column]}\n{share}" if len(names) <= _FEW_CLASSES else share
        ax.annotate(label, (column, row), ha="center", va="center", fontsize=size)
    places = np.arange(len(names))
    ax.set(xticks=places, yticks=places, xlabel="predicted", ylabel="label")
    is_crowded = len(names) > _FEW_CLASSES
    ax.set_xticklabels(names, rotation=40 * is_crowded, ha="right" if is_crowded else "center")
    ax.set_yticklabels(names)
    tidy(ax)
    ax.grid(visible=False)
    return ax


def plot_mistakes(
    images: UInt8[np.ndarray, "galaxy y x band"],
    mistakes: pd.DataFrame,
    axes: Sequence[Axes],
) -> Sequence[Axes]:
    """The galaxies that were most confidently predicted wrong, with label and prediction.

    Look whether the label is at fault, or what the model has not seen: both are often plain.

    Args:
        images: of the mistakes, in their order.
        mistakes: what ``finetuning.curves.most_confident_mistakes`` gives.
        axes: at least as many as mistakes; others stay blank.
    """
    for ax in axes:
        ax.set_axis_off()
    for image, ax, (_, mistake) in zip(images, axes, mistakes.iterrows(), strict=False):
        ax.imshow(image if image.shape[2] > 1 else image[..., 0], cmap="gray")
        ax.set_title(_describe(mistake), fontsize=7, loc="left", linespacing=1.35)
    return axes


def plot_regression(predictions: pd.DataFrame, ax: Axes) -> Axes:
    """Predicted against true values; on the dashed diagonal is right.

    Good: points lie along the diagonal, as widely above it as below. A cloud flatter than the
    diagonal shies away from extremes, as few labels teach.

    Args:
        predictions: ``label`` and ``prediction``.
        ax: where to draw.
    """
    truth = predictions["label"].to_numpy(dtype=float)
    guess = predictions["prediction"].to_numpy(dtype=float)
    low, high = min(truth.min(), guess.min()), max(truth.max(), guess.max())
    margin = 0.04 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    ax.plot(limits, limits, color=GREY, linestyle="--", linewidth=1)
    size = float(np.clip(3000 / len(truth), 4, 22))
    alpha = 0.8 if len(truth) < _DENSE else 0.45
    ax.scatter(truth, guess, s=size, color=BLUE, alpha=alpha, linewidth=0)
    ax.set(xlim=limits, ylim=limits, aspect="equal", xlabel="label", ylabel="predicted")
    return tidy(ax)


def _area(metrics: pd.DataFrame, names: dict[str, str]) -> str:
    """Title with the first of these metrics that there is."""
    for metric, name in names.items():
        rows = metrics[metrics["metric"] == metric]
        if len(rows):
            row = rows.iloc[0]
            return f"{name} {row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
    return ""


def _describe(mistake: pd.Series) -> str:
    """Label and prediction of one galaxy in three short lines."""
    if "error" in mistake:
        return f"label {mistake['label']:.3g}\npredicted {mistake['prediction']:.3g}"
    label, guess = _shorten(str(mistake["label"])), _shorten(str(mistake["prediction"]))
    return f"label {label}\npredicted {guess}\nat {mistake['confidence']:.0%}"


def _shorten(name: str) -> str:
    """A class's name that fits under a small picture."""
    return name if len(name) <= _MAX_WORD else f"{name[: _MAX_WORD - 1]}…"
