"""Registries that tests share."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.tasks.registry_servers import NO_POSTGRES, running_mlflow, running_postgres


class Registry(NamedTuple):
    """Where a registry is, and the lock of its writers."""

    address: str
    lock_uri: str


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL database; its address holds a password."""
    if NO_POSTGRES:
        pytest.skip(NO_POSTGRES)
    with running_postgres() as uri:
        yield uri


@pytest.fixture(scope="session")
def server_on_postgres(
    postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    """An MLflow server whose database is PostgreSQL, which also holds the lock."""
    with running_mlflow(postgres, tmp_path_factory.mktemp("server")) as address:
        yield Registry(address, postgres)


@pytest.fixture(scope="session")
def server_on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """An MLflow server whose database is a file; the lock is one in a folder."""
    folder: Path = tmp_path_factory.mktemp("server")
    with running_mlflow(f"sqlite:///{folder}/mlflow.db", folder) as address:
        yield Registry(address, f"file://{folder}/locks")
