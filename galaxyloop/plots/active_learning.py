"""How errors fall with the number of labels, by whom was asked about."""

import pandas as pd
from matplotlib.axes import Axes

from galaxyloop.plots.style import BLUE, GREEN, GREY, ORANGE, tidy

_PURPLE = "#b4559c"
_LOOKS: dict[str, tuple[str, str, str]] = {
    "random": (GREY, "-", "s"),
    "mutual_information": (BLUE, "-", "o"),
    "mutual_information_diverse": (BLUE, "--", "D"),
    "entropy": (ORANGE, "-", "^"),
    "disagreement": (GREEN, "-", "v"),
}
"""Colour, line and marker of the standard arms."""
_OTHERS = (_PURPLE, "-.", "P")
_NAMES = {
    "rmse": "error of vote fractions (RMSE)",
    "log_loss": "negative log-likelihood of votes [nats]",
    "ranking_error": "1 - AUC",
}
_BANDS = ("random", "mutual_information", "mutual_information_diverse")


def plot_active_learning(
    curves: pd.DataFrame, savings: pd.DataFrame, measure: str, ax: Axes
) -> Axes:
    """An error on the test galaxies against the number of labels, a line an arm.

    Bands are 90 % intervals of the mean over seeds, of the arms that matter most, so that they can
    be told apart. The horizontal line is the error that random choice reaches with all its labels;
    where another line crosses it, its labels are enough. Good: the arm falls below random early,
    and its band stays clear of random's.

    Args:
        curves: what ``savings.summarise_curves`` gives.
        savings: what ``savings.tabulate_savings`` gives.
        measure: one of ``MEASURES``.
        ax: where to draw.
    """
    told = savings[savings["measure"] == measure].set_index("arm")
    for name in dict.fromkeys(curves["arm"]):
        rows = curves[curves["arm"] == name].sort_values("n_labels")
        colour, line, marker = _LOOKS.get(name, _OTHERS)
        saving = float(told["saving"].get(name, float("nan")))
        more = "fewer" if saving >= 0 else "more"
        is_told = name != "random" and abs(saving) < 1
        label = f"{name}: {abs(saving):.0%} {more} labels" if is_told else name
        ax.plot(
            rows["n_labels"],
            rows[measure],
            color=colour,
            linestyle=line,
            marker=marker,
            markersize=4,
            linewidth=1.7,
            label=label,
        )
        if name in _BANDS:
            low, high = rows[f"{measure}_low"], rows[f"{measure}_high"]
            ax.fill_between(rows["n_labels"], low, high, color=colour, alpha=0.15, linewidth=0)
    if len(told):
        level = float(told["random_last_error"].iloc[0])
        ax.axhline(level, color=GREY, linewidth=0.9, linestyle=":")
    ax.set(xlabel="labelled galaxies", ylabel=_NAMES[measure])
    ax.legend(frameon=False, fontsize=8)
    return tidy(ax)
