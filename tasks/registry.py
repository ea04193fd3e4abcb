"""MLflow: runs, metrics, artifacts and the model registry. Nothing here is ever cached."""

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flytekit import task

from galaxyloop.errors import RegistryError
from schemas.artefacts import (
    Checkpoint,
    CheckpointDirectory,
    Evaluation,
    Report,
    SurveyVersion,
    VoteTable,
)
from schemas.model_version import ModelVersion
from tasks.lineage import code_version
from tasks.local_run import is_in_pod, keep, new_directory, store_directory
from tasks.resources import RETRIES, TABLES

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

EXPERIMENT = "galaxyloop"
DIGEST_TAG = "galaxyloop.checkpoint_digest"
EVALUATION_TAG = "galaxyloop.evaluation_digest"


@task(requests=TABLES, retries=RETRIES)
def log_training(
    checkpoint: Checkpoint,
    evaluation: Evaluation,
    survey: SurveyVersion,
    votes: VoteTable,
    purpose: str,
) -> str:
    """Log one training and its evaluation; what is logged already stays one run. The run's id."""
    client = _client()
    digests = {DIGEST_TAG: checkpoint.digest, EVALUATION_TAG: evaluation.digest}
    run = _find_run(client, digests)
    if run is None:
        tags = {
            **digests,
            "galaxyloop.survey_digest": survey.digest,
            "galaxyloop.votes_digest": votes.digest,
            "galaxyloop.code_version": code_version(),
            "galaxyloop.execution": os.environ.get("FLYTE_INTERNAL_EXECUTION_ID", "local"),
            "galaxyloop.purpose": purpose,
        }
        run = _log_training(client, checkpoint.download(), evaluation.download(), tags)
    return str(run.info.run_id)


@task(requests=TABLES, retries=RETRIES)
def register_model(run_id: str, name: str, alias: str) -> ModelVersion:
    """Register the checkpoint of a logged training; the same checkpoint stays one version."""
    client = _client()
    run = client.get_run(run_id)
    digest = run.data.tags[DIGEST_TAG]
    version = _find_version(client, name, digest) or _new_version(client, name, run)
    client.set_registered_model_alias(name, alias, version)
    return ModelVersion(name, version, digest, run_id, _address(client))


@task(requests=TABLES, retries=RETRIES)
def resolve_model(model: str) -> tuple[Checkpoint, ModelVersion]:
    """The checkpoint behind ``name@alias`` or ``name/version``; what follows is keyed on it."""
    from mlflow.artifacts import download_artifacts

    from galaxyloop.checkpoint import checkpoint_digest

    client = _client()
    version = _look_up(client, model)
    local = download_artifacts(
        artifact_uri=client.get_model_version_download_uri(version.name, version.version),
        dst_path=str(new_directory("model").parent),
    )
    digest = checkpoint_digest(Path(local))
    stated = version.tags.get(DIGEST_TAG)
    if digest != stated:
        raise RegistryError(
            f"{model} should have the checkpoint digest {stated}, but its files have {digest}; "
            "they were changed after registration: register the checkpoint again"
        )
    checkpoint = keep(Path(local), CheckpointDirectory, digest)
    found = ModelVersion(
        version.name, str(version.version), digest, version.run_id, _address(client)
    )
    return checkpoint, found


@task(requests=TABLES, retries=RETRIES)
def attach_report(model: ModelVersion, report: Report) -> str:
    """Put the report beside the training it reports on; returns the run's id."""
    _client().log_artifact(model.run_id, str(report.download() / "report.html"), "report")
    return model.run_id


def _client() -> "MlflowClient":
    """A client of ``MLFLOW_TRACKING_URI``; without it, of a database in the local store."""
    import logging

    import mlflow
    from mlflow.tracking import MlflowClient

    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri and is_in_pod():
        raise RegistryError(
            "MLFLOW_TRACKING_URI must name the MLflow server: a database in a container is lost "
            "with it; set it in the environment of the tasks"
        )
    uri = uri or f"sqlite:///{store_directory()}/mlflow.db"
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(uri)
    return MlflowClient(uri)


def _address(client: "MlflowClient") -> str:
    """The registry's address without user name and password."""
    return re.sub(r"//[^/@]*@", "//", str(client.tracking_uri))


def _experiment_id(client: "MlflowClient") -> str:
    """The experiment all trainings go to; artifacts of a database lie beside it.

    MLflow stores the artifacts' place in the database. After the folder was copied, the copy's
    trainings go to an experiment of its own, so that they are not written into the original.
    """
    name, place = EXPERIMENT, None
    if client.tracking_uri.startswith("sqlite:///"):
        database = Path(client.tracking_uri.removeprefix("sqlite:///")).resolve()
        place = (database.parent / f"{database.stem}-artifacts").as_uri()
        first = client.get_experiment_by_name(name)
        if first is not None and first.artifact_location != place:
            name = f"{EXPERIMENT} in {database.parent}"
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        return str(experiment.experiment_id)
    return str(client.create_experiment(name, artifact_location=place))


def _find_run(client: "MlflowClient", digests: dict[str, str]) -> "Run | None":
    """The finished run of that checkpoint and evaluation."""
    conditions = [f"tags.`{tag}` = '{digest}'" for tag, digest in digests.items()]
    found = client.search_runs(
        [_experiment_id(client)],
        " and ".join([*conditions, "attributes.status = 'FINISHED'"]),
        max_results=1,
    )
    return found[0] if found else None


def _log_training(
    client: "MlflowClient", checkpoint: Path, evaluation: Path, tags: dict[str, str]
) -> "Run":
    """One run: settings, learning curves, metrics per question, datasets, files."""
    import pandas as pd
    from mlflow.entities import Metric, Param

    config = json.loads((checkpoint / "config.json").read_text())
    log = pd.read_parquet(checkpoint / "log.parquet")
    metrics = pd.read_parquet(evaluation / "metrics.parquet")
    run = client.create_run(_experiment_id(client), tags=tags)
    run_id = run.info.run_id
    start = run.info.start_time
    curves = [
        Metric(column, float(row[column]), start + int(1000 * row["seconds"]), int(row["epoch"]))
        for row in log.to_dict("records")
        for column in ("train_loss", "validation_loss", "learning_rate")
    ]
    answers = [
        Metric(f"{row['question']}/{row['metric']}", float(row["value"]), start, 0)
        for row in metrics.dropna(subset="value").to_dict("records")
    ]
    params = [Param(key, str(value)) for key, value in _flatten(config["run"])]
    for first in range(0, len(params), 100):
        client.log_batch(run_id, params=params[first : first + 100])
    for first in range(0, len(curves + answers), 1000):
        client.log_batch(run_id, metrics=(curves + answers)[first : first + 1000])
    _log_datasets(client, run_id, tags, config)
    client.log_artifacts(run_id, str(checkpoint), "checkpoint")
    client.log_artifacts(run_id, str(evaluation), "evaluation")
    client.set_terminated(run_id, "FINISHED")
    return client.get_run(run_id)


def _log_datasets(
    client: "MlflowClient", run_id: str, tags: dict[str, str], config: dict[str, Any]
) -> None:
    """The digests of what was learnt from, as MLflow dataset inputs."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    digests = {
        "survey": tags["galaxyloop.survey_digest"],
        "votes": tags["galaxyloop.votes_digest"],
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


def _source(digest: str) -> str:
    """MLflow keeps 36 characters of a digest; the source keeps all."""
    return json.dumps({"sha256": digest})


def _find_version(client: "MlflowClient", name: str, digest: str) -> str | None:
    """The version of that model that holds this checkpoint, in this experiment."""
    here = _experiment_id(client)
    for version in client.search_model_versions(f"name = '{name}'"):
        is_same = version.tags.get(DIGEST_TAG) == digest
        if is_same and client.get_run(str(version.run_id)).info.experiment_id == here:
            return str(version.version)
    return None


def _new_version(client: "MlflowClient", name: str, run: "Run") -> str:
    """Register the run's checkpoint."""
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    version = client.create_model_version(
        name,
        source=f"{run.info.artifact_uri}/checkpoint",
        run_id=run.info.run_id,
        tags={key: value for key, value in run.data.tags.items() if key.startswith("galaxyloop.")},
    )
    return str(version.version)


def _look_up(client: "MlflowClient", model: str) -> Any:  # noqa: ANN401 - mlflow is untyped
    """The registry's entry for ``name@alias`` or ``name/version``."""
    from mlflow.exceptions import MlflowException

    try:
        if "@" in model:
            return client.get_model_version_by_alias(*model.split("@", 1))
        if "/" in model:
            return client.get_model_version(*model.split("/", 1))
    except MlflowException as error:
        known = ", ".join(found.name for found in client.search_registered_models()) or "none"
        raise RegistryError(
            f"there is no model '{model}' in {client.tracking_uri}; registered models: {known}"
        ) from error
    raise RegistryError(f"name a model as name@alias or name/version, got '{model}'")


def _flatten(config: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested settings as dotted names."""
    flat: list[tuple[str, Any]] = []
    for key, value in config.items():
        if isinstance(value, dict):
            flat += _flatten(value, f"{prefix}{key}.")
        else:
            flat.append((f"{prefix}{key}", value))
    return flat
