"""Which answers the model takes for which."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from galaxyloop.plots.style import BLUE, tidy

_DARKEST = 0.65


def plot_confusion(table: pd.DataFrame, ax: Axes) -> Axes:
    """Answers that volunteers were confident of, by row, against the model's likeliest.

    Each cell has its number of galaxies, its shade is the share of its row. Good: dark on the
    diagonal and empty elsewhere.

    Args:
        table: volunteers, model and n_galaxies of one question (see ``metrics.confusion_table``).
        ax: where to draw.
    """
    answers = list(dict.fromkeys(table["volunteers"]))
    wide = table.pivot(index="volunteers", columns="model", values="n_galaxies")
    counts = wide.loc[answers, answers].to_numpy()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # Transparent where nothing is, so that texts are read on light and on dark.
    shade = np.broadcast_to(to_rgba(BLUE), (*shares.shape, 4)).copy()
    shade[..., 3] = _DARKEST * shares
    ax.imshow(shade)
    for row, column in np.ndindex(*counts.shape):
        ax.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", fontsize=8)
    names = [answer.replace("-", " ") for answer in answers]
    ax.set_xticks(range(len(names)), names, rotation=30, ha="right")
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="model's likeliest answer", ylabel="volunteers' answer")
    tidy(ax).grid(visible=False)
    return ax
