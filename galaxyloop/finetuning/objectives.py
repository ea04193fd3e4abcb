"""Objectives of finetuning: labels, and the votes of a new decision tree."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from galaxyloop.finetuning.layers import layer_groups
from galaxyloop.finetuning.model import LabelModel
from galaxyloop.models import GalaxyModel
from galaxyloop.objectives.objective import Objective
from galaxyloop.objectives.votes import VotesObjective, VotesObjectiveConfig
from galaxyloop.processes import part_of_mean


class LabelsObjective(Objective):
    """Cross-entropy of classes [nats], or squared error of standardised values.

    Attributes:
        model: what is finetuned.
        class_weights: what a galaxy of each class counts in the loss; ones for values.
        layer_decay: factor of the learning rate from each layer to the one below.
    """

    model: LabelModel
    class_weights: Tensor

    def __init__(
        self, model: LabelModel, class_weights: Sequence[float] = (), layer_decay: float = 1.0
    ) -> None:
        """Train the given model; no class weights means that every galaxy counts the same."""
        super().__init__(model)
        self.layer_decay = layer_decay
        n_classes = max(len(model.target.classes), 1)
        weights = torch.tensor(list(class_weights) or [1.0] * n_classes)
        if len(weights) != n_classes:
            raise ValueError(
                f"class_weights must be one for each of {n_classes} classes, got {len(weights)}"
            )
        self.register_buffer("class_weights", weights, persistent=False)

    def loss(
        self,
        views: Sequence[Float[Tensor, "galaxy band y x"]],
        labels: Float[Tensor, "galaxy 1"],
    ) -> Float[Tensor, ""]:
        """Mean over galaxies of the weighted loss of one view each, in float32."""
        (view,) = views
        return part_of_mean(self._losses(view, labels).mean(), len(labels))

    def validation_sums(
        self,
        plain: Float[Tensor, "galaxy band y x"],
        views: Sequence[Float[Tensor, "galaxy band y x"]],
        labels: Float[Tensor, "galaxy 1"],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Weighted losses and number of galaxies, to be added up."""
        losses = self._losses(plain, labels)
        return losses.sum(), torch.tensor(float(len(losses)))

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """For the optimiser; see ``layer_groups``."""
        return layer_groups(self.model, weight_decay, self.layer_decay)

    def _losses(
        self, images: Float[Tensor, "galaxy band y x"], labels: Float[Tensor, "galaxy 1"]
    ) -> Float[Tensor, " galaxy"]:
        """Each galaxy's loss times its class's weight."""
        outputs = self.model(images)
        with torch.autocast(outputs.device.type, enabled=False):
            if not self.model.target.is_classification:
                errors: Tensor = outputs.float() - labels.float()
                return errors.square().squeeze(1)
            places = labels.squeeze(1).long()
            if outputs.shape[1] == 1:
                losses = nn.functional.binary_cross_entropy_with_logits(
                    outputs.float(), labels.float(), reduction="none"
                ).squeeze(1)
            else:
                losses = nn.functional.cross_entropy(outputs.float(), places, reduction="none")
            return losses * self.class_weights[places]


class FinetunedVotesObjective(VotesObjective):
    """The votes of a tree that the encoder was not trained on, its lower layers more slowly.

    Attributes:
        layer_decay: factor of the learning rate from each layer to the one below.
    """

    def __init__(
        self, model: GalaxyModel, config: VotesObjectiveConfig, layer_decay: float = 1.0
    ) -> None:
        """Train the given model."""
        super().__init__(model, config)
        self.layer_decay = layer_decay

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """For the optimiser; see ``layer_groups``."""
        return layer_groups(self.model, weight_decay, self.layer_decay)
