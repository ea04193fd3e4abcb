"""The sky noise of a survey, from its cutouts."""

import dataclasses
import math

import numpy as np
from jaxtyping import Float64, UInt8

from galaxyloop.augment.config import AugmentConfig
from galaxyloop.config import require

_BORDER_SHARE = 8
_LAG_PX = 2
_MAD_TO_SIGMA = 1.4826
_ROUNDING_VARIANCE = 1 / 12


def measure_sky_noise(images: UInt8[np.ndarray, "galaxy y x band"]) -> float:
    """Standard deviation of the sky's pixel noise, on images from 0 to 1.

    Differences of pixels two apart along the four edges, where the sky is: what is smooth cancels
    (von Neumann 1941, doi:10.1214/aoms/1177731677). Half of their absolute values lie below
    0.6745 standard deviations, which stars and companions hardly change, and the median over the
    galaxies leaves out what lies in bright neighbours. Neighbours one apart are tied together by
    JPEG and resampling. A sky that is clipped to black has no noise.

    Args:
        images: cutouts of the survey; some hundred are enough.

    Raises:
        ConfigError: there is none, or they are smaller than 8 pixels.
    """
    n_galaxies, height, width, _ = images.shape
    require(
        n_galaxies > 0 and min(height, width) >= 8,
        f"measuring the sky needs cutouts of at least 8 x 8 pixels, got {n_galaxies} of "
        f"{width} x {height}",
    )
    return float(np.median(_noise_levels(images))) / 255


def at_sky_noise(config: AugmentConfig, sky: float) -> AugmentConfig:
    """The same views with the noise in units of the survey's made absolute.

    Args:
        config: its ``sky_noise`` is added to its ``noise`` in quadrature.
        sky: the survey's own noise, of ``measure_sky_noise``.
    """
    require(0 <= sky < 1, f"the sky's noise must be in [0, 1), got {sky}; use measure_sky_noise")
    noise = math.hypot(config.noise, config.sky_noise * sky)
    return dataclasses.replace(config, noise=noise, sky_noise=0.0)


def _noise_levels(
    images: UInt8[np.ndarray, "galaxy y x band"],
) -> Float64[np.ndarray, " galaxy"]:
    """Each cutout's noise along its edges, in levels of 8 bits."""
    n_galaxies, height, width, _ = images.shape
    depth = max(2, min(height, width) // _BORDER_SHARE)
    levels = np.zeros(n_galaxies)
    for i, image in enumerate(images):
        turned = image.transpose(1, 0, 2)
        strips = (image[:depth], image[-depth:], turned[:depth], turned[-depth:])
        counts = sum(_count_differences(strip) for strip in strips)
        sigma = _MAD_TO_SIGMA * _median_of_counts(np.asarray(counts))
        levels[i] = math.sqrt(max(sigma**2 / 2 - _ROUNDING_VARIANCE, 0))
    return levels


def _count_differences(strip: UInt8[np.ndarray, "y x band"]) -> np.ndarray:
    """How often pixels two apart differ by 0, 1, ... 255 levels."""
    signed = strip.astype(np.int16)
    apart = np.abs(signed[:, _LAG_PX:] - signed[:, :-_LAG_PX])
    return np.bincount(apart.ravel(), minlength=256)


def _median_of_counts(counts: np.ndarray) -> float:
    """Median of absolute values that were rounded to whole numbers, interpolated in its bin."""
    below = np.cumsum(counts)
    half = below[-1] / 2
    level = int(np.searchsorted(below, half))
    start, width = (level - 0.5, 1.0) if level else (0.0, 0.5)
    inside = half - (below[level] - counts[level])
    return float(start + width * inside / counts[level])
