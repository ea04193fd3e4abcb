"""One writer of a registered model's aliases at a time.

The registry moves an alias without asking where it was. So whoever moves one holds a lock, and
looks again under it.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from galaxyloop.errors import RegistryError, StorageError
from tasks.registry.client import address_of, without_password

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient
    from psycopg import Connection

LOCK_URI = "GALAXYLOOP_LOCK_URI"
"""Where writers of a server's registry meet: a PostgreSQL database, or a folder they share."""
LOCK_TIMEOUT = "GALAXYLOOP_LOCK_TIMEOUT_S"
"""How long to wait for the others."""
_TIMEOUT_S = 300.0

StillHeld = Callable[[], None]
"""Raises if the lock was lost meanwhile, as with the connection it hung on."""


@contextmanager
def registry_lock(client: "MlflowClient", name: str) -> Iterator[StillHeld]:
    """Hold the lock of one registered model; it is free again when the process ends.

    Embedded it is a file beside the database, of a PostgreSQL database an advisory lock in it.
    A server has no lock to offer: there ``GALAXYLOOP_LOCK_URI`` names one.

    Args:
        client: of the registry.
        name: the registered model's.

    Yields:
        A check to be made just before the registry is changed.

    Raises:
        RegistryError: there is nothing to hold a lock with.
        StorageError: others held it for too long, or the database does not answer.
    """
    uri, timeout_s = _lock_uri(client), _timeout_s()
    if uri.startswith("postgresql"):
        with _database_lock(uri, name, timeout_s) as still_held:
            yield still_held
    else:
        with _file_lock(Path(unquote(urlsplit(uri).path)), name, timeout_s):
            yield lambda: None


def check_lock(client: "MlflowClient") -> None:
    """Refuse now what registering would refuse after the training.

    Raises:
        RegistryError: there is nothing to hold a lock with.
        StorageError: the lock's database does not answer.
    """
    uri = _lock_uri(client)
    if uri.startswith("postgresql"):
        _connect(uri).close()


def _lock_uri(client: "MlflowClient") -> str:
    """The database or file that the registry's writers meet at."""
    tracking = str(client.tracking_uri)
    if tracking.startswith("sqlite:///"):
        database = Path(tracking.removeprefix("sqlite:///")).resolve()
        return database.with_name(f"{database.name}.lock").as_uri()
    if re.match(r"postgres(ql)?(\+\w+)?://", tracking):
        return _plain(tracking)
    told = os.environ.get(LOCK_URI, "")
    if re.match(r"postgres(ql)?(\+\w+)?://", told):
        return _plain(told)
    if told.startswith("file:///"):
        return f"{told.rstrip('/')}/galaxyloop-registry.lock"
    raise RegistryError(
        f"models of {address_of(client)} cannot be registered or promoted without a lock, so that "
        f"two writers never cross: set {LOCK_URI} to postgresql://... (the server's own database "
        "will do) or to file:///folder if all writers share a disk, the same for all of them; "
        f"got '{without_password(told)}'"
    )


def _plain(uri: str) -> str:
    """The address as PostgreSQL's own library takes it, without the name of a driver."""
    return re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", uri)


def _timeout_s() -> float:
    """Seconds to wait."""
    told = os.environ.get(LOCK_TIMEOUT, str(_TIMEOUT_S))
    if not re.fullmatch(r"\d+(\.\d+)?", told):
        raise RegistryError(f"{LOCK_TIMEOUT} must be a number of seconds, got '{told}'")
    return float(told)


@contextmanager
def _file_lock(path: Path, name: str, timeout_s: float) -> Iterator[None]:
    """A lock on a file, which stays and is empty."""
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=timeout_s)
    except Timeout as error:
        raise _busy(name, str(path), timeout_s) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _database_lock(uri: str, name: str, timeout_s: float) -> Iterator[StillHeld]:
    """An advisory lock that a transaction holds, so that it goes through a connection pool too."""
    import psycopg

    place = without_password(uri)
    connection = _connect(uri)

    def still_held() -> None:
        try:
            connection.execute("SELECT 1")
        except psycopg.Error:
            raise StorageError(
                f"the lock of '{name}' in {place} was lost with its connection; run again"
            ) from None

    key = int.from_bytes(hashlib.sha256(f"galaxyloop {name}".encode()).digest()[:8], signed=True)
    limits = {"lock_timeout": round(1000 * timeout_s), "idle_in_transaction_session_timeout": 0}
    try:
        for setting, value in limits.items():
            connection.execute("SELECT set_config(%s, %s, true)", (setting, str(value)))
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (key,))
        yield still_held
    except psycopg.errors.LockNotAvailable:
        raise _busy(name, place, timeout_s) from None
    finally:
        connection.close()


def _connect(uri: str) -> "Connection":
    """A connection; errors are told without their causes, which may repeat the password."""
    import psycopg

    try:
        return psycopg.connect(uri, connect_timeout=10, application_name="galaxyloop")
    except psycopg.Error as error:
        told = _without_secret(" ".join(str(error).split()), uri)
        raise StorageError(
            f"the lock's database {without_password(uri)} does not answer: {told}; check "
            f"{LOCK_URI}, or MLFLOW_TRACKING_URI where that is the database, and its credentials"
        ) from None


def _without_secret(text: str, uri: str) -> str:
    """A message without the password of an address, however it is spelt."""
    secret = urlsplit(uri).password or ""
    for spelt in {secret, unquote(secret)} - {""}:
        text = text.replace(spelt, "***")
    return without_password(text)


def _busy(name: str, place: str, timeout_s: float) -> StorageError:
    """Others took too long."""
    return StorageError(
        f"somebody else has been registering or promoting '{name}' for {timeout_s:g} s (the lock "
        f"is {place}); wait for them and run again, or raise {LOCK_TIMEOUT}"
    )
