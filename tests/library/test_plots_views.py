"""The figure of views shows what training sees."""

import numpy as np
import pytest
import torch

from galaxyloop.augment import AugmentConfig, ContrastiveAugmentConfig, ViewSeed, random_views
from galaxyloop.config import ConfigError
from galaxyloop.plots import plot_views

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 3)).astype(np.uint8)


def test_plot_views__shows_the_cutout_and_the_views_of_the_first_epoch() -> None:
    figure = plot_views(IMAGES, AugmentConfig(), n_views=2, seed=4)
    assert len(figure.axes) == 3 * 3
    shown = [np.asarray(ax.images[0].get_array()) for ax in figure.axes]
    np.testing.assert_array_equal(shown[3], IMAGES[1] / 255)
    views = random_views(
        torch.from_numpy(IMAGES), np.arange(3), AugmentConfig(), ViewSeed(4, 0, view=1)
    )
    np.testing.assert_array_equal(shown[5], views[1].permute(1, 2, 0))
    assert [ax.get_title() for ax in figure.axes[:3]] == ["cutout", "view 1", "view 2"]


def test_plot_views__refuses_noise_in_units_of_an_unknown_sky() -> None:
    with pytest.raises(ConfigError, match="at_sky_noise"):
        plot_views(IMAGES, ContrastiveAugmentConfig())
