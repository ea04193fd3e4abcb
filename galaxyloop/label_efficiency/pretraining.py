"""An arm's encoder, made once for all its cells."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack, cast

import numpy as np
import pandas as pd
import torch
from torch import nn

from galaxyloop.augment import plain_views
from galaxyloop.checkpoint import CheckpointRecords, save_checkpoint
from galaxyloop.devices import repeatable
from galaxyloop.errors import ConfigError, UnknownNameError
from galaxyloop.finetuning.published import save_published
from galaxyloop.label_efficiency.config import ArmConfig
from galaxyloop.label_efficiency.data import LabelSet, StudyData
from galaxyloop.models import GalaxyEncoder
from galaxyloop.random_streams import seeded
from galaxyloop.storage import file_digest
from galaxyloop.training.config import PretrainingRun
from galaxyloop.training.data import Cutouts, LabelledCutouts, select_images
from galaxyloop.training.pretraining import pretrain_byol, pretrain_hybrid, pretrain_supervised
from galaxyloop.training.running import RunHooks
from galaxyloop.training.starting import new_encoder

_GALAXIES_PER_BATCH = 256
PRETRAINING_CODE = 1
"""Raised when the code makes other encoders from the same settings and galaxies."""


def pretrain_arm(
    arm: ArmConfig,
    data: StudyData,
    directory: Path,
    start: Path | None = None,
    **hooks: Unpack[RunHooks],
) -> Path:
    """Make an arm's encoder from training galaxies, or read it, and write its checkpoint.

    Args:
        arm: what it is trained on, and how.
        data: splits and votes.
        directory: of the checkpoint.
        start: checkpoint that ``arm.start`` names.
        **hooks: see ``RunHooks``.

    Returns:
        The directory.

    Raises:
        ConfigError: the arm has no encoder of its own, or its start is not given.
        PretrainedWeightsError: published weights cannot be read.
        UnknownNameError: the study has no such label set.
        TrainingDivergedError: a loss is not finite.
    """
    if not arm.has_checkpoint or bool(arm.start) != (start is not None):
        raise ConfigError(
            f"arm '{arm.name}' with pretraining '{arm.pretraining}' and start '{arm.start}' cannot "
            f"be pretrained from {start}; give the checkpoint of its start, or none"
        )
    if arm.pretraining == "random":
        return make_random_encoder(data.cutouts, data.splits, arm.run, directory)
    if arm.pretraining == "published":
        image_size_px = data.cutouts.read(np.zeros(1, np.int64)).shape[1]
        save_published(arm.finetune, image_size_px, directory)
        return directory
    if arm.pretraining == "byol":
        return pretrain_byol(data.cutouts, data.splits, arm.byol, directory, start=start, **hooks)
    votes = label_set_of(arm, data.label_sets)
    inputs = data.cutouts, votes.votes, data.splits, votes.tree
    if arm.pretraining == "votes":
        return pretrain_supervised(*inputs, arm.supervised, directory, **hooks)
    return pretrain_hybrid(*inputs, arm.hybrid, directory, start=start, **hooks)


def make_random_encoder(
    cutouts: Cutouts, splits: pd.DataFrame, run: PretrainingRun, directory: Path
) -> Path:
    """Write an encoder of first weights whose normalisations know the training images.

    Without that, batch normalisations in evaluation mode would take every feature to have mean 0
    and spread 1.

    Args:
        cutouts: uint8 images of one size.
        splits: ``id_str`` and ``split``.
        run: names the encoder; its seed draws the weights.
        directory: of the checkpoint.
    """
    galaxies = select_images(cutouts, splits, "train")
    with repeatable(run.training.n_threads):
        model = new_encoder(galaxies, run)
        with seeded(run.training.seed):
            _settle_normalisations(model, galaxies)
    return save_checkpoint(model, directory, CheckpointRecords(run.to_dict()))


def label_set_of(arm: ArmConfig, label_sets: Mapping[str, LabelSet]) -> LabelSet:
    """The votes that an arm is pretrained on.

    Raises:
        UnknownNameError: there are none of that name.
    """
    if arm.label_set not in label_sets:
        raise UnknownNameError("label set", arm.label_set, label_sets)
    return label_sets[arm.label_set]


def pretraining_key(arm: ArmConfig, data: StudyData, start_digest: str = "") -> str:
    """A digest of all that decides an arm's encoder beside the machine.

    Args:
        arm: the arm; its name, kinds and finetuning do not count.
        data: of the study.
        start_digest: of the checkpoint that ``arm.start`` names.
    """
    content: list[Any] = [PRETRAINING_CODE, arm.pretraining, arm.run.to_dict(), start_digest]
    if arm.finetune.weights:
        content.append(file_digest(Path(arm.finetune.weights)))
    if arm.pretraining == "published":
        content.append(arm.finetune.to_dict())
    for split in ("train", "validation"):
        content.append(select_images(data.cutouts, data.splits, split).digest())
    if arm.label_set:
        votes = label_set_of(arm, data.label_sets)
        table = votes.votes.sort_values("id_str")[["id_str", *votes.tree.columns]]
        content += [votes.tree.to_json(), table.to_csv(index=False)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def with_threads(arm: ArmConfig, n_threads: int | None) -> ArmConfig:
    """The same arm, pretrained on that many threads."""
    name = {"byol": "byol", "hybrid": "hybrid"}.get(arm.pretraining, "supervised")
    run = replace(arm.run, training=replace(arm.run.training, n_threads=n_threads))
    return replace(arm, **cast(dict[str, Any], {name: run}))


@torch.no_grad()
def _settle_normalisations(model: GalaxyEncoder, galaxies: LabelledCutouts) -> None:
    """Give batch normalisations the mean statistics of all batches."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]  # noqa: SLF001
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    model.train()
    order = np.random.default_rng(0).permutation(len(galaxies))
    for rows in np.array_split(order, max(1, len(order) // _GALAXIES_PER_BATCH)):
        model.features(plain_views(galaxies.read(np.sort(rows)).images))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
