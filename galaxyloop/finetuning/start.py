"""The model that a finetuning starts from: a checkpoint, a published encoder, a local file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Integer

from galaxyloop.checkpoint import load_checkpoint_config
from galaxyloop.config import require
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.devices import predicting
from galaxyloop.encoders import check_encoder_name
from galaxyloop.encoding import encode_batches
from galaxyloop.finetuning.config import FinetuneRun
from galaxyloop.finetuning.layers import count_layers, freeze_layers
from galaxyloop.finetuning.model import LabelHead, LabelModel
from galaxyloop.finetuning.probe import ProbeConfig, fit_probe
from galaxyloop.finetuning.published import published_encoder
from galaxyloop.finetuning.targets import Target
from galaxyloop.heads import VoteHead
from galaxyloop.models import GalaxyEncoder, GalaxyModel
from galaxyloop.random_streams import seeded
from galaxyloop.training.config import PretrainingRun
from galaxyloop.training.data import Cutouts, LabelledCutouts
from galaxyloop.training.prior import fit_prior, start_at
from galaxyloop.training.starting import new_encoder

_HEAD_STREAM = 2
_GALAXIES_AT_ONCE = 256


def starting_encoder(
    galaxies: LabelledCutouts, run: FinetuneRun, start: Path | None
) -> GalaxyEncoder:
    """The encoder that a run starts from, with its normalisation, in evaluation mode.

    Args:
        galaxies: what it will be trained on; their size must be the encoder's, and an encoder
            without a normalisation of its own takes theirs.
        run: names the encoder and its weights.
        start: a checkpoint of any kind, or None.

    Raises:
        ConfigError: the run names no encoder, another than the checkpoint's, or weights beside a
            checkpoint; or the encoder does not take images of this size.
        CheckpointError: the checkpoint is damaged, or was trained on another size.
        UnknownNameError: there is no such encoder.
        PretrainedWeightsError: the weights cannot be fetched, or the file does not fit.
    """
    check_start(run, start)
    name = run.encoder
    if start is not None and not name:
        name = str(load_checkpoint_config(start).get("encoder"))
    if run.pretrained or run.weights:
        image_size_px = galaxies.read(np.zeros(1, dtype=np.int64)).images.shape[1]
        return published_encoder(run, image_size_px)
    as_pretraining = PretrainingRun(name, False, run.augment, run.training)
    return new_encoder(galaxies, as_pretraining, start).eval()


def check_start(run: FinetuneRun, start: Path | None) -> None:
    """Refuse settings that do not say which encoder to start from, or say it twice.

    Raises:
        ConfigError: they do not fit each other.
        UnknownNameError: there is no such encoder.
    """
    if start is None:
        require(
            bool(run.encoder),
            "finetuning needs an encoder to start from: give a checkpoint or a registered model "
            "as start, or set encoder to a name such as 'resnet_mini'",
        )
        check_encoder_name(run.encoder)
        require(
            ":" not in run.encoder or run.pretrained,
            f"encoder '{run.encoder}' is an address of published weights; set pretrained to true, "
            "or give the architecture's name with weights for a local file",
        )
        return
    require(
        not run.pretrained and not run.weights,
        f"the checkpoint {start} has weights of its own; leave pretrained and weights unset, or "
        "give no checkpoint",
    )


def settled(run: FinetuneRun, start: Path | None) -> FinetuneRun:
    """The run with what it leaves open decided: by whether its encoder was trained before."""
    is_trained = start is not None or run.pretrained or bool(run.weights)
    is_frozen, head_start = run.frozen_normalisation, run.head_start
    return replace(
        run,
        frozen_normalisation=is_trained if is_frozen is None else is_frozen,
        head_start=("probe" if is_trained else "zero") if head_start == "auto" else head_start,
    )


def label_model(
    base: GalaxyEncoder, galaxies: LabelledCutouts, target: Target, run: FinetuneRun
) -> LabelModel:
    """A model of a target, its head at the start that the run asks for, parts of it frozen.

    Args:
        base: the encoder to start from; it becomes part of the model.
        galaxies: to train on, with standardised labels.
        target: what the labels mean.
        run: the head's start and what is trained, both ``settled``.
    """
    head = LabelHead(base.encoder.n_features, target.n_outputs, run.dropout_rate)
    labels = galaxies.labels[:, 0].astype(np.float64)
    if run.head_start == "probe":
        features = encode_galaxies(base, galaxies.cutouts, galaxies.positions)
        # The labels are standardised already, so the probe's own scale must not count twice.
        plain = target if target.is_classification else replace(target, mean=0.0, std=1.0)
        weighting = ProbeConfig(is_balanced=run.class_weights == "balanced")
        probe = fit_probe(features, labels, plain, weighting, run.training.seed)
        scale, shift = probe.target.std, probe.target.mean
        with torch.no_grad():
            head.linear.weight.copy_(torch.from_numpy(probe.weight * scale))
            head.linear.bias.copy_(torch.from_numpy(probe.bias * scale + shift))
    model = LabelModel(base.encoder, head, target, base.image_size_px, base.normalisation)
    freeze_as_asked(model, run)
    return model.train()


def vote_model(
    base: GalaxyEncoder, galaxies: LabelledCutouts, tree: DecisionTree, run: FinetuneRun
) -> GalaxyModel:
    """A model of a decision tree, its head at the votes' prior, parts of it frozen.

    Args:
        base: the encoder to start from; it becomes part of the model.
        galaxies: to train on, with votes.
        tree: the questions.
        run: what is trained, ``settled``.
    """
    with seeded(run.training.seed, _HEAD_STREAM):
        head = VoteHead(base.encoder.n_features, len(tree.columns), run.dropout_rate)
    start_at(head, fit_prior(galaxies.labels, tree))
    model = GalaxyModel(base.encoder, head, tree, base.image_size_px, base.normalisation)
    freeze_as_asked(model, run)
    return model.train()


def encode_galaxies(
    model: GalaxyEncoder, cutouts: Cutouts, positions: Integer[np.ndarray, " galaxy"]
) -> Float32[np.ndarray, "galaxy feature"]:
    """Features of unchanged cutouts, in float32; the model is left as it was."""
    parts = [np.zeros((0, model.encoder.n_features), np.float32)]
    starts = range(0, len(positions), _GALAXIES_AT_ONCE)
    batches = (cutouts.read(positions[i : i + _GALAXIES_AT_ONCE]) for i in starts)
    with predicting(model, None):
        for features in encode_batches(model, batches):
            parts.append(features.cpu().numpy())
    return np.concatenate(parts)


def balanced_weights(
    labels: Float[np.ndarray, " galaxy"], n_classes: int
) -> Float[np.ndarray, " class"]:
    """What a galaxy of each class counts so that all classes count the same, 1 on average."""
    counts = np.bincount(labels.astype(np.int64), minlength=n_classes)
    return np.asarray(len(labels) / (n_classes * counts), dtype=np.float64)


def freeze_as_asked(model: GalaxyEncoder, run: FinetuneRun) -> None:
    """Freeze what the run does not train."""
    n_trained = {"full": count_layers(model.encoder), "top": run.n_blocks, "head": 0}
    freeze_layers(model, n_trained[run.trainable], bool(run.frozen_normalisation))
