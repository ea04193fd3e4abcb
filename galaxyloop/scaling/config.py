"""What a scaling study trains, and how its laws are fitted."""

from dataclasses import dataclass, field

from galaxyloop.config import StrictConfig, require
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.training.config import SupervisedRun

MIN_FRACTIONS = 4
"""Fewest fractions behind a law: the largest is held out, and three are left for three numbers."""
MIN_SEEDS = 2
"""Fewest seeds: with one nothing tells scatter from a law that does not hold."""
MAX_CELLS = 1000
"""Most cells of a study; a workflow maps over no more."""


@dataclass(frozen=True)
class LawConfig(StrictConfig):
    """How laws are fitted to cells."""

    n_draws: int = 1000
    """Bootstrap draws of the cells behind each interval."""
    level: float = 0.9
    """Nominal coverage of all intervals, in (0, 1)."""
    scatter_power: float = 0.5
    """The relative scatter of cells falls as the number of galaxies to this power, in [0, 1], as
    that of a mean does; the larger, the more a law is decided by large fractions. With two or three
    seeds intervals of 90 % hold 82 to 92 % of planted exponents if the true power is 0, 0.5 or 1,
    least if it is 1."""
    seed: int = 0
    """Of the draws."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.n_draws >= 20, f"n_draws must be >= 20, got {self.n_draws}")
        require(0 < self.level < 1, f"level must be in (0, 1), got {self.level}")
        require(
            0 <= self.scatter_power <= 1,
            f"scatter_power must be in [0, 1], got {self.scatter_power}",
        )
        require(self.seed >= 0, f"seed must be >= 0, got {self.seed}")


@dataclass(frozen=True)
class ScalingConfig(StrictConfig):
    """A study: encoders x fractions of the labelled training galaxies x seeds."""

    encoders: list[str] = field(default_factory=lambda: ["resnet_mini"])
    """Of ``galaxyloop.encoders.ENCODERS``, or timm names; all are trained by the same recipe."""
    fractions: list[float] = field(default_factory=lambda: [0.125, 0.25, 0.5, 1.0])
    """Shares of the training galaxies with votes, in (0, 1], rising; at least four."""
    n_seeds: int = 3
    """Repetitions, each with galaxies, first weights and order of its own; at least two."""
    run: SupervisedRun = field(default_factory=SupervisedRun)
    """Training on all galaxies (fraction 1). Cells set encoder, seed, epochs and threads."""
    steps_power: float = 0.5
    """Steps go with the fraction to this power, in [0, 1]: 0 trains small fractions for as many
    steps as large ones, 1 for as many epochs, which is too short for them."""
    posterior: PosteriorConfig = field(default_factory=PosteriorConfig)
    """Dropout samples behind the held-out predictions."""
    min_votes: int = 5
    """Fewest votes on a question for a galaxy's observed fractions to count in the RMSE."""
    laws: LawConfig = field(default_factory=LawConfig)
    """How laws are fitted; changing it trains nothing again."""
    n_threads: int | None = 1
    """CPU threads of each cell; equal bytes need equal numbers."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        require(
            bool(self.encoders) and len(set(self.encoders)) == len(self.encoders),
            f"encoders must be one or more names that differ, got {self.encoders}",
        )
        is_rising = self.fractions == sorted(set(self.fractions))
        require(
            is_rising and len(self.fractions) >= MIN_FRACTIONS,
            f"fractions must be {MIN_FRACTIONS} or more that rise, got {self.fractions}; a law "
            "is judged by the largest, and needs three more to be fitted",
        )
        require(
            self.fractions[0] > 0 and self.fractions[-1] <= 1,
            f"fractions must be in (0, 1], got {self.fractions}",
        )
        require(
            self.n_seeds >= MIN_SEEDS,
            f"n_seeds must be >= {MIN_SEEDS}, got {self.n_seeds}; one seed shows no scatter",
        )
        n_cells = len(self.encoders) * len(self.fractions) * self.n_seeds
        require(
            n_cells <= MAX_CELLS,
            f"a study has at most {MAX_CELLS} cells, got {n_cells}; take fewer encoders, "
            "fractions or seeds",
        )
        require(
            0 <= self.steps_power <= 1, f"steps_power must be in [0, 1], got {self.steps_power}"
        )
        require(self.min_votes >= 1, f"min_votes must be >= 1, got {self.min_votes}")
        is_positive = self.n_threads is None or self.n_threads >= 1
        require(is_positive, f"n_threads must be >= 1 or None, got {self.n_threads}")
