"""The results of a finetuning as a folder: a page, tables and figures."""

import base64
import math
from collections.abc import Hashable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, cast

import jinja2
import pandas as pd

from galaxyloop.checkpoint import checkpoint_digest, load_checkpoint_config
from galaxyloop.finetuning.config import FinetuneRun
from galaxyloop.finetuning.evaluation import MODELS, LabelEvaluation
from galaxyloop.finetuning.figures import draw_figures
from galaxyloop.finetuning.label_table import LabelTable

MEANINGS = {
    "auc": "chance that a galaxy of the positive class is ranked above one of the other",
    "average_precision": "mean purity over all completenesses, of the positive class",
    "balanced_accuracy": "mean over classes of the share found; guessing gives 1 / classes",
    "accuracy": "share of galaxies that are right",
    "f1": "harmonic mean of purity and completeness of the positive class",
    "macro_f1": "harmonic mean of purity and completeness, mean over classes",
    "macro_auc": "mean over classes of the area under the ROC curve against the rest",
    "log_loss": "mean surprise at the true class [nats]; lower is better",
    "brier": "mean squared error of the probability; lower is better",
    "ece": "mean gap between probability and frequency; lower is better",
    "recall": "completeness",
    "precision": "purity",
    "rmse": "root of the mean squared error; lower is better",
    "mae": "mean absolute error; lower is better",
    "r2": "share of the variance that is explained",
    "bias": "mean of predicted less true",
    "spearman": "rank correlation of predicted and true",
}


def write_results(
    evaluation: LabelEvaluation, labels: LabelTable, facts: Mapping[str, str], directory: Path
) -> list[Path]:
    """Write page, tables and figures; returns the files.

    Args:
        evaluation: what came of it.
        labels: what it was trained and judged on.
        facts: what else the page says, such as the model's name.
        directory: is made if it is not there.
    """
    directory.mkdir(parents=True, exist_ok=True)
    tables = {
        "metrics": evaluation.metrics,
        "predictions": evaluation.predictions,
        "mistakes": evaluation.mistakes,
    }
    paths = []
    for name, table in tables.items():
        paths.append(directory / f"{name}.csv")
        table.to_csv(paths[-1], index=False)
    shown = []
    for one in draw_figures(evaluation):
        paths.append(directory / f"{one.name}.png")
        one.figure.savefig(paths[-1])
        coded = base64.b64encode(paths[-1].read_bytes()).decode()
        source = f"data:image/png;base64,{coded}"
        shown.append({"title": one.title, "caption": one.caption, "source": source})
    paths.append(directory / "report.html")
    paths[-1].write_text(_render(evaluation, labels, facts, shown), "utf-8")
    return paths


def metric_rows(metrics: pd.DataFrame) -> list[dict[str, object]]:
    """Each metric with every model's value and interval as text."""
    rows: list[dict[str, object]] = []
    for (metric, name), own in metrics.groupby(["metric", "class"], sort=False):
        told = {row["model"]: _cell(row) for row in own.to_dict("records")}
        named = f"{metric} of {name}" if name else str(metric)
        cells = [told.get(model, "–") for model in MODELS]
        rows.append({"name": named, "cells": cells, "meaning": MEANINGS.get(str(metric), "")})
    return rows


def _cell(row: Mapping[Hashable, Any]) -> str:
    """Value and interval of one model; a dash where it is not defined."""
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    if math.isnan(value):
        return "–"
    return f"{value:.3f}" if math.isnan(low) else f"{value:.3f} ({low:.3f} to {high:.3f})"


def _render(
    evaluation: LabelEvaluation,
    labels: LabelTable,
    facts: Mapping[str, str],
    figures: list[dict[str, str]],
) -> str:
    """The page as text."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    package = resources.files("galaxyloop")
    template = (package / "finetuning" / "report.html").read_text("utf-8")
    return environment.from_string(template).render(
        style=(package / "report" / "style.css").read_text("utf-8"),
        title=f"Finetuned: {labels.target.name}",
        lead=f"{labels.told}.",
        judged=_judged(labels),
        models=MODELS,
        rows=metric_rows(evaluation.metrics),
        figures=figures,
        facts=list(facts.items()),
    )


def _judged(labels: LabelTable) -> str:
    """Which galaxies the figures are of."""
    tested = labels.rounds[labels.rounds["split"] == "test"]
    n_rounds, n_repeats = tested["round"].nunique(), tested["repeat"].nunique()
    n_galaxies = tested["id_str"].nunique()
    if n_rounds == 1:
        return (
            f"Measured on {n_galaxies} galaxies that were held out. The registered model is the "
            "one that was measured."
        )
    again = f", {n_repeats} times over" if n_repeats > 1 else ""
    return (
        f"Measured by cross-validation: each of {n_galaxies} galaxies was predicted by a model "
        f"that was trained without it, in {n_rounds // n_repeats} parts{again}. The registered "
        "model was trained on all of them in the same way, so it should be at least as good."
    )


def describe_finetuning(checkpoint: Path, start: Path | None = None) -> dict[str, str]:
    """What a checkpoint, and the one it started from, say of how it was trained, in words."""
    config = load_checkpoint_config(checkpoint)
    run, data = FinetuneRun.from_dict(config["run"]), config["data"]
    what = {"full": "all layers", "top": f"the last {run.n_blocks} blocks", "head": "the head"}
    scale = config["normalisation"]
    return {
        "encoder": config["encoder"],
        "started from": _origin(run, data, load_checkpoint_config(start) if start else {}),
        "trained": what[run.trainable],
        "cutouts": f"{config['image_size_px']} px",
        "bands": f"mean {_numbers(scale['mean'])} taken off, divided by {_numbers(scale['std'])}",
        "final model trained on": f"{data['n_train']} galaxies",
        "settings": run.to_json(),
        "checkpoint": checkpoint_digest(checkpoint),
    }


def _origin(run: FinetuneRun, data: Mapping[str, Any], start: Mapping[str, Any]) -> str:
    """Which weights a training began with."""
    # Published weights were made a checkpoint first, which no run trained.
    before = data if start.get("run") else {**data, **start.get("data", {})}
    if "weights_digest" in before:
        return f"weights file {before['weights_digest'][:12]}"
    if run.pretrained or "published" in before:
        return f"published weights of {before.get('published', run.encoder)}"
    digest = data.get("start_digest")
    return f"checkpoint {digest[:12]}" if digest else "first weights"


def _numbers(values: Sequence[float]) -> str:
    """Numbers of the bands."""
    return ", ".join(f"{value:.3f}" for value in values)


def say_results(evaluation: LabelEvaluation, placed: Sequence[str], model: str) -> str:
    """Where things are, and how good the model is beside the probe and no model."""
    first = evaluation.metrics["metric"].iloc[0]
    leading = [first, *(["balanced_accuracy"] if first != "balanced_accuracy" else [])]
    lines = [f"{name:<12}{place}" for name, place in zip(map(_stem, placed), placed, strict=True)]
    rows = [row for row in metric_rows(evaluation.metrics) if row["name"] in leading]
    for row in rows:
        cells = zip(MODELS, cast(list[str], row["cells"]), strict=True)
        lines.append(f"{row['name']}: " + ", ".join(f"{name} {cell}" for name, cell in cells))
    return "\n".join([*lines, f"model       {model}"])


def _stem(place: str) -> str:
    """A file's name without folder and ending."""
    return place.rsplit("/", 1)[-1].rsplit(".", 1)[0]
