"""A finetuned model held against labels it never saw, beside the probe and no model at all."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from galaxyloop.checkpoint import check_size
from galaxyloop.config import require
from galaxyloop.devices import repeatable
from galaxyloop.finetuning.config import FinetuneRun
from galaxyloop.finetuning.curves import (
    confusion_matrix,
    most_confident_mistakes,
    precision_recall_curves,
    roc_curves,
)
from galaxyloop.finetuning.label_table import LabelTable
from galaxyloop.finetuning.metrics import LabelMetricsConfig, evaluate_labels, label_baseline
from galaxyloop.finetuning.model import load_label_model
from galaxyloop.finetuning.probe import ProbeConfig, fit_probe
from galaxyloop.finetuning.rounds import run_of_round
from galaxyloop.finetuning.start import encode_galaxies, starting_encoder
from galaxyloop.finetuning.targets import Predicted, Target, prediction_table
from galaxyloop.finetuning.training import (
    FinetuneData,
    finetune,
    predict_labels,
    select_labelled,
    weighted_target,
)
from galaxyloop.shards import CutoutCollection
from galaxyloop.storage import file_digest, whole_directory
from galaxyloop.training.running import RunHooks

MODELS = ("finetuned", "probe", "baseline")
"""What is compared: the finetuned network, the linear probe on the encoder it started from, and
the labels' shares (or their mean) for every galaxy."""
N_MISTAKES = 24
_TARGET = "target.json"


@dataclass(frozen=True)
class FinetuneStudy:
    """All that a finetuning and its evaluation depend on."""

    cutouts: CutoutCollection
    labels: LabelTable
    run: FinetuneRun
    start: Path | None
    """A checkpoint whose encoder is finetuned; None takes the one that the run names."""


@dataclass(frozen=True)
class LabelEvaluation:
    """What came of it, as kept on disk."""

    target: Target
    predictions: pd.DataFrame
    """``model, repeat, round, group_id``, and the columns of ``prediction_table``: galaxies that
    the model of that round did not train on."""
    metrics: pd.DataFrame
    """``model``, the columns of ``evaluate_labels``, and ``repeat_std``. With several repeats
    ``value``, ``low`` and ``high`` are means over them."""
    mistakes: pd.DataFrame
    """The finetuned model's most confident mistakes of the first repeat."""
    images: UInt8[np.ndarray, "galaxy y x band"]
    """Of the mistakes."""

    @classmethod
    def open(cls, directory: Path) -> "LabelEvaluation":
        """Read what ``evaluate_finetuned`` wrote."""
        return cls(
            Target.from_json((directory / _TARGET).read_text("utf-8")),
            pd.read_parquet(directory / "predictions.parquet"),
            pd.read_parquet(directory / "metrics.parquet"),
            pd.read_parquet(directory / "mistakes.parquet"),
            np.load(directory / "mistakes.npy", allow_pickle=False),
        )

    @property
    def finetuned(self) -> pd.DataFrame:
        """The finetuned model's predictions, each galaxy once."""
        own = self.predictions
        return own[(own["model"] == "finetuned") & (own["repeat"] == 0)].reset_index(drop=True)


def finetune_round(
    study: FinetuneStudy, number: int, directory: Path, **hooks: Unpack[RunHooks]
) -> Path:
    """Train one round of a study; the last round's checkpoint is the final model.

    Args:
        study: images, labels, rounds, run and start.
        number: of the round, from 0.
        directory: of the checkpoint.
        **hooks: see ``RunHooks``.

    Raises:
        As ``finetune`` does.
    """
    labels = study.labels
    data = FinetuneData(study.cutouts, labels.table, labels.splits(number), labels.target)
    run = run_of_round(study.run, labels.rounds, number)
    return finetune(data, run, directory, start=study.start, **hooks)


def evaluate_finetuned(
    study: FinetuneStudy,
    checkpoints: Sequence[Path],
    config: LabelMetricsConfig,
    directory: Path,
) -> str:
    """Predict each round's test galaxies, and compare with their labels.

    Args:
        study: what the checkpoints were trained from.
        checkpoints: one a round, in order.
        config: of the metrics.
        directory: appears complete or not at all.

    Returns:
        Digest of the evaluation.

    Raises:
        ConfigError: there are more or fewer checkpoints than rounds.
        CheckpointError: a checkpoint is damaged, or was trained on another size.
    """
    labels = study.labels
    n_rounds = labels.n_rounds
    require(
        len(checkpoints) == n_rounds,
        f"evaluation needs a checkpoint for each of {n_rounds} rounds, got {len(checkpoints)}",
    )
    with repeatable(study.run.training.n_threads):
        features = _start_features(study)
        parts = [
            part
            for number, checkpoint in enumerate(checkpoints)
            for part in _predict_round(study, number, checkpoint, features)
        ]
    predictions = pd.concat(parts, ignore_index=True)
    metrics = _compare(predictions, labels, config)
    own = predictions[(predictions["model"] == "finetuned") & (predictions["repeat"] == 0)]
    mistakes = most_confident_mistakes(own, N_MISTAKES)
    evaluation = LabelEvaluation(
        labels.target, predictions, metrics, mistakes, _images(study.cutouts, mistakes["id_str"])
    )
    with whole_directory(directory) as draft:
        _write(evaluation, draft)
    names = sorted(path.name for path in directory.iterdir())
    digests = {name: file_digest(directory / name) for name in names}
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def _start_features(study: FinetuneStudy) -> pd.DataFrame:
    """Features of all labelled galaxies by the encoder that finetuning starts from."""
    table = study.labels.table
    everybody = pd.DataFrame({"id_str": table["id_str"], "split": "train"})
    data = FinetuneData(study.cutouts, table, everybody, study.labels.target)
    _, galaxies, _ = select_labelled(data)
    base = starting_encoder(galaxies, study.run, study.start)
    features = encode_galaxies(base, study.cutouts, galaxies.positions)
    return pd.DataFrame(features, index=galaxies.names(np.arange(len(galaxies))))


def _predict_round(
    study: FinetuneStudy, number: int, checkpoint: Path, features: pd.DataFrame
) -> list[pd.DataFrame]:
    """Predictions of a round's test galaxies by each of ``MODELS``; none if it has none."""
    labels = study.labels
    table = labels.table.merge(labels.splits(number), on="id_str")
    train, test = table[table["split"] == "train"], table[table["split"] == "test"]
    if test.empty:
        return []
    y = test["y"].to_numpy(np.float64)
    model = load_label_model(checkpoint)
    check_size(model, study.cutouts.image_size_px)
    known = train["y"].to_numpy(np.float64)
    probe = fit_probe(
        features.loc[train["id_str"]].to_numpy(),
        known,
        weighted_target(labels.target, known, study.run),
        ProbeConfig(is_balanced=study.run.class_weights == "balanced"),
        study.run.training.seed,
    )
    images = _images(study.cutouts, test["id_str"])
    predicted: dict[str, tuple[Predicted, Target]] = {
        "finetuned": (predict_labels(model, images, study.run.training.n_threads), model.target),
        "probe": (probe.predict(features.loc[test["id_str"]].to_numpy()), probe.target),
    }
    own = labels.rounds[labels.rounds["round"] == number]
    told = {"repeat": int(own["repeat"].iloc[0]), "round": number}
    ids = test["id_str"].to_numpy()
    tables = {
        name: prediction_table(ids, y, values, target)
        for name, (values, target) in predicted.items()
    }
    # All labels: shares of each round's training galaxies would differ by which it leaves out.
    everything = labels.table["y"].to_numpy(np.float64)
    tables["baseline"] = label_baseline(tables["probe"], labels.target, everything)
    groups = test["group_id"].to_numpy()
    return [
        _first(table.assign(model=name, **told, group_id=groups)) for name, table in tables.items()
    ]


def _first(table: pd.DataFrame) -> pd.DataFrame:
    """The columns that say where a prediction is from, before the others."""
    keys = ["model", "repeat", "round", "group_id"]
    return table[[*keys, *table.columns.drop(keys)]]


def _compare(
    predictions: pd.DataFrame, labels: LabelTable, config: LabelMetricsConfig
) -> pd.DataFrame:
    """Metrics of each model; means over the repeats, and how much these differ."""
    parts = []
    for (model, _), own in predictions.groupby(["model", "repeat"], sort=False):
        table = evaluate_labels(own.reset_index(drop=True), labels.target, config)
        parts.append(table.assign(model=str(model)))
    every = pd.concat(parts, ignore_index=True)
    grouped = every.groupby(["model", "metric", "class"], sort=False)
    means = grouped[["value", "low", "high", "n_galaxies", "n_resamplings"]].mean()
    means = means.assign(repeat_std=grouped["value"].std()).reset_index()
    order = {name: place for place, name in enumerate(MODELS)}
    means = means.sort_values("model", key=lambda names: names.map(order), kind="stable")
    whole = {"n_galaxies": np.int64, "n_resamplings": np.int64}
    return means.round({name: 0 for name in whole}).astype(whole).reset_index(drop=True)


def _images(cutouts: CutoutCollection, id_strs: pd.Series) -> UInt8[np.ndarray, "galaxy y x band"]:
    """Cutouts by id."""
    places = {str(id_str): place for place, id_str in enumerate(cutouts.id_strs)}
    return cutouts.read(np.array([places[name] for name in id_strs], dtype=np.int64))


def _write(evaluation: LabelEvaluation, directory: Path) -> None:
    """The files of an evaluation."""
    target = evaluation.target
    (directory / _TARGET).write_text(target.to_json() + "\n", "utf-8")
    evaluation.predictions.to_parquet(directory / "predictions.parquet", index=False)
    evaluation.metrics.to_parquet(directory / "metrics.parquet", index=False)
    evaluation.mistakes.to_parquet(directory / "mistakes.parquet", index=False)
    np.save(directory / "mistakes.npy", evaluation.images)
    if target.is_classification:
        own = evaluation.finetuned
        roc_curves(own, target).to_parquet(directory / "roc.parquet", index=False)
        curves = precision_recall_curves(own, target)
        curves.to_parquet(directory / "precision_recall.parquet", index=False)
        confusion_matrix(own, target).to_csv(directory / "confusion.csv")
