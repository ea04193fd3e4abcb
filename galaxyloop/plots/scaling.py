"""How error falls with labelled galaxies and with the size of the encoder."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from galaxyloop.plots.style import BLUE, GREEN, GREY, ORANGE, tidy

_COLOURS = (BLUE, ORANGE, GREEN, "#b4559c", GREY)
_MARKERS = ("o", "s", "^", "D", "v")
_NAMES = {
    "nll": "negative log-likelihood of votes (nats a galaxy)",
    "rmse": "RMSE of vote fractions",
}


def plot_scaling(cells: pd.DataFrame, curves: pd.DataFrame, metric: str, ax: Axes) -> Axes:
    """Held-out error against labelled training galaxies, both logarithmic; a colour an encoder.

    Points are cells, one a seed; lines the laws to go by, with bands; each ends at twice the
    largest number of galaxies, dotted where nobody has looked. Good: points scatter around their
    line without a trend, and the line still falls on the right, so that more votes will help.

    Args:
        cells: finished cells: ``encoder``, ``fraction``, ``n_galaxies`` and the metric.
        curves: ``encoder``, ``metric``, ``n_galaxies``, ``value``, ``low``, ``high``, of one law
            an encoder; encoders without are shown as points alone.
        metric: ``nll`` or ``rmse``.
        ax: where to draw.
    """
    for place, encoder in enumerate(dict.fromkeys(cells["encoder"])):
        colour = _COLOURS[place % len(_COLOURS)]
        own = cells[cells["encoder"] == encoder]
        marker = _MARKERS[place % len(_MARKERS)]
        ax.plot(
            own["n_galaxies"],
            own[metric],
            linestyle="",
            marker=marker,
            markersize=4,
            alpha=0.75,
            color=colour,
            label=encoder,
        )
        law = curves[(curves["encoder"] == encoder) & (curves["metric"] == metric)]
        if len(law):
            seen = law[law["n_galaxies"] <= own["n_galaxies"].max()]
            ax.plot(seen["n_galaxies"], seen["value"], color=colour, linewidth=1.6)
            ahead = law.iloc[max(len(seen) - 1, 0) :]
            ax.plot(ahead["n_galaxies"], ahead["value"], color=colour, linewidth=1.6, ls=":")
            ax.fill_between(law["n_galaxies"], law["low"], law["high"], color=colour, alpha=0.15)
    ax.set(xscale="log", yscale="log")
    ax.set(xlabel="labelled training galaxies", ylabel=_NAMES.get(metric, metric))
    sizes = [round(float(mean)) for mean in cells.groupby("fraction")["n_galaxies"].mean()]
    ax.xaxis.set_major_locator(FixedLocator(sizes))
    ax.xaxis.set_major_formatter("{x:.0f}")
    ax.xaxis.set_minor_locator(NullLocator())
    return _plain_ticks(ax)


def plot_encoder_sizes(summary: pd.DataFrame, metric: str, ax: Axes) -> Axes:
    """Held-out error against the encoder's parameters, a line a fraction of the galaxies.

    Bars are the standard deviation over seeds. Good: lines that fall to the right show that a
    larger encoder pays; where they are level or cross, more galaxies pay more.

    Args:
        summary: ``encoder``, ``fraction``, ``n_galaxies``, ``n_parameters``, the metric and its
            ``_std``; rows without numbers are skipped.
        metric: ``nll`` or ``rmse``.
        ax: where to draw.
    """
    shown = summary.dropna(subset=[metric])
    fractions = sorted(set(shown["fraction"]))
    for place, fraction in enumerate(fractions):
        rows = shown[shown["fraction"] == fraction].sort_values("n_parameters")
        ax.errorbar(
            rows["n_parameters"],
            rows[metric],
            yerr=rows[f"{metric}_std"].fillna(0),
            color=BLUE,
            alpha=(place + 2) / (len(fractions) + 1),
            marker="o",
            markersize=4,
            linewidth=1.4,
            capsize=2,
            label=f"{rows['n_galaxies'].mean():.0f} galaxies",
        )
    ax.set(xscale="log", yscale="log")
    ax.set(xlabel="parameters of the encoder (millions)", ylabel=_NAMES.get(metric, metric))
    sizes = sorted(set(shown["n_parameters"]))
    ax.xaxis.set_major_locator(FixedLocator(sizes))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticklabels([f"{size / 1e6:.2g}" for size in sizes])
    ax.legend(frameon=False, fontsize=7)
    return _plain_ticks(ax)


def _plain_ticks(ax: Axes) -> Axes:
    """Round numbers on an error axis of less than a decade, where powers of ten would be none."""
    low, high = ax.get_ylim()
    if high < 10 * low:
        ticks = MaxNLocator(5).tick_values(low, high)
        ax.yaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
        ax.yaxis.set_major_formatter("{x:.4g}")
        ax.yaxis.set_minor_locator(NullLocator())
    return tidy(ax)
