"""Versions: registered models, their aliases, and their files when wanted again; never cached."""

import logging
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flytekit import task

from galaxyloop.errors import RegistryError
from schemas.artefacts import Checkpoint, CheckpointDirectory, Report
from schemas.model_version import ModelVersion
from tasks.local_run import keep, new_directory
from tasks.registry import packaging
from tasks.registry.aliases import CHALLENGER, CHAMPION, GATED, aliased
from tasks.registry.client import (
    address_of,
    experiment_id,
    look_up,
    open_client,
    telling_failures,
    unless_there,
)
from tasks.registry.locking import registry_lock
from tasks.registry.runs import DIGEST_TAG
from tasks.resources import CPU_IMAGE, RETRIES, TABLES, retrying_storage

logger = logging.getLogger("galaxyloop")

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

_MODEL = r"[^/:@]+(@[^/:@]+|/[0-9]+)"
"""A registered model's name with an alias or a version."""


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def resolve_start(start: str) -> list[Checkpoint]:
    """What a training starts from: a registered model, a checkpoint's folder, or nothing.

    An empty name gives an empty list. The checkpoint comes with the digest of its content, so
    that what follows is keyed on the weights and not on their name.
    """
    return open_start(start)


def open_start(start: str) -> list[Checkpoint]:
    """As ``resolve_start``, for tasks that do more.

    Raises:
        RegistryError: it is neither a folder here nor a model's name, or there is no such model.
        CheckpointError: the folder holds no checkpoint.
    """
    from galaxyloop.checkpoint import checkpoint_digest

    if not start:
        return []
    if not Path(start).is_dir():
        if not re.fullmatch(_MODEL, start):
            raise RegistryError(
                f"start '{start}' is neither a folder that exists nor a registered model's "
                "name@alias or name/version; copy a checkpoint that lies elsewhere into a folder, "
                "or register it"
            )
        return [_download(open_client(), start)[0]]
    digest = checkpoint_digest(Path(start))
    copy = new_directory("model")
    shutil.copytree(start, copy)
    return [keep(copy, CheckpointDirectory, digest)]


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def register_model(run_id: str, name: str, alias: str) -> ModelVersion:
    """Register the checkpoint of a logged training; the same checkpoint stays one version.

    It gets the alias, unless it is the champion. Who becomes champion, a promotion decides.

    Raises:
        RegistryError: the alias is not to be given away here, or there is no lock to write under.
    """
    if alias in GATED:
        raise RegistryError(
            f"the alias '{alias}' is moved by promotions and rollbacks only; register as "
            f"'{CHALLENGER}', then promote"
        )
    client = open_client()
    with retrying_storage(), telling_failures(client), registry_lock(client, name) as still_held:
        run = client.get_run(run_id)
        digest = run.data.tags[DIGEST_TAG]
        version = _find_version(client, name, digest)
        if version is None:
            still_held()
            # A server that answered too late may have made two: all take the first.
            made = _new_version(client, name, run)
            version = _find_version(client, name, digest) or made
        if aliased(client, name, CHAMPION) != version:
            client.set_registered_model_alias(name, alias, version)
        packaging.mirror_aliases(client, name)
    return ModelVersion(name, version, digest, run_id, address_of(client))


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def resolve_model(model: str) -> tuple[Checkpoint, ModelVersion]:
    """The checkpoint behind ``name@alias`` or ``name/version``; what follows is keyed on it."""
    client = open_client()
    checkpoint, version = _download(client, model)
    found = ModelVersion(
        version.name, str(version.version), checkpoint.digest, version.run_id, address_of(client)
    )
    return checkpoint, found


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def resolve_models(
    model: str, further_models: list[str]
) -> tuple[list[Checkpoint], list[ModelVersion]]:
    """As ``resolve_model``, for the members of an ensemble; each counts once.

    Raises:
        RegistryError: two names stand for the same weights.
    """
    client = open_client()
    checkpoints: list[Checkpoint] = []
    versions: list[ModelVersion] = []
    for name in (model, *further_models):
        checkpoint, version = _download(client, name)
        if checkpoint.digest in [other.digest for other in checkpoints]:
            raise RegistryError(
                f"'{name}' has the same weights as another of the models ({version.name} version "
                f"{version.version}); name each member of an ensemble once"
            )
        checkpoints.append(checkpoint)
        digest, run_id = checkpoint.digest, version.run_id
        versions.append(
            ModelVersion(version.name, str(version.version), digest, run_id, address_of(client))
        )
    return checkpoints, versions


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def fetch_metrics(model: ModelVersion) -> str:
    """A model's metrics on held-out galaxies as JSON, row by row.

    Empty if it was not evaluated, or its run is gone: no catalogue waits for that.
    """
    import pandas as pd
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    client = open_client()
    try:
        names = {found.path for found in client.list_artifacts(model.run_id, "evaluation")}
        if "evaluation/metrics.parquet" not in names:
            return ""
        with tempfile.TemporaryDirectory() as scratch:
            uri = f"runs:/{model.run_id}/evaluation/metrics.parquet"
            path = download_artifacts(artifact_uri=uri, dst_path=scratch)
            return str(pd.read_parquet(path).to_json(orient="records"))
    except MlflowException as error:
        logger.warning("metrics of %s are not on the card: %s", model.name, error)
        return ""


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def attach_report(model: ModelVersion, report: Report) -> str:
    """Put the report beside the training it reports on; returns the run's id."""
    open_client().log_artifact(model.run_id, str(report.download() / "report.html"), "report")
    return model.run_id


def download_version(client: "MlflowClient", model: str) -> Checkpoint:
    """The checkpoint behind ``name@alias`` or ``name/version``."""
    return _download(client, model)[0]


def _download(client: "MlflowClient", model: str) -> tuple[Checkpoint, Any]:
    """The checkpoint of a registered model, and the registry's entry."""
    from mlflow.artifacts import download_artifacts

    from galaxyloop.checkpoint import checkpoint_digest

    version = look_up(client, model)
    source = client.get_model_version_download_uri(version.name, version.version)
    if not source.endswith("/checkpoint"):  # as the source of versions was before they were models
        source = f"{source}/{packaging.CHECKPOINT}"
    local = download_artifacts(
        artifact_uri=source,
        dst_path=str(new_directory("model").parent),
    )
    digest = checkpoint_digest(Path(local))
    stated = version.tags.get(DIGEST_TAG)
    if digest != stated:
        raise RegistryError(
            f"{model} should have the checkpoint digest {stated}, but its files have {digest}; "
            "they were changed after registration: register the checkpoint again"
        )
    return keep(Path(local), CheckpointDirectory, digest), version


def _find_version(client: "MlflowClient", name: str, digest: str) -> str | None:
    """The first version of that model that holds this checkpoint, in this experiment."""
    here = experiment_id(client)
    asked = f"name = '{name}' and tags.`{DIGEST_TAG}` = '{digest}'"
    found = [
        int(version.version)
        for version in client.search_model_versions(asked)
        if client.get_run(str(version.run_id)).info.experiment_id == here
    ]
    return str(min(found)) if found else None


def _new_version(client: "MlflowClient", name: str, run: "Run") -> str:
    """Register the run's checkpoint, as a model for images and as one for arrays."""
    digest = run.data.tags[DIGEST_TAG]
    named = client.search_model_versions(f"run_id = '{run.info.run_id}'")
    if not any(str(version.source).endswith(f"/{packaging.IMAGES}") for version in named):
        packaging.package_run(client, run, digest)
    if packaging.find_array_version(client, name, digest) is None:
        _create_version(client, f"{name}{packaging.ARRAY_ENDING}", run, packaging.ARRAYS)
    return _create_version(client, name, run, packaging.IMAGES)


def _create_version(client: "MlflowClient", name: str, run: "Run", place: str) -> str:
    """A version whose files are an artifact of the run."""
    if not client.search_registered_models(f"name = '{name}'"):
        with unless_there():
            client.create_registered_model(name)
    version = client.create_model_version(
        name,
        source=f"{run.info.artifact_uri}/{place}",
        run_id=run.info.run_id,
        tags={key: value for key, value in run.data.tags.items() if key.startswith("galaxyloop.")},
    )
    return str(version.version)
