"""An MLflow server and a PostgreSQL database on loopback, which end with the test."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE_S = 180.0
_PASSWORD = "postgres"


def find_postgres() -> Path | None:
    """The folder of PostgreSQL's server programs; None where it is not installed."""
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("initdb")
    folders = [*([Path(on_path).parent] if on_path else []), *packaged]
    return next((one for one in folders if (one / "postgres").exists()), None)


NO_POSTGRES = (
    "" if find_postgres() else ("PostgreSQL's server is not installed: apt-get install postgresql")
)
"""Why tests that need it are skipped; empty if they are not."""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def running_postgres() -> Iterator[str]:
    """The address of an empty database ``mlflow``, with a password that must be escaped."""
    programs = find_postgres()
    assert programs is not None, NO_POSTGRES
    folder, identity = Path(tempfile.mkdtemp(prefix="galaxyloop-postgres-")), _identity()
    password, port = f"p@ss/{secrets.token_hex(8)}", free_port()
    (folder / _PASSWORD).write_text(password)
    if identity:
        for path in (folder, folder / _PASSWORD):
            os.chown(path, identity["user"], identity["group"])
    made = [str(programs / "initdb"), "-D", str(folder / "data"), "-U", "galaxyloop", "-A"]
    made += ["scram-sha-256", f"--pwfile={folder / _PASSWORD}", "-N", "-E", "UTF8"]
    subprocess.run(made, check=True, capture_output=True, cwd=folder, **identity)
    command = [str(programs / "postgres"), "-D", str(folder / "data"), "-p", str(port), "-F"]
    command += ["-h", "127.0.0.1", "-k", str(folder), "-c", "max_connections=100"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **identity)
        try:
            escaped = password.replace("@", "%40").replace("/", "%2F")
            address = f"postgresql://galaxyloop:{escaped}@127.0.0.1:{port}"
            _create_database(address, server)
            yield f"{address}/mlflow"
        finally:
            # Do not wait for clients that are still connected.
            server.send_signal(signal.SIGINT)
            server.wait()
            shutil.rmtree(folder)


def _identity() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    names = {one.pw_name: one for one in pwd.getpwall()}
    user = names.get("postgres") or names["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _create_database(address: str, server: "subprocess.Popen[bytes]") -> None:
    """Once the server answers."""
    import psycopg

    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
                connection.execute("CREATE DATABASE mlflow")
                return
        except psycopg.OperationalError:
            assert server.poll() is None, "PostgreSQL has ended"
            assert time.monotonic() < deadline
            time.sleep(0.1)


@contextmanager
def running_mlflow(backend: str, folder: Path, artifacts: str = "") -> Iterator[str]:
    """The address of a server whose artifacts go through it into a folder or an object store.

    Args:
        backend: ``sqlite:///...`` or ``postgresql://...``.
        folder: exists; also holds the server's log.
        artifacts: address of their place, which the environment's keys open; empty for the folder.
    """
    address = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1"]
    command += [
        "--port",
        address.rsplit(":", 1)[1],
        "--artifacts-destination",
        artifacts or str(folder / "a"),
    ]
    # The address of the database is in the environment, where other users do not see it.
    environment = {key: value for key, value in os.environ.items() if "MLFLOW" not in key}
    environment |= {
        "MLFLOW_BACKEND_STORE_URI": backend,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Half a dozen further processes, for jobs that nobody here starts.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, cwd=folder, start_new_session=True
        )
        try:
            _wait(f"{address}/health", server, folder / "server.log")
            yield address
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _wait(address: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until the server is well."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert server.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
