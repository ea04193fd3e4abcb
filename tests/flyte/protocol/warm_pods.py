"""The interpreter that ``WarmPods`` forks: reads orders, answers with process id and exit code."""

import importlib
import importlib.metadata
import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import Any

_IMPORTED = (
    "flytekit.bin.entrypoint",
    "flytekitplugins.pandera",
    "pandera.pandas",
    "pyarrow.parquet",
    "s3fs",
    "torch",
    "timm",
    "lightning.pytorch",
    "mlflow.tracking",
    "sklearn.linear_model",
    "matplotlib.pyplot",
    "astropy.io.fits",
    "cv2",
)
"""What comes from others' packages and takes long to import."""


def main() -> None:
    """Serve orders until there are no more."""
    for name in _IMPORTED:
        importlib.import_module(name)
    # A thread that runs here would be missing in the forks.
    assert threading.active_count() == 1, threading.enumerate()
    for line in sys.stdin:
        order = json.loads(line)
        program = _find(order["command"][0])
        pid = os.fork()
        if pid == 0:
            _become(order)
            program()
            sys.exit(0)
        print(pid, flush=True)  # noqa: T201 - the answer
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer


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
