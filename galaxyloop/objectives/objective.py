"""What the training loop needs of every objective."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from galaxyloop.models import GalaxyEncoder


class Objective(nn.Module):
    """A model and the loss it is trained with; further networks may be added as submodules.

    Attributes:
        model: what is kept in the end.
    """

    n_views: ClassVar[int] = 1
    """Random views of each galaxy that ``loss`` takes."""
    n_validation_views: ClassVar[int] = 0
    """Random views that ``validation_sums`` takes beside the plain one; the same every epoch."""
    keeps: ClassVar[Literal["best", "last"]] = "best"
    """Which epoch's weights are kept: of the lowest validation loss, or the last ones."""

    def __init__(self, model: GalaxyEncoder) -> None:
        """Train the given model."""
        super().__init__()
        self.model = model

    @abstractmethod
    def loss(
        self,
        views: Sequence[Float[Tensor, "galaxy band y x"]],
        labels: Float[Tensor, "galaxy label"],
    ) -> Float[Tensor, ""]:
        """The scalar to minimise."""

    @abstractmethod
    def validation_sums(
        self,
        plain: Float[Tensor, "galaxy band y x"],
        views: Sequence[Float[Tensor, "galaxy band y x"]],
        labels: Float[Tensor, "galaxy label"],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Loss and what it is to be divided by, to be added up over batches."""

    def before_step(self, step: int, n_steps: int) -> None:
        """Called before the loss of each step, which counts from 0 over the whole run."""

    def after_step(self, step: int, n_steps: int) -> None:
        """Called when the optimiser has taken the step: the place of a moving average."""

    def reset_monitors(self) -> None:
        """Called before each epoch's validation."""

    def monitors(self) -> dict[str, float]:
        """What else a person should watch, measured on the validation galaxies."""
        return {}

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """For the optimiser; matrices and kernels are decayed, biases and scales are not.

        A group's ``learning_rate_share``, 1 unless given, multiplies the learning rate.
        """
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
