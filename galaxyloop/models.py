"""Models: an encoder with the preprocessing it was trained with, and what is put on top of it."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from galaxyloop.config import StrictConfig, require
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.encoders import Encoder
from galaxyloop.feature_reference import FeatureReference
from galaxyloop.heads import MAX_TEMPERATURE, MIN_TEMPERATURE, VoteHead


@dataclass(frozen=True)
class Normalisation(StrictConfig):
    """What is taken off each band and what it is divided by, on images scaled to [0, 1]."""

    mean: list[float] = field(default_factory=lambda: [0.5, 0.5, 0.5])
    """Mean of red, green and blue."""
    std: list[float] = field(default_factory=lambda: [0.25, 0.25, 0.25])
    """Standard deviation of red, green and blue; each > 0."""

    def __post_init__(self) -> None:
        """Three finite numbers each, no division by zero."""
        for name, values in (("mean", self.mean), ("std", self.std)):
            is_good = len(values) == 3 and all(math.isfinite(value) for value in values)
            require(is_good, f"{name} must be three finite numbers, got {values}")
        require(min(self.std) >= 1e-6, f"std must be >= 1e-6 in every band, got {self.std}")


class GalaxyEncoder(nn.Module):
    """An encoder and how images are normalised for it: images in, features out.

    Attributes:
        encoder: normalised images to features.
        image_size_px: side of the images the encoder was trained on.
        normalisation: applied inside, so that callers pass plain images.
    """

    kind: ClassVar[str] = "encoder"
    """What a checkpoint of it is called."""

    def __init__(self, encoder: Encoder, image_size_px: int, normalisation: Normalisation) -> None:
        """Put the parts together."""
        super().__init__()
        self.encoder = encoder
        self.image_size_px = image_size_px
        self.normalisation = normalisation
        self._mean: Tensor
        self._std: Tensor
        shape = (1, -1, 1, 1)
        mean, std = torch.tensor(normalisation.mean), torch.tensor(normalisation.std)
        self.register_buffer("_mean", mean.view(shape), persistent=False)
        self.register_buffer("_std", std.view(shape), persistent=False)

    def normalise(
        self, images: Float[Tensor, "galaxy band y x"] | UInt8[Tensor, "galaxy band y x"]
    ) -> Float[Tensor, "galaxy band y x"]:
        """Images, uint8 or float in [0, 1], as the encoder takes them."""
        if images.dtype == torch.uint8:
            images = images.float() / 255
        return (images - self._mean) / self._std

    def features(
        self, images: Float[Tensor, "galaxy band y x"] | UInt8[Tensor, "galaxy band y x"]
    ) -> Float[Tensor, "galaxy feature"]:
        """The encoder's features of images: uint8, or float in [0, 1]."""
        features: Tensor = self.encoder(self.normalise(images))
        return features

    def forward(
        self, images: Float[Tensor, "galaxy band y x"] | UInt8[Tensor, "galaxy band y x"]
    ) -> Float[Tensor, "galaxy output"]:
        """The features; a model with a head gives the head's outputs instead."""
        return self.features(images)

    def describe(self) -> dict[str, Any]:
        """Plain values from which an empty model of the same shape is built."""
        return {
            "kind": self.kind,
            "encoder": self.encoder.name,
            "image_size_px": self.image_size_px,
            "normalisation": self.normalisation.to_dict(),
        }


class GalaxyModel(GalaxyEncoder):
    """An encoder and a head for one decision tree: images in, concentrations out.

    Attributes:
        head: features to concentrations.
        tree: the questions; its columns are the order of the answers.
        reference: what the training galaxies look like to the encoder; not fitted before
            training has ended.
    """

    kind = "votes"

    def __init__(
        self,
        encoder: Encoder,
        head: VoteHead,
        tree: DecisionTree,
        image_size_px: int,
        normalisation: Normalisation,
    ) -> None:
        """Put the parts together."""
        super().__init__(encoder, image_size_px, normalisation)
        self.head = head
        self.tree = tree
        self.reference = FeatureReference()

    def forward(
        self, images: Float[Tensor, "galaxy band y x"] | UInt8[Tensor, "galaxy band y x"]
    ) -> Float[Tensor, "galaxy answer"]:
        """Concentrations of every answer."""
        concentrations: Tensor = self.head(self.features(images))
        return concentrations

    @property
    def temperatures(self) -> dict[str, float]:
        """What each question's concentrations are divided by; empty if none was calibrated."""
        of_answer = self.head.temperatures.tolist()
        found = {name: of_answer[part.start] for name, part in self.tree.slices.items()}
        return found if any(value != 1 for value in found.values()) else {}

    def set_temperatures(self, temperatures: Mapping[str, object]) -> None:
        """Divide each question's concentrations by its temperature from now on.

        Args:
            temperatures: of some questions; the others have 1.

        Raises:
            ConfigError: a question is unknown, or a temperature is out of range.
        """
        of_answer = torch.ones(len(self.tree.columns))
        for question, value in temperatures.items():
            require(question in self.tree.slices, f"temperatures has no question '{question}'")
            is_good = isinstance(value, float) and MIN_TEMPERATURE <= value <= MAX_TEMPERATURE
            require(
                is_good,
                f"temperatures must be in [{MIN_TEMPERATURE}, {MAX_TEMPERATURE}], got {value!r} "
                f"for '{question}'; calibrate again",
            )
            of_answer[self.tree.slices[question]] = cast(float, value)
        self.head.temperatures = of_answer.to(self.head.temperatures.device)

    def describe(self) -> dict[str, Any]:
        """As of the encoder, with the tree, and what head and reference have been given."""
        described = {
            **super().describe(),
            "tree": json.loads(self.tree.to_json()),
            "dropout_rate": self.head.dropout_rate,
        }
        if self.reference.is_fitted:
            described["reference_axes"] = self.reference.n_axes
        if self.temperatures:
            described["temperatures"] = self.temperatures
        return described
