"""The interpreter that ``WarmPods`` forks: reads orders, answers with process id and exit code."""

import atexit
import functools
import importlib
import importlib.metadata
import json
import os
import pkgutil
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from typing import Any

import botocore.session
from botocore.loaders import JSONFileLoader

_IMPORTED = (
    "flytekit.bin.entrypoint",
    "flytekitplugins.pandera",
    "pandera.pandas",
    "pandera.typing.dask",
    "pyarrow.parquet",
    "s3fs",
    "torch",
    "timm",
    "lightning.pytorch",
    "mlflow.tracking",
    "mlflow.store.tracking.sqlalchemy_store",
    "sklearn.linear_model",
    "matplotlib.pyplot",
    "astropy.io.fits",
    "cv2",
)
"""What takes long to import, besides our own tasks. Importing workflows would start a thread."""


def main() -> None:
    """Serve orders until there are no more."""
    for name in _IMPORTED:
        importlib.import_module(name)
    for module in pkgutil.iter_modules(importlib.import_module("tasks").__path__):
        importlib.import_module(f"tasks.{module.name}")
    _read_once()
    # A thread that runs here would be missing in the forks.
    assert threading.active_count() == 1, threading.enumerate()
    for line in sys.stdin:
        order = json.loads(line)
        program = _find(order["command"][0])
        pid = os.fork()
        if pid == 0:
            _become(order)
            _end(program)
        print(pid, flush=True)  # noqa: T201 - the answer
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer


def _read_once() -> None:
    """Let forks find botocore's descriptions of services read: half a second for each client."""
    read = functools.cache(JSONFileLoader().load_file)
    JSONFileLoader.load_file = lambda _, path: read(path)  # type: ignore[method-assign]
    client = botocore.session.get_session().create_client("s3", region_name="us-east-1")
    client.close()


def _end(program: Callable[[], Any]) -> None:
    """Run a program to its end, without tearing down what the fork shares with its parent."""
    code: object = 0
    try:
        program()
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        # As an interpreter does at its end.
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _find(name: str) -> Callable[[], Any]:
    """The function that an installed program runs."""
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name=name)
    program: Callable[[], Any] = entry.load()
    return program


def _become(order: dict[str, Any]) -> None:
    """Let this fork be the pod."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    tempfile.tempdir = None
    sys.argv = order["command"]


if __name__ == "__main__":
    main()
