"""Checkpoints: a model's weights and description in a directory, read as untrusted input."""

import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import safetensors
import safetensors.torch
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from galaxyloop.config import StrictConfig, require
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.encoders import Encoder, build_encoder
from galaxyloop.errors import CheckpointError, ConfigError, DecisionTreeError, UnknownNameError
from galaxyloop.heads import VoteHead
from galaxyloop.storage import whole_directory

CHECKPOINT_FORMAT = "galaxyloop-checkpoint-1"
WEIGHTS, CONFIG, LOG, ENVIRONMENT = (
    "weights.safetensors",
    "config.json",
    "log.parquet",
    "environment.json",
)
_MAX_CONFIG_BYTES = 4_000_000


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
        require(min(self.std) > 0, f"std must be > 0 in every band, got {self.std}")


class GalaxyModel(nn.Module):
    """An encoder and a head for one decision tree: images in, concentrations out.

    Attributes:
        encoder: images to features.
        head: features to concentrations.
        tree: the questions; its columns are the order of the answers.
        image_size_px: side of the images the model was trained on.
        normalisation: applied inside, so that callers pass plain images.
    """

    def __init__(
        self,
        encoder: Encoder,
        head: VoteHead,
        tree: DecisionTree,
        image_size_px: int,
        normalisation: Normalisation,
    ) -> None:
        """Put the parts together."""
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.tree = tree
        self.image_size_px = image_size_px
        self.normalisation = normalisation
        self._mean: Tensor
        self._std: Tensor
        shape = (1, -1, 1, 1)
        mean, std = torch.tensor(normalisation.mean), torch.tensor(normalisation.std)
        self.register_buffer("_mean", mean.view(shape), persistent=False)
        self.register_buffer("_std", std.view(shape), persistent=False)

    def features(
        self, images: Float[Tensor, "galaxy band y x"] | UInt8[Tensor, "galaxy band y x"]
    ) -> Float[Tensor, "galaxy feature"]:
        """The encoder's features of images: uint8, or float in [0, 1]."""
        if images.dtype == torch.uint8:
            images = images.float() / 255
        features: Tensor = self.encoder((images - self._mean) / self._std)
        return features

    def forward(
        self, images: Float[Tensor, "galaxy band y x"] | UInt8[Tensor, "galaxy band y x"]
    ) -> Float[Tensor, "galaxy answer"]:
        """Concentrations of every answer."""
        concentrations: Tensor = self.head(self.features(images))
        return concentrations


@dataclass(frozen=True)
class CheckpointRecords:
    """What is stored beside the weights: how the model came to be."""

    run: dict[str, Any] = field(default_factory=dict)
    """The run's config as plain values; part of the digest."""
    data: dict[str, Any] = field(default_factory=dict)
    """Digests and numbers of the training data; part of the digest."""
    log: pd.DataFrame = field(default_factory=pd.DataFrame)
    """One row an epoch."""
    environment: dict[str, Any] = field(default_factory=dict)
    """Versions, device and precision."""


def save_checkpoint(model: GalaxyModel, directory: Path, records: CheckpointRecords) -> Path:
    """Write a checkpoint; the directory appears complete or not at all.

    Raises:
        CheckpointError: the directory holds something already.
    """
    if directory.exists() and any(directory.iterdir()):
        raise CheckpointError(f"{directory} is not empty; give a new directory")
    with whole_directory(directory) as draft:
        _write_files(model, draft, records)
    return directory


def load_checkpoint(directory: Path) -> GalaxyModel:
    """Read a checkpoint's model, in evaluation mode, on the CPU.

    Nothing in the files is executed, and nothing is fetched: the weights are safetensors, and
    the encoder must be a name that is known on this machine.

    Raises:
        CheckpointError: a file is missing or damaged, or the weights do not fit the config.
    """
    config = load_checkpoint_config(directory)
    try:
        model = _model_from_config(config)
    except (ConfigError, DecisionTreeError, UnknownNameError, KeyError, TypeError, ValueError) as e:
        raise CheckpointError(
            f"{directory / CONFIG} does not describe a model: {type(e).__name__}: {e}"
        ) from e
    _load_weights(model, directory / WEIGHTS)
    return model.eval()


def check_size(model: GalaxyModel, image_size_px: int) -> None:
    """Refuse cutouts of another size than the model's.

    Raises:
        CheckpointError: the model was trained on cutouts of another size.
    """
    if image_size_px != model.image_size_px:
        raise CheckpointError(
            f"the model was trained on cutouts of {model.image_size_px} px, these have "
            f"{image_size_px} px; set image_size_px={model.image_size_px} in CutoutConfig"
        )


def load_checkpoint_config(directory: Path) -> dict[str, Any]:
    """Read a checkpoint's description without its weights.

    Raises:
        CheckpointError: it is missing, too large, not JSON, or of another format.
    """
    path = directory / CONFIG
    if not path.is_file():
        raise CheckpointError(f"{directory} is no checkpoint: {CONFIG} is missing")
    if path.stat().st_size > _MAX_CONFIG_BYTES:
        raise CheckpointError(
            f"{path} has {path.stat().st_size} bytes, more than the {_MAX_CONFIG_BYTES} allowed"
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not JSON: {error}") from error
    found = config.get("format") if isinstance(config, dict) else None
    if not isinstance(config, dict) or found != CHECKPOINT_FORMAT:
        raise CheckpointError(
            f"{path} must have the format '{CHECKPOINT_FORMAT}', got {found!r}; "
            "write it with save_checkpoint"
        )
    return config


def load_checkpoint_tree(directory: Path) -> DecisionTree:
    """The decision tree a checkpoint answers, without its weights."""
    return DecisionTree.from_json(json.dumps(load_checkpoint_config(directory)["tree"]))


def checkpoint_digest(directory: Path) -> str:
    """SHA-256 of weights and config: what a model is called everywhere else.

    Raises:
        CheckpointError: one of the two files is missing.
    """
    digest = hashlib.sha256()
    for name in (WEIGHTS, CONFIG):
        path = directory / name
        if not path.is_file():
            raise CheckpointError(f"{directory} is no checkpoint: {name} is missing")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _write_files(model: GalaxyModel, directory: Path, records: CheckpointRecords) -> None:
    """The four files of a checkpoint."""
    weights = {
        name: weight.detach().cpu().contiguous().clone()
        for name, weight in model.state_dict().items()
    }
    safetensors.torch.save_file(weights, directory / WEIGHTS)
    config = {
        "format": CHECKPOINT_FORMAT,
        "encoder": model.encoder.name,
        "tree": json.loads(model.tree.to_json()),
        "image_size_px": model.image_size_px,
        "normalisation": model.normalisation.to_dict(),
        "dropout_rate": model.head.dropout_rate,
        "run": records.run,
        "data": records.data,
    }
    (directory / CONFIG).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    environment = json.dumps(records.environment, indent=1, sort_keys=True)
    (directory / ENVIRONMENT).write_text(environment + "\n")
    records.log.to_parquet(directory / LOG, index=False)


def _model_from_config(config: dict[str, Any]) -> GalaxyModel:
    """An empty model of the described shape."""
    name, size = config["encoder"], config["image_size_px"]
    is_local = isinstance(name, str) and ":" not in name
    require(is_local, f"encoder must be a name without an address, got {name!r}")
    require(isinstance(size, int) and 8 <= size <= 4096, f"image_size_px is {size!r}")
    tree = DecisionTree.from_json(json.dumps(config["tree"]))
    normalisation = Normalisation.from_dict(config["normalisation"])
    # The weights come from the checkpoint, so that a published encoder is rebuilt offline.
    encoder = build_encoder(name)
    head = VoteHead(encoder.n_features, len(tree.columns), float(config["dropout_rate"]))
    return GalaxyModel(encoder, head, tree, size, normalisation)


def _load_weights(model: GalaxyModel, path: Path) -> None:
    """Fill the model from a file whose names, shapes and types must all fit."""
    try:
        weights = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read as safetensors: {error}") from error
    wanted = model.state_dict()
    if odd := sorted(wanted.keys() ^ weights.keys()):
        raise CheckpointError(
            f"{path} does not fit {CONFIG}: {len(odd)} weights are missing or too many, "
            f"first {odd[:3]}"
        )
    for name, weight in weights.items():
        like = wanted[name]
        if weight.shape != like.shape or weight.dtype != like.dtype:
            raise CheckpointError(
                f"{path}: '{name}' must be {like.dtype} {tuple(like.shape)}, "
                f"got {weight.dtype} {tuple(weight.shape)}"
            )
        if weight.is_floating_point() and not bool(weight.isfinite().all()):
            raise CheckpointError(f"{path}: '{name}' has values that are not finite")
    model.load_state_dict(weights)
