"""Which answers the model takes for which."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from galaxyloop.plots.style import tidy


def plot_confusion(table: pd.DataFrame, ax: Axes) -> Axes:
    """Answers that volunteers were confident of, by row, against the model's likeliest.

    Each cell has its number of galaxies, its shade is the share of its row. Good: dark on the
    diagonal and white elsewhere.

    Args:
        table: volunteers, model and n_galaxies of one question (see ``metrics.confusion_table``).
        ax: where to draw.
    """
    answers = list(dict.fromkeys(table["volunteers"]))
    wide = table.pivot(index="volunteers", columns="model", values="n_galaxies")
    counts = wide.loc[answers, answers].to_numpy()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*counts.shape):
        colour = "white" if shares[row, column] > 0.6 else "#39424d"
        text = f"{counts[row, column]:,}"
        ax.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    names = [answer.replace("-", " ") for answer in answers]
    ax.set_xticks(range(len(names)), names, rotation=30, ha="right")
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="model's likeliest answer", ylabel="volunteers' answer")
    tidy(ax).grid(visible=False)
    return ax
