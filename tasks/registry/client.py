"""The MLflow client and where its experiments lie."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galaxyloop.errors import RegistryError, StorageError
from tasks.local_run import is_in_pod, store_directory
from tasks.resources import retrying_storage

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT = "galaxyloop"
REGISTRIES = "registries.txt"
"""In the local store: addresses of the registries that its results were registered in."""


def open_client() -> "MlflowClient":
    """A client of ``MLFLOW_TRACKING_URI``; without it, of a database in the local store."""
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
    # Without this MLflow asks a silent server for more than four minutes, each time.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri)
    with retrying_storage():
        _check_answer(client)
    if not is_in_pod():
        note_registry(uri)
    return client


def _check_answer(client: "MlflowClient") -> None:
    """Refuse a registry that does not answer, or not to us."""
    with telling_failures(client):
        client.search_registered_models(max_results=1)


@contextmanager
def telling_failures(client: "MlflowClient") -> Iterator[None]:
    """Tell what the registry answers to a person, and what may pass to a cluster.

    MLflow itself has tried again after answers of 5xx and time-outs before it fails. Errors are
    told without their causes, which repeat the address with its password.

    Raises:
        RegistryError: the registry refuses.
        StorageError: it failed, or does not answer.
    """
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    try:
        yield
    except (MlflowException, RequestException) as error:
        told = _in_a_line(error)
        status = _status(error)
        if status < 500 or re.search(r"error code 4\d\d", told):
            raise RegistryError(
                f"the model registry {address_of(client)} refuses: {told}; check "
                "MLFLOW_TRACKING_URI and the credentials for it"
            ) from None
        raise StorageError(
            f"the model registry {address_of(client)} does not answer: {told}; start it, or set "
            "MLFLOW_TRACKING_URI to where it is"
        ) from None


def _status(error: Any) -> int:  # noqa: ANN401 - of mlflow or requests, which are untyped
    """The status of an answer; 500 where there was none."""
    if hasattr(error, "get_http_status_code"):
        return int(error.get_http_status_code())
    answer = getattr(error, "response", None)
    return 500 if answer is None else int(answer.status_code)


def _in_a_line(error: Exception) -> str:
    """What an error says, in a line without passwords."""
    return without_password(" ".join(str(error).split()))[:300]


def address_of(client: "MlflowClient") -> str:
    """The registry's address without user name and password."""
    return without_password(str(client.tracking_uri))


def without_password(text: str) -> str:
    """An address, or a message with one, without user name and password.

    A password that was not escaped may hold any character: all goes up to the last ``@``. Files
    have none.
    """
    hidden = re.sub(r"(?<!sqlite)(?<!file)://\S*@", "://", text)
    return re.sub(r"(?i)\b(password=)[^&\s]*", r"\1***", hidden)


def note_registry(uri: str) -> None:
    """Note in the local store that a registry may know of its results, so that those are kept."""
    notes = store_directory() / REGISTRIES
    address = without_password(uri)
    if uri.startswith("sqlite:///"):
        address = f"sqlite:///{Path(uri.removeprefix('sqlite:///')).resolve()}"
    if not notes.exists() or address not in notes.read_text().splitlines():
        notes.parent.mkdir(parents=True, exist_ok=True)
        with notes.open("a") as file:
            file.write(f"{address}\n")


@contextmanager
def unless_there() -> Iterator[None]:
    """Make what may be there by now: of another writer, or of a request whose answer was lost."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def experiment_id(client: "MlflowClient") -> str:
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
    if client.get_experiment_by_name(name) is None:
        with unless_there():
            client.create_experiment(name, artifact_location=place)
    experiment: Any = client.get_experiment_by_name(name)
    return str(experiment.experiment_id)


def look_up(client: "MlflowClient", model: str) -> Any:  # noqa: ANN401 - mlflow is untyped
    """The registry's entry for ``name@alias`` or ``name/version``."""
    from mlflow.exceptions import MlflowException

    with telling_failures(client):
        try:
            if "@" in model:
                return client.get_model_version_by_alias(*model.split("@", 1))
            if "/" in model:
                return client.get_model_version(*model.split("/", 1))
        except MlflowException as error:
            if _status(error) >= 500:
                raise
            raise RegistryError(_say_missing(client, model)) from None
    raise RegistryError(f"name a model as name@alias or name/version, got '{model}'")


def _say_missing(client: "MlflowClient", model: str) -> str:
    """What of ``name@alias`` or ``name/version`` is not there, and what is."""
    models = {found.name: found for found in client.search_registered_models()}
    name, _, alias = model.partition("@")
    if alias and name in models:
        aliases = dict(models[name].aliases)
        there = ", ".join(f"{one} (version {number})" for one, number in sorted(aliases.items()))
        return f"the model '{name}' has no alias '{alias}'; it has {there or 'none'}"
    known = ", ".join(models) or "none"
    return f"there is no model '{model}' in {address_of(client)}; registered models: {known}"
