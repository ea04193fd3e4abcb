"""Settings of representations and of what is read from them."""

from dataclasses import dataclass, field

from galaxyloop.config import StrictConfig, require

PREPARATIONS = ("plain", "centred", "whitened")
"""What may be done to representations before their angles are taken; see ``Preparation``."""


@dataclass(frozen=True)
class RepresentationConfig(StrictConfig):
    """How the encoder is run over a survey."""

    batch_size: int = 256
    """Galaxies that go through the encoder together."""
    precision: str = "float32"
    """Arithmetic of the encoder: "float32" or "bfloat16" (autocast)."""
    n_threads: int | None = None
    """CPU threads; equal bytes need equal numbers. None leaves torch's own number."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.batch_size >= 1, f"batch_size must be >= 1, got {self.batch_size}")
        is_positive = self.n_threads is None or self.n_threads >= 1
        require(is_positive, f"n_threads must be >= 1 or None, got {self.n_threads}")
        require(
            self.precision in ("float32", "bfloat16"),
            f"precision must be 'float32' or 'bfloat16', got '{self.precision}'",
        )


@dataclass(frozen=True)
class AnomalyConfig(StrictConfig):
    """How unlike the rest of its survey a galaxy is: its distance from its nearest neighbours."""

    n_neighbours: int = 10
    """Nearest neighbours whose cosine distances are averaged; 1 to 1000."""
    max_reference: int = 50_000
    """Galaxies among which neighbours are looked for; of a larger survey, a random choice."""
    preparation: str = "centred"
    """What is done to representations first: "plain", "centred" or "whitened"."""
    seed: int = 0
    """Seed of the random choice."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(
            1 <= self.n_neighbours <= 1000,
            f"n_neighbours must be in 1 to 1000, got {self.n_neighbours}",
        )
        require(
            self.n_neighbours < self.max_reference <= 10_000_000,
            f"max_reference must be above n_neighbours={self.n_neighbours} and at most 10000000, "
            f"got {self.max_reference}",
        )
        require(self.seed >= 0, f"seed must be >= 0, got {self.seed}")
        check_preparation(self.preparation)


@dataclass(frozen=True)
class GalleryConfig(StrictConfig):
    """What is drawn of a survey's representations."""

    queries: list[str] = field(default_factory=list)
    """Galaxies whose neighbours are shown; empty for some chosen by hash of id."""
    n_queries: int = 6
    """How many are chosen when none are named; 1 to 50."""
    n_neighbours: int = 7
    """Neighbours in each row; 1 to 20."""
    n_anomalies: int = 32
    """The most anomalous galaxies that are shown; 1 to 400."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        bounds = {"n_queries": 50, "n_neighbours": 20, "n_anomalies": 400}
        for name, most in bounds.items():
            value = getattr(self, name)
            require(1 <= value <= most, f"{name} must be in 1 to {most}, got {value}")
        n_named = len(self.queries)
        require(n_named <= 50, f"queries must name at most 50 galaxies, got {n_named}")


def check_preparation(name: str) -> None:
    """Refuse a preparation that does not exist.

    Raises:
        ConfigError: its name is not in ``PREPARATIONS``.
    """
    known = ", ".join(PREPARATIONS)
    require(name in PREPARATIONS, f"preparation must be one of {known}, got '{name}'")
