"""The votes objective: make the volunteers' votes likely."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from galaxyloop.config import StrictConfig, require
from galaxyloop.dirichlet import is_answered, sum_by_answer, vote_log_likelihood, votes_loss
from galaxyloop.heads import LARGEST_FREE_LOGIT, concentrations_of
from galaxyloop.models import GalaxyModel
from galaxyloop.objectives.objective import Objective
from galaxyloop.processes import part_of_mean


@dataclass(frozen=True)
class VotesObjectiveConfig(StrictConfig):
    """Dirichlet-multinomial votes (Walmsley et al. 2022, arXiv:2102.08414)."""

    dropout_rate: float = 0.2
    """Share of features the head drops, in training and for each posterior sample."""
    saturation_penalty: float = 0.1
    """Weight of what keeps concentrations off the ends of their range, where no gradient is."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(
            0 <= self.dropout_rate < 1, f"dropout_rate must be in [0, 1), got {self.dropout_rate}"
        )
        require(
            self.saturation_penalty >= 0,
            f"saturation_penalty must be >= 0, got {self.saturation_penalty}",
        )


class VotesObjective(Objective):
    """Negative log-likelihood of the votes, per answered (galaxy, question) pair.

    A question of another campaign has no votes, so it adds nothing and its answers' weights get
    exactly no gradient; galaxies of several campaigns share one model this way.
    """

    model: GalaxyModel

    def __init__(self, model: GalaxyModel, config: VotesObjectiveConfig | None = None) -> None:
        """Train the given model."""
        super().__init__(model)
        self.config = config or VotesObjectiveConfig()

    def loss(
        self,
        views: Sequence[Float[Tensor, "galaxy band y x"]],
        labels: Float[Tensor, "galaxy answer"],
    ) -> Float[Tensor, ""]:
        """Mean negative log-likelihood [nats an answered question] of one view a galaxy."""
        (view,) = views
        features = self.model.features(view)
        return head_loss(self.model, features, labels, self.config.saturation_penalty)

    def validation_sums(
        self,
        plain: Float[Tensor, "galaxy band y x"],
        views: Sequence[Float[Tensor, "galaxy band y x"]],
        labels: Float[Tensor, "galaxy answer"],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Negative log-likelihood [nats] and number of answered questions, to be added up."""
        return validation_likelihood(self.model, plain, labels)


def head_loss(
    model: GalaxyModel,
    features: Float[Tensor, "galaxy feature"],
    votes: Float[Tensor, "galaxy answer"],
    saturation_penalty: float,
) -> Float[Tensor, ""]:
    """Mean negative log-likelihood [nats an answered question], with the penalty on saturation.

    The most likely concentration of an answer that divides the volunteers can lie below the range
    while nothing else is learnt yet. Without the penalty the head then runs so far down the
    sigmoid's tail that no gradient brings it back. Zero where concentrations lie in (1.7, 100.3),
    and for what is not answered.

    Args:
        model: its head and tree are used.
        features: of the galaxies.
        votes: counts; nobody answered is 0.
        saturation_penalty: its weight.
    """
    logits = model.head.logits(features)
    with torch.autocast(features.device.type, enabled=False):
        answered = (sum_by_answer(votes.float(), model.tree) > 0).float()
        excess = (logits.abs() - LARGEST_FREE_LOGIT).clamp(min=0).square()
        penalty = (excess * answered).sum() / answered.sum().clamp(min=1)
        likelihood = votes_loss(concentrations_of(logits), votes, model.tree)
        n_questions = is_answered(votes, model.tree).sum()
        return part_of_mean(likelihood, n_questions) + saturation_penalty * part_of_mean(
            penalty, answered.sum()
        )


def validation_likelihood(
    model: GalaxyModel,
    plain: Float[Tensor, "galaxy band y x"],
    votes: Float[Tensor, "galaxy answer"],
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Negative log-likelihood [nats] of the votes and number of answered questions."""
    log_likelihood = vote_log_likelihood(model(plain), votes, model.tree, check=False)
    return -log_likelihood.sum(), is_answered(votes, model.tree).sum().float()
