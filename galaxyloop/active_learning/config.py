"""What a simulated loop compares, and how it is played."""

from dataclasses import dataclass, field

from galaxyloop.acquisition import ACQUISITIONS, BatchConfig, InformationConfig
from galaxyloop.config import StrictConfig, require
from galaxyloop.errors import UnknownNameError

MEASURES = ("rmse", "log_loss", "ranking_error")
"""Errors on the test galaxies, the lower the better; see ``judging``."""
BASELINE = "random"
"""The arm that others are compared with."""


@dataclass(frozen=True)
class HeadConfig(StrictConfig):
    """An ensemble of small heads on frozen features, each with dropout.

    Members differ in their first weights (Lakshminarayanan et al. 2017, arXiv:1612.01474), samples
    of a member in the units that are dropped (Gal & Ghahramani 2016, arXiv:1506.02142).
    """

    n_members: int = 5
    """Heads that are trained side by side."""
    hidden_width: int = 64
    """Units of the hidden layer; 0 for a linear head."""
    dropout_rate: float = 0.5
    """Share of units dropped before the last layer, from 0 to below 1."""
    n_samples: int = 6
    """Dropout masks a member."""
    n_steps: int = 200
    """Steps of training, however many labels there are."""
    batch_size: int = 64
    """Galaxies a step at most."""
    learning_rate: float = 1e-3
    """AdamW's at the start; it falls to 0 on half a cosine."""
    weight_decay: float = 1.0
    """Of AdamW."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("n_members", "n_samples", "n_steps", "batch_size"):
            require(getattr(self, name) >= 1, f"{name} must be >= 1, got {getattr(self, name)}")
        require(self.hidden_width >= 0, f"hidden_width must be >= 0, got {self.hidden_width}")
        require(
            0 <= self.dropout_rate < 1, f"dropout_rate must be in [0, 1), got {self.dropout_rate}"
        )
        require(self.learning_rate > 0, f"learning_rate must be > 0, got {self.learning_rate}")
        require(self.weight_decay >= 0, f"weight_decay must be >= 0, got {self.weight_decay}")


@dataclass(frozen=True)
class ArmConfig(StrictConfig):
    """One way to choose whom to ask about."""

    name: str
    """Of the arm, in tables and figures."""
    acquisition: str = "mutual_information"
    """Which acquisition ranks the galaxies; one of ``ACQUISITIONS``."""
    diversity: str = "none"
    """How a batch avoids near-duplicates; see ``BatchConfig``."""

    def __post_init__(self) -> None:
        """Check the names."""
        require(bool(self.name), "name of an arm must not be empty")
        if self.acquisition not in ACQUISITIONS:
            raise UnknownNameError("acquisition", self.acquisition, ACQUISITIONS)
        BatchConfig(diversity=self.diversity)


def standard_arms() -> list[ArmConfig]:
    """Every acquisition, and mutual information with batches of galaxies that differ."""
    return [
        *(ArmConfig(name, name) for name in ACQUISITIONS),
        ArmConfig("mutual_information_diverse", diversity="k_center"),
    ]


@dataclass(frozen=True)
class ActiveLearningConfig(StrictConfig):
    """A study: arms x seeds, each played for some rounds."""

    arms: list[ArmConfig] = field(default_factory=standard_arms)
    """What is compared; one of them must be ``random``."""
    n_start: int = 100
    """Galaxies labelled at the start, chosen at random, the same for all arms of a seed."""
    n_asked: int = 50
    """Galaxies asked about in each round."""
    n_rounds: int = 10
    """Rounds after the start."""
    n_seeds: int = 5
    """Times that all is played, each from another start."""
    seed: int = 0
    """Of all starts and heads."""
    measure: str = "rmse"
    """The error that savings are told by; one of ``MEASURES``."""
    questions: list[str] = field(default_factory=list)
    """Questions that count, for the rank and for the error; empty for all of volunteers."""
    information: InformationConfig = field(default_factory=InformationConfig)
    """Votes expected on a galaxy."""
    candidates_per_galaxy: float = 3.0
    """Of diverse batches: chosen among this many times as many of the best ranked."""
    head: HeadConfig = field(default_factory=HeadConfig)
    """What is trained anew in every round."""
    n_threads: int | None = 1
    """CPU threads of each training; equal bytes need equal numbers."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        names = [arm.name for arm in self.arms]
        require(
            BASELINE in names and len(set(names)) == len(names),
            f"arms must have names that differ, one of them '{BASELINE}', got {names}",
        )
        for name in ("n_start", "n_asked", "n_rounds", "n_seeds"):
            require(getattr(self, name) >= 1, f"{name} must be >= 1, got {getattr(self, name)}")
        require(self.seed >= 0, f"seed must be >= 0, got {self.seed}")
        if self.measure not in MEASURES:
            raise UnknownNameError("measure", self.measure, MEASURES)
        is_factor = 1 <= self.candidates_per_galaxy < float("inf")
        told = f"must be >= 1 and finite, got {self.candidates_per_galaxy}"
        require(is_factor, f"candidates_per_galaxy {told}")
        is_positive = self.n_threads is None or self.n_threads >= 1
        require(is_positive, f"n_threads must be >= 1 or None, got {self.n_threads}")

    @property
    def n_labels(self) -> list[int]:
        """Labels at the start and after each round."""
        return [self.n_start + self.n_asked * i for i in range(self.n_rounds + 1)]

    def arm(self, name: str) -> ArmConfig:
        """The arm of that name.

        Raises:
            UnknownNameError: there is none.
        """
        arms = {arm.name: arm for arm in self.arms}
        if name not in arms:
            raise UnknownNameError("arm", name, arms)
        return arms[name]
