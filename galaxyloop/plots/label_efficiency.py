"""How well few labels do with each encoder."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from galaxyloop.plots.style import BLUE, GREEN, GREY, ORANGE, tidy

_PURPLE = "#b4559c"
_LOOKS: dict[str, tuple[str, str, str]] = {
    "direct": (GREY, "-", "s"),
    "direct_x3": (GREY, "--", "s"),
    "random": (GREY, ":", "x"),
    "supervised_gz2": (BLUE, "--", "o"),
    "supervised_gz2_efigi": (BLUE, "-", "o"),
    "byol": (GREEN, "-", "^"),
    "hybrid_gz2": (ORANGE, "--", "D"),
    "hybrid_gz2_efigi": (ORANGE, "-", "D"),
    "published": (_PURPLE, "-", "v"),
}
"""Colour, line and marker of the standard arms: colour is the objective, the line the votes."""
_OTHERS = (_PURPLE, "-.", "P")
_NAMES = {"auc": "AUC", "balanced_accuracy": "balanced accuracy"}
_SPREAD = 0.012
"""Arms stand apart by this share of the number of labels, that intervals do not hide each other."""


def plot_label_efficiency(summary: pd.DataFrame, metric: str, kind: str, ax: Axes) -> Axes:
    """A metric on the test galaxies against the number of labels, a line an arm.

    Bars are 90 % intervals of the mean over draws of labels. Good: a pretrained arm lies high on
    the left already, so that its line is flat; the grey one shows what the labels teach alone.

    Args:
        summary: what ``label_efficiency.summarise_cells`` gives; arms without numbers are skipped.
        metric: ``auc`` or ``balanced_accuracy``.
        kind: ``probe`` or ``finetune``.
        ax: where to draw.
    """
    shown = summary[(summary["kind"] == kind) & summary[metric].notna()]
    names = list(dict.fromkeys(shown["arm"]))
    for place, name in enumerate(names):
        rows = shown[shown["arm"] == name].sort_values("n_labels")
        colour, line, marker = _LOOKS.get(name, _OTHERS)
        x = rows["n_labels"] * (1 + _SPREAD) ** (place - (len(names) - 1) / 2)
        bars = (rows[metric] - rows[f"{metric}_low"], rows[f"{metric}_high"] - rows[metric])
        ax.errorbar(
            x,
            rows[metric],
            yerr=[bar.fillna(0).clip(lower=0) for bar in bars],
            color=colour,
            linestyle=line,
            marker=marker,
            label=name,
            linewidth=1.7,
            markersize=4.5,
            elinewidth=1,
            capsize=2,
        )
    ax.set_xscale("log")
    ticks = sorted(set(shown["n_labels"]))
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticklabels([str(tick) for tick in ticks])
    ax.set(xlabel="labelled galaxies", ylabel=_NAMES.get(metric, metric))
    return tidy(ax)


def plot_label_efficiency_panel(summary: pd.DataFrame, axes: list[Axes]) -> list[Axes]:
    """AUC above balanced accuracy, probes beside finetuning, the same range in each row.

    Args:
        summary: what ``label_efficiency.summarise_cells`` gives.
        axes: four, row by row.
    """
    titles = {"probe": "logistic regression on frozen features", "finetune": "finetuning"}
    for row, metric in enumerate(_NAMES):
        pair = axes[2 * row : 2 * row + 2]
        for (kind, title), ax in zip(titles.items(), pair, strict=True):
            plot_label_efficiency(summary, metric, kind, ax)
            ax.set_title(title if row == 0 else "", fontsize=9)
        low = min(ax.get_ylim()[0] for ax in pair)
        high = max(ax.get_ylim()[1] for ax in pair)
        for ax in pair:
            ax.set_ylim(low, high)
    handles = [_handle(name) for name in dict.fromkeys(summary.dropna(subset=["auc"])["arm"])]
    axes[1].legend(
        handles=handles,
        handlelength=3,
        frameon=False,
        fontsize=8,
        loc="upper left",
        bbox_to_anchor=(1.02, 1),
    )
    return axes


def _handle(name: str) -> Line2D:
    """An arm's line in the legend."""
    colour, line, marker = _LOOKS.get(name, _OTHERS)
    return Line2D([], [], color=colour, ls=line, marker=marker, markersize=4.5, label=name)
