"""Which results registered models, and the trainings behind them, were made of."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galaxyloop.errors import RegistryError
from tasks.registry.client import REGISTRIES, without_password

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


def digests_in_lineages(store: Path) -> set[str]:
    """Digests of checkpoints, surveys, votes and labels that registries name.

    Asked are the registries that runs into this store have used, and ``MLFLOW_TRACKING_URI``; of
    databases only those that are still there.

    Raises:
        RegistryError: a registry does not answer.
    """
    return {digest for uri in _registries(store) for digest in _digests(uri)}


def _registries(store: Path) -> list[str]:
    """Addresses, the one of the environment with its password."""
    notes = store / REGISTRIES
    noted = notes.read_text().splitlines() if notes.exists() else []
    now = os.environ.get("MLFLOW_TRACKING_URI", "")
    uris = [uri for uri in noted if uri != without_password(now)]
    uris += [now] if now else []
    return [uri for uri in uris if not _is_gone(uri)]


def _is_gone(uri: str) -> bool:
    """Whether it is a database that nobody would find."""
    return uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists()


def _digests(uri: str) -> Iterator[str]:
    """The digests that one registry names."""
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient
    from sqlalchemy.exc import SQLAlchemyError

    try:
        for tags in _tags(MlflowClient(uri)):
            yield from (
                digest
                for name, digest in tags.items()
                if name.startswith("galaxyloop.") and name.endswith("_digest")
            )
    except (MlflowException, SQLAlchemyError) as error:
        raise RegistryError(
            f"the registry {without_password(uri)} does not say what its models were made of: "
            f"{' '.join(str(error).split())[:300]}; start it, or take its line out of "
            f"{REGISTRIES} in the store if it is no more"
        ) from error


def _tags(client: "MlflowClient") -> Iterator[Mapping[str, str]]:
    """The tags of all registered versions and all runs."""
    from mlflow.entities import ViewType

    for version in _pages(client.search_model_versions):
        yield version.tags
    experiments = [one.experiment_id for one in _pages(client.search_experiments)]
    if experiments:
        for run in _pages(client.search_runs, experiments, run_view_type=ViewType.ALL):
            yield run.data.tags


def _pages(ask: Callable[..., Any], *arguments: object, **named: object) -> Iterator[Any]:
    """Everything that a search finds, a page at a time."""
    token = None
    while True:
        page = ask(*arguments, page_token=token, **named)
        yield from page
        token = page.token
        if not token:
            return
