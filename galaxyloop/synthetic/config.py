"""What to simulate: how many galaxies, how well seen, how many volunteers."""

from dataclasses import dataclass

from galaxyloop.config import StrictConfig, require


@dataclass(frozen=True)
class SimulationConfig(StrictConfig):
    """A simulated survey; the same config gives the same bytes."""

    n_galaxies: int = 1000
    """Sound images; the first of them are the same whatever their number."""
    seed: int = 0
    """Every galaxy draws from streams of its own made from this seed and its place."""
    image_size_px: int = 96
    """Side of the square images."""
    campaign: str = "gz2"
    """The campaign whose questions the volunteers answer."""
    survey: str = "simulated"
    """The manifest's survey column."""
    n_volunteers: float = 40.0
    """Mean votes on the first question; GZ2 asked about 40 volunteers a galaxy."""
    labelled_share: float = 0.75
    """Share of galaxies that volunteers have seen."""
    concentration: float = 40.0
    """How strongly volunteers agree: the Dirichlet parameters of a question add up to at most
    its number of answers plus this."""
    noise: float = 1.0
    """Noise of the sky, relative to an SDSS image of a bright galaxy."""
    psf_fwhm_px: float = 2.4
    """Mean full width at half maximum of the point spread function."""
    repeated_share: float = 0.02
    """Share of images that show the galaxy before them once more, under its group id."""
    n_broken_images: int = 4
    """Extra images that cannot be used: truncated, blank, missing, not an image."""
    n_broken_votes: int = 3
    """Extra rows of votes that cannot be right: negative, empty, not a whole number."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, low, high in (
            ("n_galaxies", 1, 90_000_000),
            ("seed", 0, 999_999),
            ("image_size_px", 16, 1024),
            ("n_volunteers", 1, 100_000),
            ("labelled_share", 0, 1),
            # Above 90 the seven answers of one GZ2 question would sum to more than 101.
            ("concentration", 0.1, 90),
            ("noise", 0, 100),
            ("psf_fwhm_px", 0.5, 20),
            ("repeated_share", 0, 1),
            ("n_broken_images", 0, 1000),
            ("n_broken_votes", 0, 1000),
        ):
            value = getattr(self, name)
            require(low <= value <= high, f"{name} must be in [{low}, {high}], got {value}")
