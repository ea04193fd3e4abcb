"""Drift as bars: how unlike each predicted quantity has become."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from galaxyloop.drift import HELD_OUT, LAST_CATALOGUE
from galaxyloop.plots.style import (
    BLUE,
    GREY,
    LIGHT,
    ORANGE,
    Theme,
    new_figure,
    paint,
    tidy,
)


def plot_drift(
    table: pd.DataFrame, ax: Axes, against: str, theme: Theme = LIGHT, n_shown: int = 20
) -> Axes:
    """Draw the stability index of each quantity against one reference, the largest on top.

    Good: all bars blue and short of their limits (the ticks). An orange bar is flagged: look at
    galaxies of both catalogues side by side before the new one is believed.

    Args:
        table: what ``measure_drift`` gives.
        ax: where to draw.
        against: which comparison, as in the table.
        theme: of the page.
        n_shown: quantities drawn.
    """
    rows = table[(table["against"] == against) & (table["measure"] == "stability_index")]
    rows = rows.sort_values("value", ascending=False, kind="stable").head(n_shown)[::-1]
    places = range(len(rows))
    colours = [ORANGE if is_flagged else BLUE for is_flagged in rows["is_flagged"]]
    ax.barh(places, rows["value"], color=colours, height=0.65)
    ax.plot(rows["limit"], places, "|", color=theme.text, markersize=9)
    names = [name.removesuffix("_fraction") for name in rows["quantity"]]
    ax.set_yticks(list(places), names)
    ax.set_xlabel("population stability index [nats]")
    ax.set_title(f"against the {against}")
    if rows.empty:
        nothing = "nothing to compare with"
        ax.text(0.5, 0.5, nothing, color=GREY, ha="center", transform=ax.transAxes)
    return tidy(ax)


def save_drift(table: pd.DataFrame, path: Path) -> None:
    """Write both comparisons beside each other as PNG."""
    figure, axes = new_figure(11.0, 4.6, n_columns=2)
    for ax, against in zip(axes, (HELD_OUT, LAST_CATALOGUE), strict=True):
        plot_drift(table, ax, against)
    paint(figure, LIGHT).savefig(path)
