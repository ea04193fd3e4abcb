"""Checkpoints: a model's weights and description in a directory, read as untrusted input."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import safetensors
import safetensors.torch
from torch import Tensor

from galaxyloop.config import require
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.encoders import build_encoder
from galaxyloop.errors import CheckpointError, ConfigError, DecisionTreeError, UnknownNameError
from galaxyloop.feature_reference import FeatureReference
from galaxyloop.heads import VoteHead
from galaxyloop.models import GalaxyEncoder, GalaxyModel, Normalisation
from galaxyloop.storage import whole_directory

M = TypeVar("M", bound=GalaxyEncoder)

CHECKPOINT_FORMAT = "galaxyloop-checkpoint-1"
WEIGHTS, CONFIG, LOG, ENVIRONMENT = (
    "weights.safetensors",
    "config.json",
    "log.parquet",
    "environment.json",
)
_MAX_CONFIG_BYTES = 4_000_000


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


def save_checkpoint(model: GalaxyEncoder, directory: Path, records: CheckpointRecords) -> Path:
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
    """Read a model that answers a decision tree, in evaluation mode, on the CPU.

    Nothing in the files is executed, and nothing is fetched: the weights are safetensors, and
    the encoder must be a name that is known on this machine.

    Raises:
        CheckpointError: a file is missing or damaged, the weights do not fit the config, or it
            is a checkpoint of another kind.
    """
    model = load_model(directory, GalaxyModel.kind, _vote_model)
    if not model.reference.is_sound():
        raise CheckpointError(
            f"{directory / WEIGHTS}: the reference's variances and unit must be above 0; train "
            "again to fit them"
        )
    return model


def load_encoder(directory: Path) -> GalaxyEncoder:
    """Read the encoder of a checkpoint of any kind, in evaluation mode, on the CPU.

    Raises:
        CheckpointError: as for ``load_checkpoint``.
    """
    model = _empty_model(directory, load_checkpoint_config(directory), build_encoder_model)
    weights = _read_weights(directory / WEIGHTS)
    own = {name: weight for name, weight in weights.items() if name.startswith("encoder.")}
    _fill_model(model, own, directory / WEIGHTS)
    return model.eval()


def load_model(directory: Path, kind: str, build: Callable[[dict[str, Any]], M]) -> M:
    """Read a checkpoint of one kind, in evaluation mode, on the CPU.

    Args:
        directory: the checkpoint.
        kind: what its description must say.
        build: makes the empty model from the description.

    Raises:
        CheckpointError: as for ``load_checkpoint``.
    """
    config = load_checkpoint_config(directory)
    found = config.get("kind", GalaxyModel.kind)
    if found != kind:
        raise CheckpointError(
            f"{directory} holds a model of kind '{found}', needed is '{kind}'; only its encoder "
            "can be used here, by finetuning it"
        )
    model = _empty_model(directory, config, build)
    _fill_model(model, _read_weights(directory / WEIGHTS), directory / WEIGHTS)
    return model.eval()


def build_encoder_model(config: dict[str, Any]) -> GalaxyEncoder:
    """An empty encoder of the described shape.

    Raises:
        ConfigError: the description is not one of an encoder.
    """
    name, size = config["encoder"], config["image_size_px"]
    is_local = isinstance(name, str) and ":" not in name
    require(is_local, f"encoder must be a name without an address, got {name!r}")
    is_size = isinstance(size, int) and not isinstance(size, bool) and 8 <= size <= 4096
    require(is_size, f"image_size_px must be a whole number from 8 to 4096, got {size!r}")
    normalisation = Normalisation.from_dict(config["normalisation"])
    # The weights come from the checkpoint, so that a published encoder is rebuilt offline.
    return GalaxyEncoder(build_encoder(name), size, normalisation)


def check_size(model: GalaxyEncoder, image_size_px: int) -> None:
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
    """The decision tree a checkpoint answers, without its weights.

    Raises:
        CheckpointError: it is no checkpoint, or its model answers no tree.
    """
    config = load_checkpoint_config(directory)
    if "tree" not in config:
        raise CheckpointError(
            f"{directory} holds a model of kind '{config.get('kind')}', which answers no decision "
            "tree; pretrain or finetune it on votes first"
        )
    try:
        return DecisionTree.from_json(json.dumps(config["tree"]))
    except (DecisionTreeError, KeyError, TypeError, ValueError) as e:
        raise CheckpointError(
            f"{directory / CONFIG} does not describe a decision tree: {type(e).__name__}: {e}"
        ) from e


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


def check_digest(directory: Path, expected: str) -> None:
    """Refuse a checkpoint whose weights or config are not those of a digest.

    Raises:
        CheckpointError: they are not, or one of the two files is missing.
    """
    found = checkpoint_digest(directory)
    if found != expected:
        raise CheckpointError(
            f"{directory} should have the digest {expected}, but weights and config have {found}; "
            "they were changed: fetch or register the checkpoint again"
        )


def _write_files(model: GalaxyEncoder, directory: Path, records: CheckpointRecords) -> None:
    """The four files of a checkpoint."""
    weights = {
        name: weight.detach().cpu().contiguous().clone()
        for name, weight in model.state_dict().items()
    }
    safetensors.torch.save_file(weights, directory / WEIGHTS)
    config = {
        "format": CHECKPOINT_FORMAT,
        **model.describe(),
        "run": records.run,
        "data": records.data,
    }
    (directory / CONFIG).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    environment = json.dumps(records.environment, indent=1, sort_keys=True)
    (directory / ENVIRONMENT).write_text(environment + "\n")
    records.log.to_parquet(directory / LOG, index=False)


def _vote_model(config: dict[str, Any]) -> GalaxyModel:
    """An empty model with a vote head; without a reference if it was trained before there were."""
    base = build_encoder_model(config)
    tree = DecisionTree.from_json(json.dumps(config["tree"]))
    head = VoteHead(base.encoder.n_features, len(tree.columns), float(config["dropout_rate"]))
    model = GalaxyModel(base.encoder, head, tree, base.image_size_px, base.normalisation)
    if "reference_axes" in config:
        n_axes = config["reference_axes"]
        is_number = isinstance(n_axes, int) and not isinstance(n_axes, bool)
        require(is_number, f"reference_axes must be a whole number, got {n_axes!r}")
        model.reference = FeatureReference(base.encoder.n_features, n_axes)
    model.set_temperatures(dict(config.get("temperatures", {})))
    return model


def _empty_model(
    directory: Path, config: dict[str, Any], build: Callable[[dict[str, Any]], M]
) -> M:
    """The model without its weights."""
    try:
        return build(config)
    except (ConfigError, DecisionTreeError, UnknownNameError, KeyError, TypeError, ValueError) as e:
        raise CheckpointError(
            f"{directory / CONFIG} does not describe a model: {type(e).__name__}: {e}"
        ) from e


def _read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file; nothing in it is executed."""
    try:
        return dict(safetensors.torch.load_file(path))
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read as safetensors: {error}") from error


def _fill_model(model: GalaxyEncoder, weights: dict[str, Tensor], path: Path) -> None:
    """Put weights into a model; names, shapes and types must all fit."""
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
