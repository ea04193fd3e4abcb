"""One writer at a time, how long the others wait, and what nobody gets to see."""

import logging
import subprocess
import sys
import time
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from galaxyloop.errors import RegistryError, StorageError
from tasks.registry.client import without_password
from tasks.registry.locking import check_lock, registry_lock
from tests.tasks.registry_servers import free_port

WAITING = "GALAXYLOOP_LOCK_TIMEOUT_S"


def client_of(uri: str) -> Any:  # noqa: ANN401 - stands for MLflow's client, which is untyped
    return SimpleNamespace(tracking_uri=uri)


def take(client: Any, name: str = "galaxies") -> None:  # noqa: ANN401 - as above
    """Take the lock and give it back."""
    with registry_lock(client, name):
        pass


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GALAXYLOOP_LOCK_URI", raising=False)
    monkeypatch.setenv(WAITING, "0.2")


def test_registry_lock__of_a_database_file_is_one_for_all(tmp_path: Path) -> None:
    client = client_of(f"sqlite:///{tmp_path}/with space/mlflow.db")
    with registry_lock(client, "galaxies"):
        assert (tmp_path / "with space" / "mlflow.db.lock").exists()
        message = r"registering or promoting 'galaxies' for 0\.2 s .*mlflow\.db\.lock.*run again"
        with pytest.raises(StorageError, match=message):
            take(client)
    take(client)


def test_registry_lock__is_free_once_its_holder_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    code = (
        "import sys, time; from types import SimpleNamespace\n"
        "from tasks.registry.locking import registry_lock\n"
        "with registry_lock(SimpleNamespace(tracking_uri=sys.argv[1]), 'galaxies'):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, uri]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StorageError):
            take(client_of(uri))
        holder.kill()
    monkeypatch.setenv(WAITING, "5")
    take(client_of(uri))


def test_registry_lock__of_a_server_meets_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GALAXYLOOP_LOCK_URI", f"file://{tmp_path}/locks")
    client = client_of("http://127.0.0.1:9")
    with registry_lock(client, "galaxies"):
        assert [path.name for path in (tmp_path / "locks").iterdir()] == [
            "galaxyloop-registry.lock"
        ]
        with pytest.raises(StorageError):
            take(client)


@pytest.mark.parametrize("told", ["", "mysql://me:sec/r@et@host/locks", "file://folder"])
def test_registry_lock__of_a_server_must_be_named(
    told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GALAXYLOOP_LOCK_URI", told)
    client = client_of("http://me:sec/r@et@mlflow.example.org")
    message = "cannot be registered or promoted without a lock.*set GALAXYLOOP_LOCK_URI to postgres"
    with pytest.raises(RegistryError, match=message) as raised:
        take(client)
    with pytest.raises(RegistryError, match=message):
        check_lock(client)
    assert "et@" not in str(raised.value)
    assert "sec" not in str(raised.value)


def test_registry_lock__refuses_a_time_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WAITING, "long")
    client = client_of(f"sqlite:///{tmp_path}/mlflow.db")
    message = f"{WAITING} must be a number of seconds, got 'long'"
    with pytest.raises(RegistryError, match=message):
        take(client)


def test_registry_lock__in_postgresql_is_one_a_name(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct = client_of(postgres.replace("postgresql://", "postgresql+psycopg://"))
    monkeypatch.setenv("GALAXYLOOP_LOCK_URI", postgres)
    server = client_of("http://127.0.0.1:9")
    with registry_lock(direct, "galaxies") as still_held:
        check_lock(direct)
        with registry_lock(server, "others"):
            still_held()
        before = time.monotonic()
        with pytest.raises(StorageError, match="'galaxies' for 0.2 s") as raised:
            take(server)
        assert 0.2 <= time.monotonic() - before < 5
    assert_hidden(postgres, raised)
    take(server)


def test_registry_lock__notices_that_it_was_lost(postgres: str) -> None:
    import psycopg

    with registry_lock(client_of(postgres), "galaxies") as still_held:
        with psycopg.connect(postgres, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            )
        with pytest.raises(StorageError, match="was lost with its connection; run") as raised:
            still_held()
    assert_hidden(postgres, raised)
    take(client_of(postgres))


def test_registry_lock__tells_a_database_that_refuses_or_is_away(
    postgres: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = postgres.replace("%40ss", "%40wrong")
    away = postgres.replace(str(urlsplit(postgres).port), str(free_port()))
    for uri in (wrong, away, f"{postgres}?password=hidden%20word&nonsense=1"):
        with pytest.raises(StorageError, match="does not answer: .*credentials") as raised:
            take(client_of(uri))
        with pytest.raises(StorageError, match="does not answer: "):
            check_lock(client_of(uri))
        assert_hidden(uri, raised)
        assert "hidden" not in str(raised.value)
    assert str(urlsplit(wrong).password) not in caplog.text


def assert_hidden(uri: str, raised: pytest.ExceptionInfo[StorageError]) -> None:
    """The password is neither in the message nor in what a traceback prints."""
    printed = "".join(traceback.format_exception(raised.value))
    password = str(urlsplit(uri).password)
    assert password not in printed
    assert unquote(password) not in printed
    assert "galaxyloop:" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://me:secret@host:1/x", "https://host:1/x"),
        ("https://me:se/c@ret@host/x", "https://host/x"),
        ("no answer from http://me:se@cret@host/x, at all", "no answer from http://host/x, at all"),
        (
            "postgresql://host/db?user=me&password=se%40cret&x=1",
            "postgresql://host/db?user=me&password=***&x=1",
        ),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("file:///disk/a@b", "file:///disk/a@b"),
        ("http://host/x", "http://host/x"),
    ],
)
def test_without_password__leaves_the_place(text: str, expected: str) -> None:
    assert without_password(text) == expected
