"""How much views differ from the cutout."""

import math
from dataclasses import dataclass

from galaxyloop.config import StrictConfig, require


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
    blur: float = 0.0
    """Largest blur by a Gaussian point spread function, its standard deviation [px of the view];
    drawn from 0."""
    colour: float = 0.0
    """Largest change of each band's brightness by itself, as a share."""
    sky_noise: float = 0.0
    """Standard deviation of pixel noise in units of the survey's own; ``at_sky_noise`` turns it
    into ``noise``."""
    galaxy_share: float = 0.5
    """Diameter of the circle about the centre that every view shows whole, as a share of the
    cutout's side; the galaxy lies in it."""

    def __post_init__(self) -> None:
        """Check the ranges, and that no view can cut the galaxy away."""
        require(
            0.1 <= self.min_field <= self.max_field <= 2,
            "min_field and max_field must be 0.1 <= min_field <= max_field <= 2, "
            f"got {self.min_field} and {self.max_field}",
        )
        for name in ("max_shift", "brightness", "contrast", "noise", "colour"):
            value = getattr(self, name)
            require(0 <= value < 1, f"{name} must be in [0, 1), got {value}")
        for name in ("blur", "sky_noise"):
            value = getattr(self, name)
            require(0 <= value <= 10, f"{name} must be in [0, 10], got {value}")
        require(
            0 < self.galaxy_share <= 1, f"galaxy_share must be in (0, 1], got {self.galaxy_share}"
        )
        # A turned view's edge may lie across the diagonal of the shift.
        needed = self.galaxy_share + 2 * math.sqrt(2) * self.max_shift
        require(
            self.min_field >= needed - 1e-9,
            f"min_field must be at least galaxy_share + 2.83 * max_shift = {needed:.3g}, so that "
            f"no view cuts the galaxy away, got {self.min_field}; raise min_field, or lower "
            "max_shift or galaxy_share",
        )


@dataclass(frozen=True)
class ContrastiveAugmentConfig(AugmentConfig):
    """The same settings for two views of a galaxy that shall be told to be the same.

    They change what another telescope, another night and another pointing change, and no more.
    Made for cutouts of 64 pixels: for larger ones raise ``blur``, which is in pixels.
    """

    min_field: float = 0.65
    """Smallest side of the view as a share of the cutout's side."""
    max_shift: float = 0.05
    """Largest shift off the centre along each axis, as a share of the cutout's side."""
    brightness: float = 0.15
    """Largest change of the brightness, as a share."""
    contrast: float = 0.15
    """Largest change of the contrast about the image's mean, as a share."""
    noise: float = 0.0
    """Standard deviation of pixel noise, on images from 0 to 1."""
    blur: float = 1.0
    """Largest blur by a Gaussian point spread function, its standard deviation [px of the view];
    drawn from 0."""
    colour: float = 0.1
    """Largest change of each band's brightness by itself, as a share."""
    sky_noise: float = 1.0
    """Standard deviation of pixel noise in units of the survey's own; ``at_sky_noise`` turns it
    into ``noise``."""
