"""Runs: one a training, with its settings, curves, metrics and files; never cached."""

import json
import os
import re
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flytekit import task

from schemas.artefacts import (
    Checkpoint,
    CutoutShard,
    Evaluation,
    LabelEvaluation,
    LabelTable,
    SurveyVersion,
    VoteTable,
)
from tasks.lineage import code_version
from tasks.registry.client import experiment_id, open_client
from tasks.resources import CPU_IMAGE, RETRIES, TABLES

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

DIGEST_TAG = "galaxyloop.checkpoint_digest"
EVALUATION_TAG = "galaxyloop.evaluation_digest"
INPUTS = "inputs.json"
"""A run's file of the digests that are too many for tags: of the shards it read."""
_NO_CURVES = ["epoch", "step", "seconds", "n_images"]
"""Columns of the log that say where a row belongs."""
_METRIC_PARTS = ("question", "model", "metric", "class")


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def log_training(
    checkpoint: Checkpoint,
    evaluation: Evaluation,
    survey: SurveyVersion,
    shards: list[CutoutShard],
    votes: VoteTable,
    purpose: str,
) -> str:
    """Log one training and its evaluation; what is logged already stays one run. The run's id."""
    client = open_client()
    digests = {DIGEST_TAG: checkpoint.digest, EVALUATION_TAG: evaluation.digest}
    run = _find_run(client, digests)
    if run is None:
        tags = {
            **digests,
            "galaxyloop.survey_digest": survey.digest,
            "galaxyloop.votes_digest": votes.digest,
            **circumstances(purpose),
        }
        run = _log_training(client, checkpoint.download(), evaluation.download(), tags, shards)
    return str(run.info.run_id)


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def log_pretraining(
    checkpoint: Checkpoint, survey: SurveyVersion, shards: list[CutoutShard], purpose: str
) -> str:
    """Log a training that answers no questions, so has no evaluation. The run's id."""
    client = open_client()
    digests = {DIGEST_TAG: checkpoint.digest}
    run = _find_run(client, digests)
    if run is None:
        tags = {
            **digests,
            "galaxyloop.survey_digest": survey.digest,
            **circumstances(purpose),
        }
        run = _log_training(client, checkpoint.download(), None, tags, shards)
    return str(run.info.run_id)


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def log_finetuning(
    checkpoint: Checkpoint,
    evaluation: LabelEvaluation,
    survey: SurveyVersion,
    shards: list[CutoutShard],
    labels: LabelTable,
    purpose: str,
) -> str:
    """Log one finetuning and what its rounds were judged by. The run's id."""
    client = open_client()
    digests = {DIGEST_TAG: checkpoint.digest, EVALUATION_TAG: evaluation.digest}
    run = _find_run(client, digests)
    if run is None:
        tags = {
            **digests,
            "galaxyloop.survey_digest": survey.digest,
            "galaxyloop.labels_digest": labels.digest,
            **circumstances(purpose),
        }
        run = _log_training(client, checkpoint.download(), evaluation.download(), tags, shards)
    return str(run.info.run_id)


def _find_run(client: "MlflowClient", digests: dict[str, str]) -> "Run | None":
    """The finished run of that checkpoint and evaluation."""
    conditions = [f"tags.`{tag}` = '{digest}'" for tag, digest in digests.items()]
    found = client.search_runs(
        [experiment_id(client)],
        " and ".join([*conditions, "attributes.status = 'FINISHED'"]),
        max_results=1,
    )
    return found[0] if found else None


def _log_training(
    client: "MlflowClient",
    checkpoint: Path,
    evaluation: Path | None,
    tags: dict[str, str],
    shards: list[CutoutShard],
) -> "Run":
    """One run: settings, learning curves, metrics per question, datasets, files."""
    import pandas as pd
    from mlflow.entities import Metric, Param

    config = json.loads((checkpoint / "config.json").read_text())
    log = pd.read_parquet(checkpoint / "log.parquet")
    with new_run(client, tags) as run:
        run_id, start = run.info.run_id, run.info.start_time
        curves = [
            Metric(
                column, float(row[column]), start + int(1000 * row["seconds"]), int(row["epoch"])
            )
            for row in log.to_dict("records")
            for column in log.columns.drop(_NO_CURVES, errors="ignore")
        ]
        answers = []
        if evaluation is not None:
            metrics = pd.read_parquet(evaluation / "metrics.parquet")
            answers = [
                Metric(_metric_name(row), float(row["value"]), start, 0)
                for row in metrics.dropna(subset="value").to_dict("records")
            ]
        params = [Param(key, str(value)) for key, value in _flatten(config["run"])]
        for first in range(0, len(params), 100):
            client.log_batch(run_id, params=params[first : first + 100])
        for first in range(0, len(curves + answers), 1000):
            client.log_batch(run_id, metrics=(curves + answers)[first : first + 1000])
        _log_datasets(client, run_id, tags, config)
        client.log_dict(run_id, {"shards": [shard.digest for shard in shards]}, INPUTS)
        client.log_artifacts(run_id, str(checkpoint), "checkpoint")
        if evaluation is not None:
            client.log_artifacts(run_id, str(evaluation), "evaluation")
    return client.get_run(run_id)


@contextmanager
def new_run(client: "MlflowClient", tags: dict[str, str]) -> Iterator["Run"]:
    """A run that ends as finished, or as failed if it could not be logged to its end."""
    from mlflow.exceptions import MlflowException

    run = client.create_run(experiment_id(client), tags=tags)
    try:
        yield run
    except BaseException:
        # Where the registry is away by now, what failed first is told.
        with suppress(MlflowException):
            client.set_terminated(run.info.run_id, "FAILED")
        raise
    client.set_terminated(run.info.run_id, "FINISHED")


def _metric_name(row: dict[Hashable, Any]) -> str:
    """Of a question, or of a model and where there is one a class."""
    return metric_name(row[name] for name in _METRIC_PARTS if row.get(name))


def metric_name(parts: Iterable[object]) -> str:
    """A name of several parts in characters that MLflow takes."""
    return re.sub(r"[^\w\-. /:]", "_", "/".join(map(str, parts)))


def circumstances(purpose: str) -> dict[str, str]:
    """Tags that say which code ran, where, and what for."""
    return {
        "galaxyloop.code_version": code_version(),
        "galaxyloop.image": os.environ.get("GALAXYLOOP_IMAGE", "none"),
        "galaxyloop.execution": os.environ.get("FLYTE_INTERNAL_EXECUTION_ID", "local"),
        "galaxyloop.purpose": purpose,
    }


def _log_datasets(
    client: "MlflowClient", run_id: str, tags: dict[str, str], config: dict[str, Any]
) -> None:
    """The digests of what was learnt from, as MLflow dataset inputs."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    digests = {
        **{
            name: tags[f"galaxyloop.{name}_digest"]
            for name in ("survey", "votes", "labels")
            if f"galaxyloop.{name}_digest" in tags
        },
        **{name: value for name, value in _flatten(config["data"]) if name.endswith("digest")},
    }
    context = [InputTag("mlflow.data.context", "training")]
    inputs = [
        DatasetInput(
            Dataset(name, digest[:36], "galaxyloop", json.dumps({"sha256": digest})), context
        )
        for name, digest in digests.items()
    ]
    client.log_inputs(run_id, inputs)


def _flatten(config: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested settings as dotted names."""
    flat: list[tuple[str, Any]] = []
    for key, value in config.items():
        if isinstance(value, dict):
            flat += _flatten(value, f"{prefix}{key}.")
        else:
            flat.append((f"{prefix}{key}", value))
    return flat
