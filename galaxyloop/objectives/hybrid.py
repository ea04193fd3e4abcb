"""Hybrid: BYOL on all galaxies, and the votes of those that have some."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from galaxyloop.config import require
from galaxyloop.models import GalaxyModel
from galaxyloop.objectives.byol import ByolConfig, ByolObjective
from galaxyloop.objectives.votes import head_loss, validation_likelihood
from galaxyloop.processes import part_of_mean


@dataclass(frozen=True)
class HybridConfig(ByolConfig):
    """BYOL with a Dirichlet head on the representation (Walmsley et al. 2022, arXiv:2206.11927)."""

    dropout_rate: float = 0.2
    """Share of features the head drops."""
    saturation_penalty: float = 0.1
    """Weight of what keeps concentrations off the ends of their range, where no gradient is."""
    labelled_share: float = 0.5
    """Share of each batch that has votes; 1 leaves the other galaxies out."""
    votes_weight: float = 1.0
    """Weight of the votes' loss at the beginning."""
    final_votes_weight: float | None = None
    """Weight at the end, reached in a straight line; None keeps it as it was."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require(
            0 <= self.dropout_rate < 1, f"dropout_rate must be in [0, 1), got {self.dropout_rate}"
        )
        require(
            0 < self.labelled_share <= 1,
            f"labelled_share must be in (0, 1], got {self.labelled_share}",
        )
        for name in ("votes_weight", "final_votes_weight", "saturation_penalty"):
            value = getattr(self, name)
            require(value is None or value >= 0, f"{name} must be >= 0, got {value}")

    def votes_weight_at(self, step: int, n_steps: int) -> float:
        """The weight at a step, which counts from 0."""
        if self.final_votes_weight is None:
            return self.votes_weight
        done = step / max(n_steps - 1, 1)
        return self.votes_weight + done * (self.final_votes_weight - self.votes_weight)


class HybridObjective(ByolObjective):
    """``contrastive + w * votes``; the votes' term is a mean over answered questions.

    The head sees the online representation of the first view. Galaxies without votes have
    zeros, which give the head exactly no gradient.
    """

    model: GalaxyModel
    config: HybridConfig
    n_validation_views = 0
    keeps = "best"

    def __init__(self, model: GalaxyModel, config: HybridConfig, seed: int = 0) -> None:
        """Add the networks; arguments as for BYOL."""
        super().__init__(model, config, seed)
        self._votes_weight = config.votes_weight

    def before_step(self, step: int, n_steps: int) -> None:
        """Set the weight of the votes."""
        self._votes_weight = self.config.votes_weight_at(step, n_steps)

    def loss(
        self,
        views: Sequence[Float[Tensor, "galaxy band y x"]],
        labels: Float[Tensor, "galaxy label"],
    ) -> Float[Tensor, ""]:
        """Both terms added."""
        features, normalised = self.look_at(views)
        votes = head_loss(self.model, features[0], labels, self.config.saturation_penalty)
        contrastive = part_of_mean(self.contrastive_loss(features, normalised), len(labels))
        return contrastive + self._votes_weight * votes

    def validation_sums(
        self,
        plain: Float[Tensor, "galaxy band y x"],
        views: Sequence[Float[Tensor, "galaxy band y x"]],
        labels: Float[Tensor, "galaxy label"],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Negative log-likelihood [nats] of the votes and number of answered questions."""
        self._watch(plain)
        return validation_likelihood(self.model, plain, labels)
