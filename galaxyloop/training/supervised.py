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
from galaxyloop.config import require
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.devices import choose_device, repeatable
from galaxyloop.encoders import N_BANDS, build_encoder
from galaxyloop.heads import VoteHead
from galaxyloop.objectives import find_objective
from galaxyloop.random_streams import seeded
from galaxyloop.training.config import SupervisedRun
from galaxyloop.training.data import (
    Cutouts,
    LabelledCutouts,
    check_campaigns,
    measure_normalisation,
    select_split,
)
from galaxyloop.training.environment import (
    choose_precision,
    describe_environment,
    quiet_lightning,
)
from galaxyloop.training.prior import fit_prior, start_at
from galaxyloop.training.state import RunState, is_finished, load_state, save_state

_WEIGHTS_STREAM = 0


class RunHooks(TypedDict, total=False):
    """What a caller may add to a run without changing its result."""

    state_directory: Path | None
    """Where the run's state is saved and looked for, so that it can be resumed."""
    on_saved: Callable[[Path], None] | None
    """Called with the file of the state each time it is saved."""
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

    The weights with the lowest loss on the split ``validation`` are written. Labelled galaxies,
    config, machine, build and threads fix every byte, interrupted or not.

    Args:
        cutouts: uint8 images of one size.
        votes: ``id_str`` and the tree's answers, 0 where nobody answered.
        splits: ``id_str`` and ``split``.
        tree: the questions; several campaigns make one tree with ``combine_trees``.
        run: everything else that decides the result.
        directory: of the checkpoint; it appears when it is complete, and is returned.
        **hooks: see ``RunHooks``.

    Raises:
        TrainingDivergedError: a loss is not finite.
        NoTrainingDataError: a split, or a campaign in ``train``, has no cutouts with votes.
        VoteTableError: the votes lack an answer of the tree.
        CheckpointError: the directory is in use, or the state is another run's.
        ConfigError: the encoder does not take images of this size.
    """
    train = select_split(cutouts, votes, splits, tree, "train")
    check_campaigns(train, tree)
    validation = select_split(cutouts, votes, splits, tree, "validation")
    data = _describe_data(train, validation)
    with repeatable(run.training.n_threads):
        model = new_model(train, tree, run)
        state = load_state(hooks.get("state_directory"), _fingerprint(run, data, tree))
        environment = train_model(model, (train, validation), run, state, hooks)
    records = CheckpointRecords(run.to_dict(), data, pd.DataFrame(state.log), environment)
    return save_checkpoint(model, directory, records)


def new_model(galaxies: LabelledCutouts, tree: DecisionTree, run: SupervisedRun) -> GalaxyModel:
    """A model with first weights drawn from the seed and the data's normalisation.

    Raises:
        ConfigError: the encoder does not take images of this size.
    """
    with seeded(run.training.seed, _WEIGHTS_STREAM):
        encoder = build_encoder(run.encoder, run.pretrained)
        head = VoteHead(encoder.n_features, len(tree.columns), run.objective.dropout_rate)
    start_at(head, fit_prior(galaxies.votes, tree))
    normalisation = measure_normalisation(galaxies)
    if run.pretrained:
        published: Any = encoder.network.pretrained_cfg
        normalisation = Normalisation(list(published["mean"]), list(published["std"]))
    image_size_px = galaxies.read(np.zeros(1, dtype=np.int64)).images.shape[1]
    model = GalaxyModel(encoder, head, tree, image_size_px, normalisation)
    _check_takes_images(model)
    return model


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
    device = choose_device(run.training.device)
    precision = choose_precision(run.training, device)
    with quiet_lightning():
        from galaxyloop.training.callbacks import EpochBar, RunKeeper
        from galaxyloop.training.loop import TrainingLoop, fit

        objective = find_objective(run.objective_name)(model)
        if run.training.channels_last:
            objective.to(memory_format=torch.channels_last)
        if state.weights:
            objective.load_state_dict(state.weights)
        if not is_finished(state, run.training):
            module = TrainingLoop(objective, *galaxies, (run.training, run.augment), state)
            keeper = RunKeeper(module, _saver(hooks), hooks.get("on_epoch"))
            fit(module, [keeper, EpochBar(module)], device, precision)
        if state.best_weights:
            objective.load_state_dict(state.best_weights)
    return describe_environment(device, precision)


def _saver(hooks: RunHooks) -> Callable[[RunState], None] | None:
    """What saves a state and tells the caller; None where nobody asked for states."""
    directory, on_saved = hooks.get("state_directory"), hooks.get("on_saved")
    if directory is None:
        return None

    def save(state: RunState) -> None:
        path = save_state(state, directory)
        if on_saved is not None:
            on_saved(path)

    return save


@torch.no_grad()
def _check_takes_images(model: GalaxyModel) -> None:
    """Run one black image through, so that what does not fit is said before anything is read."""
    side = model.image_size_px
    model.eval()
    problem = ""
    try:
        model(torch.zeros(1, N_BANDS, side, side))
    except (AssertionError, RuntimeError, ValueError) as error:
        problem = str(error).strip() or type(error).__name__
    model.train()
    require(
        not problem,
        f"encoder '{model.encoder.name}' does not take images of {side} x {side} px: {problem}; "
        "choose an encoder for that size, or set image_size_px in CutoutConfig to its size",
    )


def _describe_data(train: LabelledCutouts, validation: LabelledCutouts) -> dict[str, Any]:
    """Numbers and digests of what is trained on, and of nothing else."""
    return {
        "n_train": len(train),
        "n_validation": len(validation),
        "train_digest": train.digest(),
        "validation_digest": validation.digest(),
    }


def _fingerprint(run: SupervisedRun, data: dict[str, Any], tree: DecisionTree) -> str:
    """SHA-256 of all that decides a training."""
    values = {"run": run.to_dict(), "data": data, "tree": tree.to_json()}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
