"""Predicted vote fractions beside those that volunteers gave."""

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes

from galaxyloop.plots.style import BLUE, GREY, tidy

_DENSITY_BINS = 24
_FEW_POINTS = 30


def plot_predicted_against_observed(fractions: pd.DataFrame, ax: Axes) -> Axes:
    """Predicted against observed vote fractions, brighter where points crowd.

    Good: points lie along the diagonal. Volunteers' own scatter keeps even a perfect model off
    it, by about 0.08 at 40 votes; a cloud flatter than the diagonal shies away from extremes.

    Args:
        fractions: observed and predicted, each from 0 to 1; a row for each galaxy and answer.
        ax: where to draw.
    """
    observed = fractions["observed"].to_numpy(dtype=float)
    predicted = fractions["predicted"].to_numpy(dtype=float)
    ax.plot((0, 1), (0, 1), color=GREY, linestyle="--", linewidth=1)
    size = float(np.clip(4000 / max(len(observed), 1), 4, 22))
    if len(observed) < _FEW_POINTS:
        ax.scatter(observed, predicted, s=size, color=BLUE, alpha=0.8, linewidth=0)
    else:
        density = _density(observed, predicted)
        order = np.argsort(density)
        ax.scatter(
            observed[order],
            predicted[order],
            s=size,
            c=density[order],
            cmap="viridis",
            vmin=-0.1,
            alpha=0.85,
            linewidth=0,
        )
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    ax.set(xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    ax.set(xlabel="volunteers' vote fraction", ylabel="predicted vote fraction")
    return tidy(ax)


def plot_rmse_bars(rmse: pd.DataFrame, ax: Axes) -> Axes:
    """Root mean square error of the vote fractions by question, ours and predicting the mean.

    Good: every bar is well short of its tick, which marks what one would get by giving every
    galaxy the average of the training galaxies.

    Args:
        rmse: question (as it should read), rmse, and rmse_of_mean; in order from the top.
        ax: where to draw.
    """
    places = np.arange(len(rmse))[::-1]
    ax.barh(places, rmse["rmse"], height=0.55, color=BLUE, label="this model")
    ax.plot(
        rmse["rmse_of_mean"],
        places,
        "|",
        color=GREY,
        markersize=13,
        markeredgewidth=2.4,
        label="predicting the mean",
    )
    for place, value in zip(places, rmse["rmse"], strict=True):
        if np.isfinite(value):
            ax.annotate(
                f"{value:.2f}",
                (value, place),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
            )
    ax.set(yticks=places, xlabel="RMSE of the vote fraction", xlim=(0, None))
    ax.set_yticklabels(list(rmse["question"]))
    ax.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2)
    tidy(ax)
    ax.grid(visible=False, axis="y")
    return ax


def _density(
    observed: Float[np.ndarray, " point"], predicted: Float[np.ndarray, " point"]
) -> Float[np.ndarray, " point"]:
    """How crowded it is around each point, from 0 to 1, on a square-root scale."""
    edges = np.linspace(0, 1, _DENSITY_BINS + 1)
    counts, _, _ = np.histogram2d(observed, predicted, bins=[edges, edges])
    padded = np.pad(counts, 1)
    smooth = sum(
        np.roll(padded, (shift_x, shift_y), (0, 1))[1:-1, 1:-1]
        for shift_x in (-1, 0, 1)
        for shift_y in (-1, 0, 1)
    )
    smooth = np.sqrt(np.asarray(smooth) / np.max(smooth))
    place_x, place_y = (
        np.clip((values * _DENSITY_BINS).astype(int), 0, _DENSITY_BINS - 1)
        for values in (observed, predicted)
    )
    return np.asarray(smooth[place_x, place_y], dtype=np.float64)
