"""Finetuning: an encoder that was trained on something else learns a new target from few labels."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Float64, UInt8

from galaxyloop.checkpoint import CheckpointRecords, checkpoint_digest, save_checkpoint
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.devices import predicting
from galaxyloop.encoding import encode_batches
from galaxyloop.errors import LabelError, NoTrainingDataError
from galaxyloop.feeding import slices
from galaxyloop.finetuning.config import FinetuneRun
from galaxyloop.finetuning.label_checks import check_trainable
from galaxyloop.finetuning.model import LabelModel
from galaxyloop.finetuning.objectives import FinetunedVotesObjective, LabelsObjective
from galaxyloop.finetuning.start import (
    balanced_weights,
    label_model,
    settled,
    starting_encoder,
    vote_model,
)
from galaxyloop.finetuning.targets import Predicted, Target
from galaxyloop.models import GalaxyEncoder
from galaxyloop.objectives.objective import Objective
from galaxyloop.objectives.votes import VotesObjectiveConfig
from galaxyloop.processes import once
from galaxyloop.storage import file_digest
from galaxyloop.training.data import (
    Cutouts,
    LabelledCutouts,
    check_campaigns,
    describe_cutouts,
)
from galaxyloop.training.pretraining import PretrainingOptions
from galaxyloop.training.reference import add_reference
from galaxyloop.training.running import fingerprint, prepared, run_objective
from galaxyloop.training.state import load_state

_FEWEST = {"train": 2, "validation": 0}
_GALAXIES_AT_ONCE = 512


@dataclass(frozen=True)
class FinetuneData:
    """Galaxies with labels, and who trains."""

    cutouts: Cutouts
    """uint8 images of one size."""
    labels: pd.DataFrame
    """``id_str`` and ``y`` (the label's number, see ``finetuning.targets``); or, for a decision
    tree, its answers' votes."""
    splits: pd.DataFrame
    """``id_str`` and ``split``: train, and validation where there are galaxies to spare."""
    target: Target | DecisionTree
    """What the labels mean."""


def finetune(
    data: FinetuneData,
    run: FinetuneRun,
    directory: Path,
    **options: Unpack[PretrainingOptions],
) -> Path:
    """Train an encoder, or parts of it, and a new head on labelled galaxies.

    With galaxies of the split ``validation`` the weights with the lowest loss on them are
    written, else the last ones. Labelled galaxies, config, start, machine, build and threads fix
    every byte, interrupted or not.

    Args:
        data: images, labels, splits and what the labels mean.
        run: everything else that decides the result.
        directory: of the checkpoint; it appears when it is complete, and is returned. It holds a
            ``LabelModel``, or for votes a ``GalaxyModel``.
        **options: hooks, and ``start``: a checkpoint whose encoder is finetuned. Without one the
            run names the encoder.

    Raises:
        LabelError: a class has fewer than two training galaxies, or all values are the same.
        NoTrainingDataError: no training galaxy has a cutout and a label.
        ConfigError: the run names another encoder than the checkpoint's or none at all, or the
            encoder does not take images of this size.
        CheckpointError: the checkpoint is damaged or foreign, or was trained on another size; the
            directory is in use; or the state is another run's.
        PretrainedWeightsError: published weights cannot be fetched, or do not fit.
        TrainingDivergedError: a loss is not finite.
    """
    target, train, validation = select_labelled(data)
    start = options.get("start")
    with prepared(run.training):
        base = starting_encoder(train, run, start)
        objective = _make_objective(base, train, target, settled(run, start))
        told = once(lambda: _describe_data(train, validation, target))
        if start is not None:
            told["start_digest"] = checkpoint_digest(start)
        if run.weights:
            told["weights_digest"] = file_digest(Path(run.weights))
        key = fingerprint(run=run.to_dict(), data=told, model=objective.model.describe())
        state = load_state(options.get("state_directory"), key)
        environment = run_objective(objective, (train, validation), run, state, options)
        records = CheckpointRecords(run.to_dict(), told, pd.DataFrame(state.log), environment)

        def write() -> Path:
            add_reference(objective.model, train, validation)
            return save_checkpoint(objective.model, directory, records)

        return once(write)


def select_labelled(
    data: FinetuneData,
) -> tuple[Target | DecisionTree, LabelledCutouts, LabelledCutouts]:
    """The target fitted to the training labels, and the galaxies to train and to validate on.

    Raises:
        LabelError: as for ``finetune``.
        NoTrainingDataError: as for ``finetune``.
    """
    target = data.target
    if isinstance(target, DecisionTree):
        train, validation = (
            _labelled(data, *_select(data, name, target.columns)) for name in _FEWEST
        )
        check_campaigns(train, target)
        return target, train, validation
    parts = {name: _select(data, name, ("y",)) for name in _FEWEST}
    y = {name: values[:, 0] for name, (_, values) in parts.items()}
    check_trainable(y, target, _FEWEST)
    target = target.fitted_to(y["train"])
    standardised = [
        _labelled(data, positions, target.standardise(values[:, 0])[:, None])
        for positions, values in parts.values()
    ]
    return target, standardised[0], standardised[1]


def weighted_target(target: Target, y: Float[np.ndarray, " galaxy"], run: FinetuneRun) -> Target:
    """The target with what each class counts in a run on these labels."""
    if run.class_weights != "balanced" or not target.is_classification:
        return target
    weights = balanced_weights(y, len(target.classes))
    return replace(target, class_weights=weights.tolist())


def predict_labels(
    model: LabelModel, images: UInt8[np.ndarray, "galaxy y x band"], n_threads: int | None = None
) -> Predicted:
    """Probabilities of the classes, or values, of galaxies' cutouts.

    Probabilities are for galaxies of which each class is as common as among the training labels;
    ``model.target.decide`` says which class to take them for.

    Args:
        model: from ``load_label_model``; it runs on an accelerator if there is one.
        images: of the size the model was trained on.
        n_threads: CPU threads; None leaves torch's own number.
    """
    outputs = [np.zeros((0, model.target.n_outputs), np.float32)]
    with predicting(model.eval(), n_threads), torch.no_grad():
        for features in encode_batches(model, slices(images, _GALAXIES_AT_ONCE)):
            outputs.append(model.head(features).cpu().numpy())
    return model.target.predict(np.concatenate(outputs))


def _labelled(
    data: FinetuneData, positions: np.ndarray, values: Float[np.ndarray, "galaxy label"]
) -> LabelledCutouts:
    """Galaxies as training takes them."""
    return LabelledCutouts(data.cutouts, positions, values.astype(np.float32))


def _select(
    data: FinetuneData, split: str, columns: tuple[str, ...]
) -> tuple[np.ndarray, Float64[np.ndarray, "galaxy label"]]:
    """Positions and labels of a split's galaxies that have a cutout and a label, in order of id.

    Raises:
        NoTrainingDataError: none trains.
        LabelError: a label is not finite.
    """
    ids = data.cutouts.id_strs.astype(str).astype(object)
    table = pd.DataFrame({"id_str": ids, "position": np.arange(len(ids))})
    labels = data.labels[["id_str", *columns]].astype({"id_str": str})
    table = table.merge(labels, on="id_str")
    table = table.merge(data.splits[["id_str", "split"]].astype({"id_str": str}), on="id_str")
    chosen = table[table["split"] == split].sort_values("id_str", ignore_index=True)
    if split == "train" and chosen.empty:
        numbers = {
            "cutouts": len(ids),
            "labelled galaxies": len(labels),
            "cutouts with a label and a split": len(table),
        }
        raise NoTrainingDataError("no galaxy of split 'train' has a cutout and a label", numbers)
    values = chosen[list(columns)].to_numpy(dtype=np.float64)
    is_lost = ~np.isfinite(values).all(axis=1)
    if is_lost.any():
        shown = chosen["id_str"][is_lost].head(5).tolist()
        raise LabelError(
            f"labels must be finite, got {int(is_lost.sum())} of {len(chosen)} in split '{split}' "
            f"that are not, such as of {shown}; mend the labels, or leave the galaxies out",
            int(is_lost.sum()),
            len(chosen),
            shown,
        )
    return chosen["position"].to_numpy(np.int64), values


def _make_objective(
    base: GalaxyEncoder,
    train: LabelledCutouts,
    target: Target | DecisionTree,
    run: FinetuneRun,
) -> Objective:
    """What is minimised, with the model that it is minimised for."""
    if isinstance(target, DecisionTree):
        config = VotesObjectiveConfig(dropout_rate=run.dropout_rate)
        return FinetunedVotesObjective(
            vote_model(base, train, target, run), config, run.layer_decay
        )
    target = weighted_target(target, train.labels[:, 0], run)
    model = label_model(base, train, target, run)
    return LabelsObjective(model, target.class_weights, run.layer_decay)


def _describe_data(
    train: LabelledCutouts, validation: LabelledCutouts, target: Target | DecisionTree
) -> dict[str, Any]:
    """Numbers and digests of what is trained on, and of nothing else."""
    told: dict[str, Any] = {
        "n_train": len(train),
        "n_validation": len(validation),
        "train_digest": train.digest(),
        "validation_digest": validation.digest(),
        "cutouts": describe_cutouts(train.cutouts),
    }
    if isinstance(target, Target) and target.is_classification:
        counts = np.bincount(train.labels[:, 0].astype(np.int64), minlength=len(target.classes))
        told["n_train_by_class"] = dict(zip(target.classes, counts.tolist(), strict=True))
    return told
