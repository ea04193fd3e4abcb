"""Settings of the evaluation."""

from dataclasses import dataclass, field

from galaxyloop.config import StrictConfig, require


@dataclass(frozen=True)
class MetricsConfig(StrictConfig):
    """How predictions are held against votes that training never saw."""

    min_votes: int = 5
    """Fewest votes on a question for a galaxy's observed fractions to be trusted."""
    confident_fraction: float = 0.8
    """Volunteers are confident of an answer above this fraction (Walmsley et al. 2022)."""
    levels: list[float] = field(default_factory=lambda: [round(0.1 * i, 1) for i in range(1, 10)])
    """Nominal coverages of central intervals, each in (0, 1)."""
    n_bootstrap: int = 500
    """Resamplings of the galaxies behind each interval of a metric."""
    seed: int = 0
    """Seed of the resamplings and of the randomised integral transforms."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.min_votes >= 1, f"min_votes must be >= 1, got {self.min_votes}")
        require(
            0 <= self.confident_fraction < 1,
            f"confident_fraction must be in [0, 1), got {self.confident_fraction}",
        )
        require(
            bool(self.levels) and all(0 < level < 1 for level in self.levels),
            f"levels must be one or more numbers in (0, 1), got {self.levels}",
        )
        require(self.n_bootstrap >= 1, f"n_bootstrap must be >= 1, got {self.n_bootstrap}")
        require(self.seed >= 0, f"seed must be >= 0, got {self.seed}")
