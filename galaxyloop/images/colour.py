"""Which recipe turns the bands of a FITS image into red, green and blue.

A new preset is one entry in ``COLOUR_PRESETS``. Networks take a recipe's look for a property of
galaxies: train and predict with the same one.
"""

import dataclasses
from dataclasses import dataclass, field

from galaxyloop.config import StrictConfig, require
from galaxyloop.images.curves import Recipe

_TO_NANOMAGGIES = 10 ** ((22.5 - 27) / 2.5)
"""Flux with an AB zero point of 27, as HSC coadds have it, to one of 22.5."""

_FOUR_TO_RGB = ((0.0, 0.0, 0.75), (0.0, 0.5, 0.25), (0.25, 0.5, 0.0), (0.75, 0.0, 0.0))

COLOUR_PRESETS: dict[str, Recipe] = {
    # Any bands in any unit: each in units of its own noise above its own sky.
    "auto": Recipe("noise", stretch=10.0, q=8.0),
    # One band in any unit, between percentiles of the image itself.
    "grey": Recipe("relative", q=10.0, black_percentile=25.0, white_percentile=99.8, max_bands=1),
    # Lupton et al. 2004 (astro-ph/0312483) as usually coded; scales and stretch depend on the unit.
    "lupton": Recipe("lupton", stretch=5.0, q=8.0),
    # The Legacy Surveys' sky viewer, DR8 to DR10; fluxes in nanomaggies.
    "legacy_grz": Recipe("viewer", ("g", "r", "z"), scales=(6.0, 3.4, 2.2), minimum=-0.03, q=20.0),
    "legacy_gri": Recipe("viewer", ("g", "r", "i"), scales=(9.0, 5.1, 4.5), minimum=-0.03, q=20.0),
    "legacy_griz": Recipe(
        "viewer",
        ("g", "r", "i", "z"),
        scales=(9.0, 5.1, 4.5, 3.3),
        minimum=-0.03,
        q=20.0,
        mix=_FOUR_TO_RGB,
    ),
    # The same viewer's SDSS layer; fluxes in nanomaggies.
    "sdss_gri": Recipe("viewer", ("g", "r", "i"), scales=(2.5, 1.5, 1.0), minimum=-0.02, q=20.0),
    # HSC coadds brought to nanomaggies, then like legacy_gri.
    "hsc_gri": Recipe(
        "viewer",
        ("g", "r", "i"),
        scales=(9.0 * _TO_NANOMAGGIES, 5.1 * _TO_NANOMAGGIES, 4.5 * _TO_NANOMAGGIES),
        minimum=-0.03,
        q=20.0,
    ),
    # Galaxy Zoo DECaLS DR1 and DR2 (Walmsley et al. 2022, arXiv:2102.08414); nanomaggies.
    "gz_decals": Recipe(
        "arcsinh",
        ("g", "r", "z"),
        scales=(1 / 0.008, 1 / 0.014, 1 / 0.019),
        minimum=-0.5,
        stretch=300.0,
    ),
    # Galaxy Zoo Euclid (Euclid Collaboration: Walmsley et al. 2025, arXiv:2503.15310); MER mosaics.
    "gz_euclid": Recipe("arcsinh", ("VIS", "NIR_Y"), scales=(100.0, 1.0), white_percentile=99.85),
}
"""Recipes by name."""


@dataclass(frozen=True)
class ColourConfig(StrictConfig):
    """How FITS images become RGB; JPEG and PNG are RGB already and do not look at it.

    Where a list is empty or a number not given, the preset's holds.
    """

    preset: str = "auto"
    """Name in ``COLOUR_PRESETS``."""
    bands: list[str] = field(default_factory=list)
    """Names of the bands, blue to red, as the image locations or the files' headers have them."""
    hdus: list[str] = field(default_factory=list)
    """Names or numbers of the HDUs with the image: one for all, or one a band in that order."""
    scales: list[float] = field(default_factory=list)
    """Factor on the flux of each band, blue to red, each above 0."""
    minimum: float | None = None
    """What is black, in scaled flux."""
    stretch: float | None = None
    """Scaled flux where the curve bends, or, for ``gz_decals``, where white is, above 0."""
    q: float | None = None
    """How strongly bright parts are compressed, from 0 (not at all) to 1e10."""
    max_missing_share: float = 0.2
    """An image is rejected if more of a band's pixels have no data (0 or not finite), 0 to 1."""

    def __post_init__(self) -> None:
        """Check names, numbers and that lists fit each other."""
        require(
            self.preset in COLOUR_PRESETS,
            f"preset must be one of {', '.join(COLOUR_PRESETS)}, got '{self.preset}'",
        )
        require(
            0 <= self.max_missing_share <= 1,
            f"max_missing_share must be in [0, 1], got {self.max_missing_share}",
        )
        for name in ("bands", "hdus"):
            names = getattr(self, name)
            require(
                all(names) and len({each.casefold() for each in names}) == len(names),
                f"{name} must be names, each once whatever the case, got {names}",
            )
        require(
            all(0 < scale <= 1e30 for scale in self.scales),
            f"scales must be in (0, 1e30], got {self.scales}",
        )
        for name, low, high in (("minimum", -1e15, 1e15), ("stretch", 1e-10, 1e10), ("q", 0, 1e10)):
            value = getattr(self, name)
            require(
                value is None or low <= value <= high,
                f"{name} must be in [{low:g}, {high:g}], got {value}",
            )
        self._check_recipe()

    def _check_recipe(self) -> None:
        """What only shows once the preset's settings are filled in."""
        recipe = self.recipe
        n_bands = len(recipe.bands)
        require(
            len(recipe.scales) in (0, n_bands),
            f"scales must be one a band, got {len(recipe.scales)} ({list(recipe.scales)}) for "
            f"{n_bands} bands ({list(recipe.bands)}); set both bands and scales",
        )
        require(
            not recipe.mix or len(recipe.mix) == n_bands,
            f"bands must be {len(recipe.mix)} for preset {self.preset}, got {list(recipe.bands)}",
        )
        require(
            n_bands <= recipe.max_bands,
            f"bands must be at most {recipe.max_bands} for preset {self.preset}, got {self.bands}",
        )
        require(
            recipe.q > 0 or recipe.curve != "viewer",
            f"q must be above 0 for preset {self.preset}, got {recipe.q}",
        )
        require(
            recipe.stretch > recipe.minimum or recipe.curve != "arcsinh",
            f"stretch must be above minimum={recipe.minimum:g} for preset {self.preset}, got "
            f"{recipe.stretch:g}",
        )

    @property
    def recipe(self) -> Recipe:
        """The preset with what is set otherwise here."""
        preset = COLOUR_PRESETS[self.preset]
        return dataclasses.replace(
            preset,
            bands=tuple(self.bands) or preset.bands,
            scales=tuple(self.scales) or preset.scales,
            minimum=preset.minimum if self.minimum is None else self.minimum,
            stretch=preset.stretch if self.stretch is None else self.stretch,
            q=preset.q if self.q is None else self.q,
        )
