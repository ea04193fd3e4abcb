"""What augmentation makes of galaxies."""

import numpy as np
import torch
from jaxtyping import UInt8
from matplotlib.figure import Figure

from galaxyloop.augment import AugmentConfig, ViewSeed, random_views
from galaxyloop.plots.style import new_figure

_PANEL_IN = 1.1


def plot_views(
    images: UInt8[np.ndarray, "galaxy y x band"],
    config: AugmentConfig,
    n_views: int = 6,
    seed: int = 0,
) -> Figure:
    """Each galaxy's cutout, and beside it random views as training sees them.

    Good: in every view the galaxy is whole and you would call it the same galaxy of the same
    kind; arms, bars and tails are not drowned in blur or noise, and no two views look alike.

    Args:
        images: cutouts, a row each; five or six make a page.
        config: with its noise made absolute (``at_sky_noise``).
        n_views: columns beside the cutout, >= 1.
        seed: of the views.

    Raises:
        ConfigError: the noise is given in units of the sky's.
    """
    n_galaxies = len(images)
    galaxies, cutouts = np.arange(n_galaxies), torch.from_numpy(np.ascontiguousarray(images))
    columns = [images / 255]
    for view in range(n_views):
        drawn = random_views(cutouts, galaxies, config, ViewSeed(seed, 0, view))
        columns.append(drawn.permute(0, 2, 3, 1).numpy())
    size = (_PANEL_IN * (n_views + 1), _PANEL_IN * n_galaxies + 0.25)
    figure, axes = new_figure(*size, n_galaxies, n_views + 1)
    for row in range(n_galaxies):
        for column, pixels in enumerate(columns):
            ax = axes[row * (n_views + 1) + column]
            ax.imshow(pixels[row], interpolation="nearest")
            ax.set_axis_off()
            if row == 0:
                ax.set_title(f"view {column}" if column else "cutout", fontsize=8.5)
    return figure
