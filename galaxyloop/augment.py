"""Random views of galaxies: one composed warp a galaxy, drawn from (seed, epoch, galaxy) alone."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Integer, UInt8
from torch import Tensor

from galaxyloop.config import StrictConfig, require
from galaxyloop.random_streams import uniforms

_N_DRAWS = 9


@dataclass(frozen=True)
class AugmentConfig(StrictConfig):
    """How a view may differ from the stored cutout; a galaxy has no up and no fixed size."""

    rotate: bool = True
    """Turn by any angle."""
    flip: bool = True
    """Mirror half of the views."""
    min_field: float = 0.75
    """Smallest side of the view as a share of the cutout's side."""
    max_field: float = 1.05
    """Largest side of the view as a share of the cutout's side."""
    max_shift: float = 0.04
    """Largest shift off the centre along each axis, as a share of the cutout's side."""
    brightness: float = 0.1
    """Largest change of the brightness, as a share."""
    contrast: float = 0.1
    """Largest change of the contrast about the image's mean, as a share."""
    noise: float = 0.01
    """Standard deviation of pixel noise, on images from 0 to 1."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(
            0.1 <= self.min_field <= self.max_field <= 2,
            "min_field and max_field must be 0.1 <= min_field <= max_field <= 2, "
            f"got {self.min_field} and {self.max_field}",
        )
        for name in ("max_shift", "brightness", "contrast", "noise"):
            value = getattr(self, name)
            require(0 <= value < 1, f"{name} must be in [0, 1), got {value}")


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
    its mirror image continues. A galaxy's view does not depend on the others in the batch.

    Args:
        images: cutouts as stored.
        galaxies: each galaxy's own number, >= 0 (``random_streams.number_names``).
        config: how large the changes are.
        when: seed, epoch and view.
    """
    draws = uniforms((when.seed, when.epoch, when.view), galaxies, _N_DRAWS)
    plain = plain_views(images)
    maps = torch.from_numpy(affine_maps(draws, config)).to(plain)
    grid = torch.nn.functional.affine_grid(maps, list(plain.shape), align_corners=False)
    warped = torch.nn.functional.grid_sample(
        plain, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return _jitter(warped, draws, config, when.seed)


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


def _jitter(
    images: Float[Tensor, "galaxy band y x"],
    draws: Float64[np.ndarray, "galaxy draw"],
    config: AugmentConfig,
    seed: int,
) -> Float[Tensor, "galaxy band y x"]:
    """Brightness, contrast and pixel noise, in place."""
    signed = torch.from_numpy(2 * draws[:, 5:7] - 1).to(images).view(-1, 2, 1, 1, 1)
    contrast = (1 + config.contrast * signed[:, 1]) * (1 + config.brightness * signed[:, 0])
    offset = (1 + config.brightness * signed[:, 0]) - contrast
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images.mul_(contrast).add_(offset * mean)
    if config.noise > 0:
        images.add_(_noise(images, draws[:, 7:9], seed), alpha=config.noise)
    return images.clamp_(0, 1)


def _noise(
    images: Float[Tensor, "galaxy band y x"], corners: Float64[np.ndarray, "galaxy 2"], seed: int
) -> Float[Tensor, "galaxy band y x"]:
    """Normal noise: each galaxy's window into one field twice as wide, cheap and repeatable."""
    _, n_bands, height, width = images.shape
    generator = torch.Generator().manual_seed(seed % 2**63)
    field = torch.randn((n_bands, 2 * height, 2 * width), generator=generator).to(images.device)
    windows = field.unfold(1, height, 1).unfold(2, width, 1)
    at = torch.from_numpy((corners * (height, width)).astype(np.int64)).to(images.device)
    return windows[:, at[:, 0], at[:, 1]].transpose(0, 1)
