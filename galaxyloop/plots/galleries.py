"""Grids of galaxies."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from matplotlib.axes import Axes

from galaxyloop.plots.vote_posteriors import show_image

Image = UInt8[np.ndarray, "y x band"]


def plot_gallery(
    images: Sequence[Image], captions: Sequence[str], axes: Sequence[Axes]
) -> Sequence[Axes]:
    """One galaxy an axis with its caption below; axes left over stay empty.

    Good: neighbours with like captions look alike.
    """
    for ax in axes:
        ax.set_axis_off()
    for image, caption, ax in zip(images, captions, axes, strict=False):
        show_image(image, ax)
        ax.text(0.5, -0.04, caption, transform=ax.transAxes, ha="center", va="top", fontsize=7)
    return axes


def plot_acquisition_gallery(
    acquisition: pd.DataFrame, images: Sequence[Image], axes: Sequence[Axes]
) -> Sequence[Axes]:
    """The galaxies to ask volunteers about next, with what each would inform.

    Good: odd, faint or ambiguous galaxies come first, not blank or broken images.

    Args:
        acquisition: rank, most_informative_question and information_nats, a row a galaxy.
        images: in the same order.
        axes: one for each galaxy to be shown.
    """
    captions = [
        f"{row['rank']}. {row['most_informative_question']}\n{row['information_nats']:.3f} nats"
        for _, row in acquisition.iterrows()
    ]
    return plot_gallery(images, captions, axes)
