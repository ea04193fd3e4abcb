"""Settings of the acquisition."""

from dataclasses import dataclass, field

from galaxyloop.config import StrictConfig, require
from galaxyloop.representations.config import check_preparation


@dataclass(frozen=True)
class InformationConfig(StrictConfig):
    """How much volunteers' votes would tell, and how exactly that is computed."""

    expected_votes: int = 40
    """Volunteers who would see each galaxy; questions further down get their share of them."""
    n_monte_carlo: int = 240
    """Simulated outcomes a galaxy where there are too many to enumerate; error about 0.01 nats."""
    max_outcomes: int = 1000
    """Enumerate every outcome of a question up to this many: 861 for 3 answers and 40 votes."""
    seed: int = 0
    """Seed of the simulated outcomes."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(
            1 <= self.expected_votes <= 10_000,
            f"expected_votes must be in 1 to 10000, got {self.expected_votes}",
        )
        require(self.n_monte_carlo >= 1, f"n_monte_carlo must be >= 1, got {self.n_monte_carlo}")
        require(self.max_outcomes >= 1, f"max_outcomes must be >= 1, got {self.max_outcomes}")
        require(self.seed >= 0, f"seed must be >= 0, got {self.seed}")


@dataclass(frozen=True)
class AcquisitionConfig(StrictConfig):
    """Which galaxies to show to volunteers next (Walmsley et al. 2020, arXiv:1905.07424)."""

    name: str = "mutual_information"
    """Which acquisition ranks the galaxies; one of ``ACQUISITIONS``."""
    questions: list[str] = field(default_factory=list)
    """Questions that count for the rank; empty for all that volunteers answer."""
    seed: int = 0
    """Seed of the random acquisition."""

    def __post_init__(self) -> None:
        """Check the range."""
        require(self.seed >= 0, f"seed must be >= 0, got {self.seed}")


@dataclass(frozen=True)
class SkyBox(StrictConfig):
    """Between two right ascensions and two declinations, edges included."""

    ra_from_deg: float
    """Western edge, 0 to 360; above ``ra_to_deg`` the box reaches over 0."""
    ra_to_deg: float
    """Eastern edge, 0 to 360."""
    dec_from_deg: float
    """Southern edge, -90 to 90."""
    dec_to_deg: float
    """Northern edge, -90 to 90, above the southern one."""
    max_galaxies: int | None = None
    """Galaxies of a batch that may lie in it; None for any number."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("ra_from_deg", "ra_to_deg"):
            value = getattr(self, name)
            require(0 <= value <= 360, f"{name} must be in [0, 360], got {value}")
        is_box = -90 <= self.dec_from_deg < self.dec_to_deg <= 90
        limits = (self.dec_from_deg, self.dec_to_deg)
        require(is_box, f"dec_from_deg and dec_to_deg must rise within [-90, 90], got {limits}")
        check_room(self.max_galaxies)


@dataclass(frozen=True)
class SkyCone(StrictConfig):
    """All that is within an angle of a place."""

    ra_deg: float
    """Right ascension of the centre, 0 to 360."""
    dec_deg: float
    """Declination of the centre, -90 to 90."""
    radius_deg: float
    """Angle from the centre to the edge, above 0, up to 180."""
    max_galaxies: int | None = None
    """Galaxies of a batch that may lie in it; None for any number."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(0 <= self.ra_deg <= 360, f"ra_deg must be in [0, 360], got {self.ra_deg}")
        require(-90 <= self.dec_deg <= 90, f"dec_deg must be in [-90, 90], got {self.dec_deg}")
        is_angle = 0 < self.radius_deg <= 180
        require(is_angle, f"radius_deg must be in (0, 180], got {self.radius_deg}")
        check_room(self.max_galaxies)


DIVERSITIES = ("k_center", "none")
"""How a batch avoids galaxies that look alike; see ``select_batch``."""


@dataclass(frozen=True)
class BatchConfig(StrictConfig):
    """Which of the ranked galaxies are asked about together."""

    n_galaxies: int = 1000
    """The budget: galaxies in the batch; fewer come if no more are allowed."""
    diversity: str = "k_center"
    """How near-duplicates are avoided: "k_center" or "none", by which the best ranked are taken."""
    candidates_per_galaxy: float = 4.0
    """The batch is chosen among this many times as many of the best ranked; 1 or more."""
    preparation: str = "centred"
    """What is done to representations first: "plain", "centred" or "whitened"."""
    boxes: list[SkyBox] = field(default_factory=list)
    """Boxes on the sky; a galaxy must lie in a box or a cone, if there are any."""
    cones: list[SkyCone] = field(default_factory=list)
    """Cones on the sky."""
    min_separation_arcsec: float = 2.0
    """No two galaxies of a batch are nearer on the sky, from 0 to 648000; two images of one
    galaxy are not both asked about."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        require(self.n_galaxies >= 1, f"n_galaxies must be >= 1, got {self.n_galaxies}")
        require(
            self.diversity in DIVERSITIES,
            f"diversity must be one of {', '.join(DIVERSITIES)}, got '{self.diversity}'",
        )
        require(
            1 <= self.candidates_per_galaxy < float("inf"),
            f"candidates_per_galaxy must be >= 1 and finite, got {self.candidates_per_galaxy}",
        )
        require(
            0 <= self.min_separation_arcsec <= 648_000,
            f"min_separation_arcsec must be in [0, 648000], got {self.min_separation_arcsec}",
        )
        check_preparation(self.preparation)


@dataclass(frozen=True)
class RetirementConfig(StrictConfig):
    """When volunteers have seen a galaxy often enough."""

    max_votes: int = 40
    """Volunteers after whom a galaxy is retired in any case; GZ2 asked about 40."""
    min_votes: int = 10
    """Volunteers before whom it never is."""
    max_interval_width: float = 0.2
    """Width of the 90 % interval of a vote fraction, 0 to 1, at which it counts as known; 0 leaves
    the number of volunteers as the only rule."""
    questions: list[str] = field(default_factory=list)
    """Questions whose fractions must be known; empty for those that everybody is asked."""
    min_asked_share: float = 0.5
    """A question that fewer of the volunteers reached, from 0 to 1, need not be known."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(
            1 <= self.min_votes <= self.max_votes,
            f"min_votes must be in 1 to max_votes={self.max_votes}, got {self.min_votes}",
        )
        for name in ("max_interval_width", "min_asked_share"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"{name} must be in [0, 1], got {value}")


def check_room(max_galaxies: int | None) -> None:
    """Refuse a region that no galaxy may lie in.

    Raises:
        ConfigError: ``max_galaxies`` is below 1.
    """
    is_room = max_galaxies is None or max_galaxies >= 1
    require(is_room, f"max_galaxies must be >= 1 or None, got {max_galaxies}")
