"""What the training loop needs of every objective."""

from abc import abstractmethod
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from galaxyloop.checkpoint import GalaxyModel


class Objective(nn.Module):
    """A model and the loss it is trained with; further networks may be added as submodules.

    Attributes:
        model: what is kept in the end.
        n_views: random views of each galaxy that ``loss`` takes.
    """

    n_views: int = 1

    def __init__(self, model: GalaxyModel) -> None:
        """Train the given model."""
        super().__init__()
        self.model = model

    @abstractmethod
    def loss(
        self,
        views: Sequence[Float[Tensor, "galaxy band y x"]],
        votes: Float[Tensor, "galaxy answer"],
    ) -> Float[Tensor, ""]:
        """The scalar to minimise."""

    @abstractmethod
    def validation_sums(
        self, images: Float[Tensor, "galaxy band y x"], votes: Float[Tensor, "galaxy answer"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Loss and what it is to be divided by, to be added up over batches of plain views."""
