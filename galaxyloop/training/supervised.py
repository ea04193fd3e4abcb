"""Pretraining on volunteers' votes."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np
import pandas as pd
import torch

from galaxyloop.checkpoint import (
    CheckpointRecords,
    GalaxyModel,
    Normalisation,
    save_checkpoint,
)
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.encoders import build_encoder
from galaxyloop.heads import VoteHead
from galaxyloop.objectives.votes import VotesObjective
from galaxyloop.random_streams import seeded
from galaxyloop.training.config import SupervisedRun
from galaxyloop.training.data import (
    Cutouts,
    LabelledCutouts,
    measure_normalisation,
    select_split,
)
from galaxyloop.training.environment import (
    choose_device,
    choose_precision,
    describe_environment,
    quiet_lightning,
    repeatable,
)
from galaxyloop.training.prior import fit_prior, start_at
from galaxyloop.training.state import RunState, is_finished, load_state, save_state

_WEIGHTS_STREAM = 0


class RunHooks(TypedDict, total=False):
    """What a caller may add to a run without changing its result."""

    state_directory: Path | None
    """Where the run's state is saved and looked for, so that it can be resumed."""
    on_epoch: Callable[[dict[str, float]], None] | None
    """Called with each row of the log as it is made."""


def pretrain_supervised(
    cutouts: Cutouts,
    votes: pd.DataFrame,
    splits: pd.DataFrame,
    tree: DecisionTree,
    run: SupervisedRun,
    directory: Path,
    **hooks: Unpack[RunHooks],
) -> Path:
    """Train an encoder and a vote head from the votes of the split ``train``.

    The weights of the epoch with the lowest loss on the split ``validation`` are written. The
    same data, config, machine, build and number of threads give the same bytes, also when the
    run is cut short and started again with the same ``state_directory``.

    Args:
        cutouts: uint8 images of one size.
        votes: ``id_str`` and one column for every answer of the tree, 0 where nobody answered.
        splits: ``id_str`` and ``split``.
        tree: the questions; several campaigns make one tree with ``combine_trees``.
        run: everything else that decides the result.
        directory: of the checkpoint; it appears when it is complete.
        **hooks: ``state_directory`` to be resumable, ``on_epoch`` for live figures.

    Returns:
        The checkpoint's directory.

    Raises:
        TrainingDivergedError: a loss is not finite.
        NoTrainingDataError: no galaxy of a split has a cutout and votes.
        VoteTableError: the votes lack an answer of the tree.
        CheckpointError: the directory is not empty, or the state is another run's.
    """
    train = select_split(cutouts, votes, splits, tree, "train")
    validation = select_split(cutouts, votes, splits, tree, "validation")
    data = _describe_data(train, validation)
    fingerprint = _digest({"run": run.to_dict(), "data": data, "tree": tree.to_json()})
    with repeatable(run.training):
        model = new_model(train, tree, run)
        state = load_state(hooks.get("state_directory"), fingerprint)
        environment = train_model(model, (train, validation), run, state, hooks)
    records = CheckpointRecords(run.to_dict(), data, pd.DataFrame(state.log), environment)
    return save_checkpoint(model, directory, records)


def new_model(galaxies: LabelledCutouts, tree: DecisionTree, run: SupervisedRun) -> GalaxyModel:
    """A model with first weights drawn from the seed and the data's normalisation."""
    with seeded(run.training.seed, _WEIGHTS_STREAM):
        encoder = build_encoder(run.encoder, run.pretrained)
        head = VoteHead(encoder.n_features, len(tree.columns), run.objective.dropout_rate)
    start_at(head, fit_prior(galaxies.votes, tree))
    normalisation = measure_normalisation(galaxies)
    if run.pretrained:
        published: Any = encoder.network.pretrained_cfg
        normalisation = Normalisation(list(published["mean"]), list(published["std"]))
    image_size_px = galaxies.read(np.zeros(1, dtype=np.int64)).images.shape[1]
    return GalaxyModel(encoder, head, tree, image_size_px, normalisation)


def train_model(
    model: GalaxyModel,
    galaxies: tuple[LabelledCutouts, LabelledCutouts],
    run: SupervisedRun,
    state: RunState,
    hooks: RunHooks,
) -> dict[str, Any]:
    """Take the steps that are left and put the best weights into the model.

    Returns:
        Versions, device and precision.
    """
    device = choose_device(run.training)
    precision = choose_precision(run.training, device)
    with quiet_lightning():
        from galaxyloop.training.callbacks import EpochBar, RunKeeper
        from galaxyloop.training.loop import TrainingLoop, fit

        objective = VotesObjective(model)
        if run.training.channels_last:
            objective.to(memory_format=torch.channels_last)
        if state.weights:
            objective.load_state_dict(state.weights)
        if not is_finished(state, run.training):
            directory = hooks.get("state_directory")
            save = None if directory is None else lambda now: save_state(now, directory)
            module = TrainingLoop(objective, *galaxies, (run.training, run.augment), state)
            keeper = RunKeeper(module, save, hooks.get("on_epoch"))
            fit(module, [keeper, EpochBar(module)], device, precision)
        if state.best_weights:
            objective.load_state_dict(state.best_weights)
    return describe_environment(device, precision)


def _describe_data(train: LabelledCutouts, validation: LabelledCutouts) -> dict[str, Any]:
    """Numbers and digests of what is trained on; the newest of two shards is the last."""
    shards = getattr(train.cutouts, "shards", ())
    return {
        "cutouts_digest": _digest({"shards": [shard.digest for shard in shards]}),
        "n_train": len(train),
        "n_validation": len(validation),
        "train_digest": train.digest(),
        "validation_digest": validation.digest(),
    }


def _digest(values: dict[str, Any]) -> str:
    """SHA-256 of plain values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
