"""Pretraining an encoder: on volunteers' votes, on images alone, or on both."""

from pathlib import Path
from typing import Any, Unpack, cast

import pandas as pd

from galaxyloop.checkpoint import CheckpointRecords, checkpoint_digest, save_checkpoint
from galaxyloop.config import require
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.models import GalaxyEncoder
from galaxyloop.objectives import ByolObjective, HybridObjective, Objective, VotesObjective
from galaxyloop.processes import once
from galaxyloop.training.config import ByolRun, HybridRun, PretrainingRun, SupervisedRun
from galaxyloop.training.data import (
    Cutouts,
    LabelledCutouts,
    TrainingGalaxies,
    check_campaigns,
    describe_cutouts,
    select_images,
    select_split,
    select_with_votes,
)
from galaxyloop.training.mixing import MixedCutouts
from galaxyloop.training.reference import add_reference
from galaxyloop.training.running import RunHooks, fingerprint, prepared, run_objective
from galaxyloop.training.starting import new_encoder, new_model
from galaxyloop.training.state import load_state


class PretrainingOptions(RunHooks, total=False):
    """Hooks, and where to start from."""

    start: Path | None
    """A checkpoint whose encoder is trained further; this changes the result."""


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
    with prepared(run.training):
        model = new_model(train, tree, run, run.objective.dropout_rate)
        objective = VotesObjective(model, run.objective)
        return _pretrain(
            objective, (train, validation), run, directory, cast(PretrainingOptions, hooks)
        )


def pretrain_byol(
    cutouts: Cutouts,
    splits: pd.DataFrame,
    run: ByolRun,
    directory: Path,
    **options: Unpack[PretrainingOptions],
) -> Path:
    """Train an encoder from images alone (Grill et al. 2020, arXiv:2006.07733).

    All galaxies of the split ``train`` are looked at; those of ``validation`` tell whether the
    representations collapse. The last weights are written.

    Args:
        cutouts: uint8 images of one size.
        splits: ``id_str`` and ``split``.
        run: everything else that decides the result.
        directory: of the checkpoint; it appears when it is complete, and is returned.
        **options: see ``PretrainingOptions``.

    Raises:
        TrainingDivergedError: a loss is not finite.
        NoTrainingDataError: a split has fewer than two cutouts.
        CheckpointError: the directory is in use, or the state or the start does not fit.
        ConfigError: the encoder does not take images of this size.
    """
    train = select_images(cutouts, splits, "train")
    validation = select_images(cutouts, splits, "validation")
    smallest = len(train) // train.n_batches(run.training.batch_size)
    require(
        smallest >= 2,
        f"batch_size={run.training.batch_size} makes steps of one of the {len(train)} galaxies, "
        "which cannot be normalised by their spread; set batch_size to 3 or more",
    )
    with prepared(run.training):
        model = new_encoder(train, run, options.get("start"))
        objective = ByolObjective(model, run.objective, run.training.seed)
        return _pretrain(objective, (train, validation), run, directory, options)


def pretrain_hybrid(
    cutouts: Cutouts,
    votes: pd.DataFrame,
    splits: pd.DataFrame,
    tree: DecisionTree,
    run: HybridRun,
    directory: Path,
    **options: Unpack[PretrainingOptions],
) -> Path:
    """Train an encoder from all images and a vote head from those with votes, at once.

    The weights with the lowest loss of the votes on the split ``validation`` are written
    (Walmsley et al. 2022, arXiv:2206.11927).

    Args:
        cutouts: uint8 images of one size, with and without votes.
        votes: ``id_str`` and the tree's answers, 0 where nobody answered.
        splits: ``id_str`` and ``split``.
        tree: the questions.
        run: everything else that decides the result.
        directory: of the checkpoint; it appears when it is complete, and is returned.
        **options: see ``PretrainingOptions``.

    Raises:
        As ``pretrain_supervised`` and ``pretrain_byol`` do.
    """
    galaxies = select_with_votes(cutouts, votes, splits, tree, "train")
    train = MixedCutouts(galaxies, run.objective.labelled_share)
    check_campaigns(galaxies, tree)
    validation = select_split(cutouts, votes, splits, tree, "validation")
    with prepared(run.training):
        model = new_model(galaxies, tree, run, run.objective.dropout_rate, options.get("start"))
        objective = HybridObjective(model, run.objective, run.training.seed)
        return _pretrain(objective, (train, validation), run, directory, options)


def _pretrain(
    objective: Objective,
    galaxies: tuple[TrainingGalaxies, LabelledCutouts],
    run: PretrainingRun,
    directory: Path,
    options: PretrainingOptions,
) -> Path:
    """Run it and write the checkpoint."""
    data = once(lambda: _describe_data(*galaxies, options.get("start")))
    key = fingerprint(run=run.to_dict(), data=data, model=objective.model.describe())
    state = load_state(options.get("state_directory"), key)
    environment = run_objective(objective, galaxies, run, state, options)
    records = CheckpointRecords(run.to_dict(), data, pd.DataFrame(state.log), environment)
    model: GalaxyEncoder = objective.model

    def write() -> Path:
        add_reference(model, *galaxies)
        return save_checkpoint(model, directory, records)

    return once(write)


def _describe_data(
    train: TrainingGalaxies, validation: LabelledCutouts, start: Path | None
) -> dict[str, Any]:
    """Numbers and digests of what is trained on, and of nothing else."""
    told: dict[str, Any] = {
        "n_train": len(train),
        "n_validation": len(validation),
        "n_labelled": int(train.labels.any(axis=1).sum()),
        "train_digest": train.digest(),
        "validation_digest": validation.digest(),
        "cutouts": describe_cutouts(validation.cutouts),
    }
    if start is not None:
        told["start_digest"] = checkpoint_digest(start)
    return told
