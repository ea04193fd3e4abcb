"""How the bands of a FITS image become red, green and blue."""

from dataclasses import dataclass, field

from galaxyloop.config import StrictConfig, require


@dataclass(frozen=True)
class Recipe:
    """Everything that turns bands into colours.

    Bands stand blue to red throughout. The bluest becomes blue, the reddest red, and the middle
    one (of an even number, the mean of the middle two) green, unless ``mix`` says otherwise.
    """

    curve: str
    """From flux to brightness: a name in ``CURVES``."""
    bands: tuple[str, ...] = ()
    """Blue to red; none takes every band that the image has."""
    scales: tuple[float, ...] = ()
    """Factor on the flux of each band; none is 1."""
    minimum: float = 0.0
    """What is black, in scaled flux."""
    stretch: float = 1.0
    """Scaled flux where the linear part ends, or where white is, as the curve says."""
    q: float = 1.0
    """How strongly bright parts are compressed; 0 is linear."""
    percentiles: tuple[float, float] = (0.0, 100.0)
    """Share of each band's pixels below black and below white [%], where a curve uses it."""
    mix: tuple[tuple[float, float, float], ...] = ()
    """Red, green and blue share of each band."""


COLOUR_PRESETS: dict[str, Recipe] = {
    "auto": Recipe("noise", stretch=10.0, q=8.0),
    "grey": Recipe("percentile", q=10.0, percentiles=(1.0, 99.5)),
    "lupton": Recipe("lupton", stretch=5.0, q=8.0),
}
"""One entry a recipe; ``ColourConfig.preset`` names it."""


@dataclass(frozen=True)
class ColourConfig(StrictConfig):
    """How FITS images become RGB; JPEG and PNG are RGB already and do not look at it.

    Where a list or number is left out, the preset's holds.
    """

    preset: str = "auto"
    """Name in ``COLOUR_PRESETS``."""
    bands: list[str] = field(default_factory=list)
    """Names of the bands, blue to red, as the image locations or the files' headers have them."""
    hdus: list[str] = field(default_factory=list)
    """Which HDUs hold the image, by name or number; one for all bands, or one a band."""
    scales: list[float] = field(default_factory=list)
    """Factor on the flux of each band, blue to red."""
    minimum: float | None = None
    """What is black, in scaled flux."""
    stretch: float | None = None
    """Scaled flux where the linear part of the curve ends, above 0."""
    q: float | None = None
    """How strongly bright parts are compressed, 0 (linear) to 1e10."""
    max_missing_share: float = 0.2
    """An image with more of a band's pixels without data (zero, NaN, infinite) is rejected."""

    def __post_init__(self) -> None:
        """Check the names and ranges."""
        require(
            self.preset in COLOUR_PRESETS,
            f"preset must be one of {', '.join(COLOUR_PRESETS)}, got '{self.preset}'",
        )
        require(
            0 <= self.max_missing_share <= 1,
            f"max_missing_share must be in [0, 1], got {self.max_missing_share}",
        )
