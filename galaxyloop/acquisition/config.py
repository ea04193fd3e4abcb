"""Settings of the acquisition."""

from dataclasses import dataclass, field

from galaxyloop.config import StrictConfig, require


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
