"""Galaxies that volunteers are asked about, and what the model does not know of them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from matplotlib.axes import Axes

from galaxyloop.plots.style import BLUE, GREY, tidy

_MAX_ID = 22


def plot_asked_galaxy(
    image: UInt8[np.ndarray, "y x band"],
    fractions: pd.DataFrame,
    title: str,
    caption: str,
    axes: Sequence[Axes],
) -> Sequence[Axes]:
    """A galaxy beside the predicted vote fractions of the question that it is asked for.

    Good: what is asked about is ambiguous to the eye too (a faint bar, a half-open disk), and its
    lines are long or its dots in the middle. Blank or broken images at the top of the list mean
    that the model is unsure of faults, which votes will not mend: reject those images first.

    Args:
        image: its cutout.
        fractions: ``answer``, ``fraction``, ``p05``, ``p95``, each from 0 to 1, a row an answer.
        title: stands above: rank and question.
        caption: stands below the title: the galaxy's id.
        axes: two of them, for the image and for the fractions.
    """
    picture, ax = axes
    picture.set_axis_off()
    picture.imshow(image)
    shown = caption if len(caption) <= _MAX_ID else f"…{caption[1 - _MAX_ID :]}"
    picture.set_title(f"{title}\n{shown}", fontsize=6.5, loc="left", pad=3, linespacing=1.3)
    places = np.arange(len(fractions))[::-1]
    ax.hlines(places, fractions["p05"], fractions["p95"], color=GREY, linewidth=2.2)
    ax.plot(fractions["fraction"], places, "o", color=BLUE, markersize=4)
    ax.set(xlim=(-0.03, 1.03), xticks=(0, 0.5, 1), ylim=(-0.6, len(fractions) - 0.4))
    ax.set_yticks(places, [str(answer) for answer in fractions["answer"]])
    tidy(ax)
    ax.tick_params(labelsize=6)
    return axes
