"""Random views of galaxies: one composed warp a galaxy, then its light, then noise."""

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Integer, UInt8
from torch import Tensor

from galaxyloop.augment.config import AugmentConfig
from galaxyloop.augment.drawing import ViewPlan, draw_one_by_one, draw_together
from galaxyloop.config import require
from galaxyloop.random_streams import derive_seed, uniforms

_N_DRAWS = 10
"""Draws of a view before those of its bands; a new one goes behind, or all views change."""
_BLUR_REACH = 3


@dataclass(frozen=True)
class ViewSeed:
    """Where in a run a view is drawn; with the galaxy it fixes the view."""

    seed: int
    """The run's seed."""
    epoch: int
    """Counts from 0."""
    view: int = 0
    """Which of several views of the same galaxy in one epoch."""


def random_views(
    images: UInt8[Tensor, "galaxy y x band"],
    galaxies: Integer[np.ndarray, " galaxy"],
    config: AugmentConfig,
    when: ViewSeed,
) -> Float[Tensor, "galaxy band y x"]:
    """One random view of each galaxy, in [0, 1], on the device of the images.

    Rotation, flip, zoom and shift are one affine map and one resampling; outside of the cutout
    its mirror image continues. Then come blur, brightness, contrast, colour and noise. A galaxy's
    view does not depend on the others in the batch. RGB on the CPU is warped in 8 bits, anything
    else in floats: the same views to about a level of 255.

    Args:
        images: cutouts as stored.
        galaxies: each galaxy's own number, >= 0 (``random_streams.number_names``).
        config: how large the changes are.
        when: seed, epoch and view.

    Raises:
        ConfigError: the noise is given in units of the sky's (``at_sky_noise``).
    """
    is_rgb_on_cpu = images.device.type == "cpu" and images.shape[3] == 3
    draw = draw_one_by_one if is_rgb_on_cpu else draw_together
    return draw(images, make_plan(images, galaxies, config, when))


def plain_views(images: UInt8[Tensor, "galaxy y x band"]) -> Float[Tensor, "galaxy band y x"]:
    """The view for evaluation: the cutout itself, in [0, 1]."""
    return images.permute(0, 3, 1, 2).float().div_(255)


def affine_maps(
    draws: Float64[np.ndarray, "galaxy draw"], config: AugmentConfig
) -> Float64[np.ndarray, "galaxy 2 3"]:
    """From a view's to the cutout's coordinates, both from -1 to 1 over the frame."""
    angle = 2 * math.pi * draws[:, 0] * config.rotate
    mirror = np.where((draws[:, 1] < 0.5) & config.flip, -1.0, 1.0)
    field = config.min_field + (config.max_field - config.min_field) * draws[:, 2]
    shift = 2 * config.max_shift * (2 * draws[:, 3:5] - 1)
    cos, sin = field * np.cos(angle), field * np.sin(angle)
    rows = [[cos * mirror, -sin, shift[:, 0]], [sin * mirror, cos, shift[:, 1]]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def make_plan(
    images: UInt8[Tensor, "galaxy y x band"],
    galaxies: Integer[np.ndarray, " galaxy"],
    config: AugmentConfig,
    when: ViewSeed,
) -> ViewPlan:
    """What ``random_views`` does to each galaxy, drawn for it alone."""
    require(
        config.sky_noise == 0,
        f"sky_noise={config.sky_noise} is in units of a noise that views do not know; use "
        "at_sky_noise(config, measure_sky_noise(images))",
    )
    _, height, width, n_bands = images.shape
    draws = uniforms((when.seed, when.epoch, when.view), galaxies, _N_DRAWS + n_bands)
    signed = 2 * draws - 1
    bands = 1 + config.colour * signed[:, _N_DRAWS:]
    gains = bands * (1 + config.brightness * signed[:, 5:6]) / 255
    contrast = 1 + config.contrast * signed[:, 6:7]
    n_taps = 2 * math.ceil(_BLUR_REACH * config.blur) + 1
    noise = None
    if config.noise > 0:
        shape = (n_bands, 2 * height, 2 * width)
        noise = _noise_field(
            derive_seed(when.seed, when.epoch, when.view), shape, config.noise, images.device
        )
    return ViewPlan(
        maps=affine_maps(draws, config),
        sigmas_px=config.blur * draws[:, 9],
        n_taps=min(n_taps, 2 * min(height, width) - 1),
        gains=gains * contrast,
        mean_gains=gains * (1 - contrast),
        noise=noise,
        corners=(draws[:, 7:9] * (height, width)).astype(np.int64),
    )


@functools.lru_cache(maxsize=4)
def _noise_field(
    seed: int, shape: tuple[int, int, int], sigma: float, device: torch.device
) -> Tensor:
    """Normal noise, a pure function of the seed; a galaxy's is a window: cheap and repeatable."""
    generator = torch.Generator().manual_seed(seed % 2**63)
    field = torch.randn(shape, generator=generator).mul_(sigma)
    return field.permute(1, 2, 0).contiguous().to(device).permute(2, 0, 1)
