"""How a model learnt."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from galaxyloop.plots.style import BLUE, GREY, ORANGE, tidy


def plot_learning_curve(
    log: pd.DataFrame, ax: Axes, unit: str = "nats per answered question"
) -> Axes:
    """Loss against epoch for the training and the validation galaxies.

    Good: both fall and flatten, and the validation loss does not rise again at the end. A
    training loss that goes on falling while the validation loss rises is overfitting.

    Args:
        log: epoch, train_loss, validation_loss; several rows an epoch are averaged, a NaN is no
            measurement.
        ax: where to draw.
        unit: of the loss.
    """
    losses = log.groupby("epoch")[["train_loss", "validation_loss"]].mean()
    for column, colour, label in (
        ("train_loss", GREY, "training"),
        ("validation_loss", BLUE, "validation"),
    ):
        curve = losses[column].dropna()
        marker = "o" if len(curve) < 40 else ""
        ax.plot(
            curve.index,
            curve,
            color=colour,
            label=label,
            linewidth=1.8,
            marker=marker,
            markersize=3,
        )
    measured = losses["validation_loss"].dropna()
    if len(measured):
        place = int(np.argmin(measured.to_numpy()))
        epoch, loss = float(measured.index.to_numpy()[place]), float(measured.iloc[place])
        ax.plot(epoch, loss, "o", color=ORANGE, markersize=7, label=f"best: epoch {epoch:.0f}")
    ax.set(xlabel="epoch", ylabel=f"loss ({unit})")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=False, fontsize=8)
    return tidy(ax)
