"""How sure one must be that a challenger is better."""

from dataclasses import dataclass

from galaxyloop.config import StrictConfig, require


@dataclass(frozen=True)
class PromotionConfig(StrictConfig):
    """Bounds of the decision whether a challenger becomes the champion."""

    confidence: float = 0.95
    """Share of the resamplings in which the challenger must have the higher mean log-likelihood,
    in [0.5, 1). Likewise, a loss counts only if as many resamplings agree that there is one."""
    question_margin_nats: float = 0.05
    """What one question may lose in mean log-likelihood [nats a galaxy], 0 or more."""
    calibration_margin: float = 0.05
    """How far the coverage of 90 % intervals may be from 0.9, from 0 to 0.9, unless the champion's
    is as far."""
    min_groups: int = 30
    """Fewest independent groups of galaxies from which anything is concluded, 2 or more; questions
    with fewer are written down and not judged."""
    n_bootstrap: int = 2000
    """Resamplings of the groups."""
    seed: int = 0
    """Seed of the resamplings."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(
            0.5 <= self.confidence < 1, f"confidence must be in [0.5, 1), got {self.confidence}"
        )
        require(
            self.question_margin_nats >= 0,
            f"question_margin_nats must be >= 0, got {self.question_margin_nats}",
        )
        require(
            0 <= self.calibration_margin <= 0.9,
            f"calibration_margin must be in [0, 0.9], got {self.calibration_margin}",
        )
        require(self.min_groups >= 2, f"min_groups must be >= 2, got {self.min_groups}")
        require(self.n_bootstrap >= 100, f"n_bootstrap must be >= 100, got {self.n_bootstrap}")
        require(self.seed >= 0, f"seed must be >= 0, got {self.seed}")
