"""The votes objective: make the volunteers' votes likely."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from galaxyloop.config import StrictConfig, require
from galaxyloop.dirichlet import is_answered, vote_log_likelihood, votes_loss
from galaxyloop.objectives.objective import Objective


@dataclass(frozen=True)
class VotesObjectiveConfig(StrictConfig):
    """Dirichlet-multinomial votes (Walmsley et al. 2022, arXiv:2102.08414)."""

    dropout_rate: float = 0.2
    """Share of features the head drops, in training and for each posterior sample."""

    def __post_init__(self) -> None:
        """Check the range."""
        require(
            0 <= self.dropout_rate < 1, f"dropout_rate must be in [0, 1), got {self.dropout_rate}"
        )


class VotesObjective(Objective):
    """Negative log-likelihood of the votes, per answered (galaxy, question) pair.

    A question of another campaign has no votes, so it adds nothing and its answers' weights get
    exactly no gradient; galaxies of several campaigns share one model this way.
    """

    def loss(
        self,
        views: Sequence[Float[Tensor, "galaxy band y x"]],
        votes: Float[Tensor, "galaxy answer"],
    ) -> Float[Tensor, ""]:
        """Mean negative log-likelihood [nats an answered question] of one view a galaxy."""
        (view,) = views
        return votes_loss(self.model(view), votes, self.model.tree)

    def validation_sums(
        self, images: Float[Tensor, "galaxy band y x"], votes: Float[Tensor, "galaxy answer"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Negative log-likelihood [nats] and number of answered questions, to be added up."""
        log_likelihood = vote_log_likelihood(
            self.model(images), votes, self.model.tree, check=False
        )
        return -log_likelihood.sum(), is_answered(votes, self.model.tree).sum().float()
