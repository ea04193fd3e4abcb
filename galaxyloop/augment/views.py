"""Random views of galaxies: one composed warp a galaxy, then its light, then noise."""

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Integer, UInt8
from torch import Tensor

from galaxyloop.augment.config import AugmentConfig
from galaxyloop.augment.warps import for_each, warp_one_by_one, warp_together
from galaxyloop.config import require
from galaxyloop.random_streams import uniforms

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
    require(
        config.sky_noise == 0,
        f"sky_noise={config.sky_noise} is in units of a noise that views do not know; use "
        "at_sky_noise(config, measure_sky_noise(images))",
    )
    draws = uniforms((when.seed, when.epoch, when.view), galaxies, _N_DRAWS + images.shape[3])
    is_rgb_on_cpu = images.device.type == "cpu" and images.shape[3] == 3
    warp = warp_one_by_one if is_rgb_on_cpu else warp_together
    n_taps = 2 * math.ceil(_BLUR_REACH * config.blur) + 1
    views = warp(images, affine_maps(draws, config), config.blur * draws[:, 9], n_taps)
    _change_light(views, draws, config)
    if config.noise > 0:
        _add_noise(views, draws[:, 7:9], config.noise, when.seed)
    return views.clamp_(0, 1)


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


def _change_light(
    views: Float[Tensor, "galaxy band y x"],
    draws: Float64[np.ndarray, "galaxy draw"],
    config: AugmentConfig,
) -> None:
    """Brightness, contrast and colour, in place; levels from 0 to 255 become 0 to 1."""
    n_galaxies, n_bands, height, width = views.shape
    signed = torch.from_numpy(2 * draws - 1).to(views)
    bands = (1 + config.brightness * signed[:, 5:6]) * (1 + config.colour * signed[:, _N_DRAWS:])
    bands /= 255
    contrast = 1 + config.contrast * signed[:, 6:7]
    pixels = views.permute(0, 2, 3, 1)
    if pixels.is_contiguous():
        # Long rows of all bands: an innermost axis of three would not be vectorised.
        flat, gains = pixels.view(n_galaxies, height, -1), bands.repeat(1, width)[:, None]
    else:
        flat, gains = views.view(n_galaxies, n_bands, -1), bands[:, :, None]
    if config.contrast > 0:
        mean = flat.mean(dim=(1, 2))[:, None]
        offset = gains * ((1 - contrast) * mean)[:, None]
        torch.addcmul(offset, flat, gains * contrast[:, None], out=flat)
    else:
        flat.mul_(gains)


def _add_noise(
    views: Float[Tensor, "galaxy band y x"],
    corners: Float64[np.ndarray, "galaxy 2"],
    noise: float,
    seed: int,
) -> None:
    """Normal noise: each galaxy's window into one field twice as wide, cheap and repeatable."""
    _, n_bands, height, width = views.shape
    at = (corners * (height, width)).astype(np.int64)
    field = _noise_field(seed, (n_bands, 2 * height, 2 * width), views.device)
    if views.device.type == "cpu":

        def add(i: int) -> None:
            y, x = at[i]
            views[i].add_(field[:, y : y + height, x : x + width], alpha=noise)

        for_each(len(views), add)
    else:
        windows = field.unfold(1, height, 1).unfold(2, width, 1)
        rows = torch.from_numpy(at).to(views.device)
        views.add_(windows[:, rows[:, 0], rows[:, 1]].transpose(0, 1), alpha=noise)


@functools.lru_cache(maxsize=4)
def _noise_field(seed: int, shape: tuple[int, int, int], device: torch.device) -> Tensor:
    """Normal numbers, a pure function of the seed; bands innermost in memory."""
    generator = torch.Generator().manual_seed(seed % 2**63)
    field = torch.randn(shape, generator=generator)
    return field.permute(1, 2, 0).contiguous().to(device).permute(2, 0, 1)
