"""Random views of galaxies, each drawn from (seed, epoch, view, galaxy) alone."""

from galaxyloop.augment.config import AugmentConfig, ContrastiveAugmentConfig
from galaxyloop.augment.sky import at_sky_noise, measure_sky_noise
from galaxyloop.augment.views import ViewSeed, affine_maps, plain_views, random_views

__all__ = [
    "AugmentConfig",
    "ContrastiveAugmentConfig",
    "ViewSeed",
    "affine_maps",
    "at_sky_noise",
    "measure_sky_noise",
    "plain_views",
    "random_views",
]
