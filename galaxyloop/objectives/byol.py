"""BYOL: two views of a galaxy must predict one another; no labels, no negatives."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from galaxyloop.config import StrictConfig, require
from galaxyloop.models import GalaxyEncoder
from galaxyloop.objectives.collapse import CollapseMonitor
from galaxyloop.objectives.objective import Objective
from galaxyloop.processes import n_processes, part_of_mean
from galaxyloop.random_streams import seeded

_NETWORKS_STREAM = 3


@dataclass(frozen=True)
class ByolConfig(StrictConfig):
    """Bootstrap your own latent (Grill et al. 2020, arXiv:2006.07733).

    Where the defaults differ from that paper they are those of Walmsley et al. (2022,
    arXiv:2206.11927) for galaxies.
    """

    hidden_size: int = 1024
    """Width of the hidden layer of projector and predictor; the paper's is 4096."""
    projection_size: int = 256
    """Length of a projection."""
    base_decay: float = 0.99
    """Share of the target that stays at the first step; it rises to 1 along half a cosine.
    The paper's is 0.996."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("hidden_size", "projection_size"):
            require(getattr(self, name) >= 1, f"{name} must be >= 1, got {getattr(self, name)}")
        require(0 <= self.base_decay <= 1, f"base_decay must be in [0, 1], got {self.base_decay}")


class ByolObjective(Objective):
    """The online network predicts the target network's projection of the other view.

    Each network sees each view in a pass of its own. In training the target normalises by its own
    batch's statistics, as in the paper; its running statistics follow its own activations, are
    used in validation only, and are not averaged with the online network's. Dropout inside an
    encoder, if it has any, is on in both networks.

    Attributes:
        projector: of the online network.
        predictor: of the online network.
        target_encoder: a moving average of the encoder, without gradient.
        target_projector: a moving average of the projector, without gradient.
    """

    n_views = 2
    n_validation_views = 2
    keeps: ClassVar[Literal["best", "last"]] = "last"

    def __init__(self, model: GalaxyEncoder, config: ByolConfig, seed: int = 0) -> None:
        """Add the networks; the target starts as a copy of the online one.

        Args:
            model: its encoder is trained.
            config: sizes and the moving average.
            seed: of the first weights of projector and predictor.
        """
        super().__init__(model)
        self.config = config
        sizes = config.hidden_size, config.projection_size
        with seeded(seed, _NETWORKS_STREAM):
            self.projector = _perceptron(model.encoder.n_features, *sizes)
            self.predictor = _perceptron(config.projection_size, *sizes)
        self.target_encoder = copy.deepcopy(model.encoder).requires_grad_(False)
        self.target_projector = copy.deepcopy(self.projector).requires_grad_(False)
        self._monitor = CollapseMonitor()

    def loss(
        self,
        views: Sequence[Float[Tensor, "galaxy band y x"]],
        labels: Float[Tensor, "galaxy label"],
    ) -> Float[Tensor, ""]:
        """Mean over both directions of the squared distance of unit vectors, from 0 to 4.

        The paper adds the directions; the mean keeps the scale that ``votes_weight`` refers to.
        """
        return part_of_mean(self.contrastive_loss(*self.look_at(views)), len(labels))

    def look_at(
        self, views: Sequence[Float[Tensor, "galaxy band y x"]]
    ) -> tuple[list[Float[Tensor, "galaxy feature"]], list[Float[Tensor, "galaxy band y x"]]]:
        """The online features of each view, and the views normalised, once for both networks.

        Raises:
            ConfigError: a training batch holds one galaxy, which has no spread to normalise by.
        """
        n_galaxies = len(views[0])
        require(
            n_galaxies > 1 or not self.training,
            f"a step must have >= 2 galaxies for batch normalisation, got {n_galaxies}; "
            f"set batch_size to {3 * n_processes()} or more",
        )
        normalised = [self.model.normalise(view) for view in views]
        return [self.model.encoder(view) for view in normalised], normalised

    def contrastive_loss(
        self,
        features: Sequence[Float[Tensor, "galaxy feature"]],
        normalised: Sequence[Float[Tensor, "galaxy band y x"]],
    ) -> Float[Tensor, ""]:
        """The loss from what ``look_at`` returns."""
        first, second = (self.predictor(self.projector(one)) for one in features)
        with torch.no_grad():
            targets = [self.target_projector(self.target_encoder(view)) for view in normalised]
        return (byol_loss(first, targets[1]) + byol_loss(second, targets[0])) / 2

    def validation_sums(
        self,
        plain: Float[Tensor, "galaxy band y x"],
        views: Sequence[Float[Tensor, "galaxy band y x"]],
        labels: Float[Tensor, "galaxy label"],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Loss times galaxies, and galaxies; plain views go to the monitor."""
        self._watch(plain)
        loss = self.contrastive_loss(*self.look_at(views))
        return loss * len(plain), torch.tensor(float(len(plain)))

    @torch.no_grad()
    def after_step(self, step: int, n_steps: int) -> None:
        """Move the target's weights by one step of their moving average."""
        share = 1 - decay_at(step, n_steps, self.config.base_decay)
        target: list[Tensor] = [
            *self.target_encoder.parameters(),
            *self.target_projector.parameters(),
        ]
        online: list[Tensor] = [*self.model.encoder.parameters(), *self.projector.parameters()]
        torch._foreach_lerp_(target, online, share)  # noqa: SLF001 - torch's own way to do it in one call

    def _watch(self, plain: Float[Tensor, "galaxy band y x"]) -> None:
        """Show the monitor plain views, in float32: rounding must not count as rank."""
        with torch.autocast(plain.device.type, enabled=False):
            self._monitor.add(self.model.features(plain))

    def reset_monitors(self) -> None:
        """Start the monitor anew."""
        self._monitor = CollapseMonitor()

    def monitors(self) -> dict[str, float]:
        """Spread and rank of the validation galaxies' representations."""
        return self._monitor.values()


def byol_loss(
    prediction: Float[Tensor, "galaxy projection"], target: Float[Tensor, "galaxy projection"]
) -> Float[Tensor, ""]:
    """Mean squared distance of the vectors scaled to length 1: 2 - 2 cos (eq. 2), in float32."""
    with torch.autocast(prediction.device.type, enabled=False):
        cosine = nn.functional.cosine_similarity(prediction.float(), target.float(), dim=1)
        return (2 - 2 * cosine).mean()


def decay_at(step: int, n_steps: int, base: float) -> float:
    """Share of the target that stays: from base up towards 1 along half a cosine (section 3.2).

    Args:
        step: counts from 0; the last one is ``n_steps - 1``, so that the target still moves then.
        n_steps: of the whole run.
        base: the share at step 0.
    """
    return 1 - (1 - base) * (math.cos(math.pi * step / n_steps) + 1) / 2


def _perceptron(n_in: int, n_hidden: int, n_out: int) -> nn.Sequential:
    """Linear, batch normalisation, ReLU, linear."""
    # No biases, as in the paper's own code; the projector's would be taken off again by the
    # predictor's normalisation.
    return nn.Sequential(
        nn.Linear(n_in, n_hidden, bias=False),
        nn.BatchNorm1d(n_hidden),
        nn.ReLU(),
        nn.Linear(n_hidden, n_out, bias=False),
    )
