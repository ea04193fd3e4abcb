"""A finetuned model: an encoder and a head for one target."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from galaxyloop.checkpoint import build_encoder_model, load_model
from galaxyloop.config import require
from galaxyloop.encoders import Encoder
from galaxyloop.finetuning.targets import Target
from galaxyloop.models import GalaxyEncoder, Normalisation


class LabelHead(nn.Module):
    """One dropped-out linear layer from features to a target's outputs, always in float32."""

    def __init__(self, n_features: int, n_outputs: int, dropout_rate: float = 0.2) -> None:
        """Make the linear layer; its outputs start at 0 for every galaxy.

        Args:
            n_features: width of the encoder's output.
            n_outputs: of the target.
            dropout_rate: share of features dropped in training, in [0, 1).

        Raises:
            ConfigError: dropout_rate is outside [0, 1).
        """
        super().__init__()
        require(0 <= dropout_rate < 1, f"dropout_rate must be in [0, 1), got {dropout_rate}")
        self.dropout_rate = dropout_rate
        self.linear = nn.Linear(n_features, n_outputs)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Float[Tensor, "galaxy feature"]) -> Float[Tensor, "galaxy output"]:
        """Logits of classes, or a standardised value."""
        with torch.autocast(features.device.type, enabled=False):
            dropped = nn.functional.dropout(features.float(), self.dropout_rate, self.training)
            outputs: Tensor = self.linear(dropped)
            return outputs


class LabelModel(GalaxyEncoder):
    """An encoder and a head for one target: images in, raw outputs out.

    Attributes:
        head: features to outputs.
        target: what the outputs mean; ``target.predict`` makes probabilities or values of them.
    """

    kind = "labels"

    def __init__(
        self,
        encoder: Encoder,
        head: LabelHead,
        target: Target,
        image_size_px: int,
        normalisation: Normalisation,
    ) -> None:
        """Put the parts together."""
        super().__init__(encoder, image_size_px, normalisation)
        self.head = head
        self.target = target

    def forward(
        self, images: Float[Tensor, "galaxy band y x"] | UInt8[Tensor, "galaxy band y x"]
    ) -> Float[Tensor, "galaxy output"]:
        """Logits of classes, or a standardised value."""
        outputs: Tensor = self.head(self.features(images))
        return outputs

    def describe(self) -> dict[str, Any]:
        """As of the encoder, with the target and the head's dropout."""
        return {
            **super().describe(),
            "target": self.target.to_dict(),
            "dropout_rate": self.head.dropout_rate,
        }


def load_label_model(directory: Path) -> LabelModel:
    """Read a finetuned model, in evaluation mode, on the CPU.

    Raises:
        CheckpointError: a file is missing or damaged, the weights do not fit the config, or it
            is a checkpoint of another kind.
    """
    return load_model(directory, LabelModel.kind, _label_model)


def _label_model(config: dict[str, Any]) -> LabelModel:
    """An empty model of the described shape."""
    base = build_encoder_model(config)
    target = Target.from_dict(config["target"])
    head = LabelHead(base.encoder.n_features, target.n_outputs, float(config["dropout_rate"]))
    return LabelModel(base.encoder, head, target, base.image_size_px, base.normalisation)
