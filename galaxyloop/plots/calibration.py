"""Whether the error bars can be believed."""

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes

from galaxyloop.plots.style import BLUE, GREY, ORANGE, tidy


def plot_calibration(coverage: pd.DataFrame, ax: Axes) -> Axes:
    """Observed against nominal coverage of the intervals; on the diagonal is calibrated.

    Below the diagonal the model is too sure of itself, above it too cautious.

    Args:
        coverage: nominal and observed, each from 0 to 1. Where there is a ``question`` column each
            question gets a thin line, and the mean over questions the thick one; with
            ``observed_uncalibrated`` a dotted line shows the mean before calibration.
        ax: where to draw.
    """
    ax.plot((0, 1), (0, 1), color=GREY, linestyle="--", linewidth=1)
    if "question" in coverage:
        for i, (_, rows) in enumerate(coverage.groupby("question", sort=False)):
            label = "each question" if i == 0 else None
            ax.plot(
                rows["nominal"], rows["observed"], color=GREY, linewidth=0.9, alpha=0.6, label=label
            )
    pooled = coverage.groupby("nominal")["observed"].mean()
    ax.plot(pooled.index, pooled, color=BLUE, linewidth=2, marker="o", markersize=4, label="mean")
    if "observed_uncalibrated" in coverage:
        before = coverage.groupby("nominal")["observed_uncalibrated"].mean()
        label = "mean before calibration"
        ax.plot(before.index, before, color=ORANGE, linewidth=1.5, linestyle=":", label=label)
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    ax.set(xlabel="nominal coverage of the interval", ylabel="observed coverage")
    ax.legend(frameon=False, fontsize=8, loc="upper left")
    return tidy(ax)


def plot_pit_histogram(pit: Float[np.ndarray, " value"], ax: Axes, n_bins: int = 20) -> Axes:
    """Histogram of randomised probability integral transforms of held-out votes.

    Good: flat, with about nine bars of ten inside the band, which holds 90 % of the bars of a
    calibrated model. A U shape is overconfidence, a hump caution, a slope a bias.

    Args:
        pit: values from 0 to 1.
        ax: where to draw.
        n_bins: number of bars.
    """
    n_bins = max(4, min(n_bins, len(pit) // 10))
    counts, edges = np.histogram(pit, bins=n_bins, range=(0, 1))
    expected = len(pit) / n_bins
    half_width = 1.645 * np.sqrt(expected * (1 - 1 / n_bins))
    scale = max(expected, 1e-12)
    ax.axhspan(
        1 - half_width / scale,
        1 + half_width / scale,
        color=GREY,
        alpha=0.28,
        linewidth=0,
        label="90 % band if calibrated",
    )
    ax.bar(edges[:-1], counts / scale, np.diff(edges) * 0.94, align="edge", color=BLUE, alpha=0.85)
    ax.axhline(1, color=GREY, linestyle="--", linewidth=1)
    ax.set(xlabel="randomised PIT of the held-out votes", ylabel="density", xlim=(0, 1))
    ax.set_ylim(0, max(1.6, 1.25 * float(np.max(counts)) / scale))
    ax.legend(frameon=False, fontsize=8, loc="upper right")
    return tidy(ax)
