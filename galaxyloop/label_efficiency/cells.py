"""One cell of a study: an arm's encoder, a number of labels, a draw of them; one row of numbers."""

import hashlib
import json
import math
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from galaxyloop.checkpoint import checkpoint_digest, load_encoder
from galaxyloop.devices import choose_device, repeatable
from galaxyloop.errors import ConfigError
from galaxyloop.finetuning.config import FinetuneRun
from galaxyloop.finetuning.metrics import LabelMetricsConfig, evaluate_labels
from galaxyloop.finetuning.model import load_label_model
from galaxyloop.finetuning.probe import fit_probe
from galaxyloop.finetuning.published import without_weights
from galaxyloop.finetuning.start import encode_galaxies
from galaxyloop.finetuning.targets import Predicted, prediction_table
from galaxyloop.finetuning.training import FinetuneData, finetune, predict_labels
from galaxyloop.label_efficiency.config import LabelEfficiencyConfig
from galaxyloop.label_efficiency.data import StudyData
from galaxyloop.label_efficiency.draws import draw_labels
from galaxyloop.random_streams import derive_seed
from galaxyloop.training.environment import choose_precision

METRICS = ("auc", "balanced_accuracy", "accuracy")
CELL_CODE = 1
"""Raised when the code makes other rows from the same settings, encoders and galaxies."""


@dataclass(frozen=True)
class Cell:
    """One arm, used in one way, with one set of labels."""

    arm: str
    """Name of the arm."""
    kind: str
    """``probe`` or ``finetune``."""
    n_labels: int
    """Number of labels."""
    draw: int
    """Number of the draw."""


def list_cells(config: LabelEfficiencyConfig) -> list[Cell]:
    """All cells of a study, arm by arm; none of absent arms."""
    return [
        Cell(arm.name, kind, n_labels, draw)
        for arm in config.arms
        for kind in arm.kinds
        for n_labels in config.n_labels
        for draw in range(config.n_draws)
        if not arm.is_absent
    ]


def cell_digest(cell: Cell, config: LabelEfficiencyConfig, data_digest: str) -> str:
    """A digest of all that decides a cell beside its encoder's checkpoint and the machine.

    Numbers of draws and of other cells do not count, so that more can be added later.

    Args:
        cell: the cell.
        config: the study.
        data_digest: of the labelled galaxies, by ``StudyData.digest``.
    """
    content: list[Any] = [CELL_CODE, data_digest]
    content += [config.seed, config.n_labels[0], config.n_bootstrap]
    if cell.kind == "probe":
        content.append(config.probe.to_dict())
    if cell.kind == "finetune":
        content.append(finetune_run(cell, config).to_dict())
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def run_cell(
    cell: Cell, config: LabelEfficiencyConfig, data: StudyData, checkpoint: Path | None
) -> dict[str, Any]:
    """Learn from the cell's labels and judge by the test galaxies.

    Args:
        cell: the cell.
        config: the study.
        data: cutouts, labels and splits.
        checkpoint: of the arm's encoder; None where each finetuning draws first weights.

    Returns:
        A row of the results: the cell, each of ``METRICS`` with the 5 and 95 % points over
        resampled test galaxies, numbers of galaxies, and seconds of computing.

    Raises:
        LabelError: the pool has too few labels.
        TrainingDivergedError: a loss is not finite.
    """
    started = time.process_time()
    # The smallest number decides what is a draw, so that all numbers share it.
    pool = data.pool
    order = draw_labels(
        pool["id_str"].tolist(), pool["y"].to_numpy(), config.n_labels[0], cell.draw, config.seed
    )
    given = pool.iloc[np.sort(order[: cell.n_labels])].reset_index(drop=True)
    predict = _probe if cell.kind == "probe" else _finetune
    with repeatable(config.n_threads):
        predicted = predict(cell, config, data, given, checkpoint)
    row = {
        **_measure(data, predicted, config),
        "n_positive": int(given["y"].sum()),
        "n_test": len(data.test),
        "cpu_seconds": round(time.process_time() - started, 2),
        "precision": _precision(cell, config),
        "code": CELL_CODE,
    }
    return {**vars(cell), **row}


def finetune_run(cell: Cell, config: LabelEfficiencyConfig) -> FinetuneRun:
    """The settings of a cell's finetuning: as many whole epochs as come nearest to the steps."""
    arm = config.arm(cell.arm)
    n_steps = arm.steps_factor * config.n_steps[config.n_labels.index(cell.n_labels)]
    n_batches = math.ceil(cell.n_labels / config.batch_size)
    training = replace(
        arm.finetune.training,
        epochs=max(1, round(n_steps / n_batches)),
        batch_size=config.batch_size,
        patience=0,
        seed=derive_seed(config.seed, cell.n_labels, cell.draw) % 2**31,
        n_threads=config.n_threads,
    )
    run = replace(arm.finetune, training=training)
    if arm.pretraining == "published":
        return without_weights(run)  # its checkpoint has them
    is_new = arm.pretraining == "none" and not run.encoder
    return replace(run, encoder=arm.run.encoder) if is_new else run


def _finetune(
    cell: Cell,
    config: LabelEfficiencyConfig,
    data: StudyData,
    given: pd.DataFrame,
    checkpoint: Path | None,
) -> Predicted:
    """What the finetuned encoder says of the test galaxies."""
    splits = given[["id_str"]].assign(split="train")
    inputs = FinetuneData(data.cutouts, given, splits, data.target)
    with tempfile.TemporaryDirectory() as scratch:
        run = finetune_run(cell, config)
        model = load_label_model(finetune(inputs, run, Path(scratch) / "model", start=checkpoint))
    images = data.cutouts.read(data.test["position"].to_numpy(np.int64))
    # Judged as trained: every class counts the same at the decision, as for the probe.
    return model.target.as_trained(predict_labels(model, images, config.n_threads))


def _probe(
    cell: Cell,
    config: LabelEfficiencyConfig,
    data: StudyData,
    given: pd.DataFrame,
    checkpoint: Path | None,
) -> Predicted:
    """What logistic regression on the frozen encoder says of them."""
    if checkpoint is None:
        raise ConfigError(
            f"arm '{cell.arm}' cannot be probed without its encoder; give its checkpoint"
        )
    features = _features(data, checkpoint)
    of_galaxy = pd.Series(np.arange(len(data.labels)), index=data.labels["id_str"])
    places = {
        name: of_galaxy[table["id_str"]].to_numpy()
        for name, table in (("given", given), ("pool", data.pool), ("test", data.test))
    }
    probe = fit_probe(
        features[places["given"]],
        given["y"].to_numpy(),
        data.target,
        config.probe,
        seed=config.seed,
        background=features[places["pool"]],
    )
    return probe.predict(features[places["test"]])


_last_features: dict[str, np.ndarray] = {}
"""Features of the encoder that was used last; the cells of an arm follow one another."""


def _features(data: StudyData, checkpoint: Path) -> np.ndarray:
    """Representations of all labelled galaxies."""
    made_of = f"{data.digest()} {checkpoint_digest(checkpoint)}"
    if made_of not in _last_features:
        _last_features.clear()
        positions = data.labels["position"].to_numpy(np.int64)
        encoder = load_encoder(checkpoint)
        _last_features[made_of] = encode_galaxies(encoder, data.cutouts, positions)
    return _last_features[made_of]


def _precision(cell: Cell, config: LabelEfficiencyConfig) -> str:
    """In which the encoder was trained; features for probes are always computed in float32."""
    if cell.kind == "probe":
        return "float32"
    training = config.arm(cell.arm).finetune.training
    return choose_precision(training, choose_device(training.device))


def _measure(
    data: StudyData, predicted: Predicted, config: LabelEfficiencyConfig
) -> dict[str, float]:
    """Each metric with its interval over test galaxies."""
    test = data.test
    table = prediction_table(
        test["id_str"].to_numpy(), test["y"].to_numpy(), predicted, data.target
    )
    settings = LabelMetricsConfig(n_bootstrap=config.n_bootstrap)
    metrics = evaluate_labels(table, data.target, settings)
    values: dict[str, float] = {}
    for row in metrics[metrics["metric"].isin(METRICS)].to_dict("records"):
        name = str(row["metric"])
        values |= {
            name: float(row["value"]),
            f"{name}_test_low": float(row["low"]),
            f"{name}_test_high": float(row["high"]),
        }
    return values
