"""Pods: a container's command line, environment and disk, run on this machine."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.flyte.protocol.registration import PROGRAMS, PROJECT

LIMIT_S = 300.0
"""A pod that has not ended by then is killed."""
_LOOK_S = 0.05


@dataclass(frozen=True)
class Pod:
    """One attempt at a task."""

    place: str
    """Execution and node."""
    task: str
    """The function, as ``tasks.ingest.read_survey``."""
    attempt: int
    command: list[str]
    environment: dict[str, str]
    folder: Path
    """All the disk it has: home, working directory and temporary files; gone with the pod."""
    checkpoint: str
    """Where it saves its state."""

    @property
    def log(self) -> Path:
        return self.folder.with_suffix(".log")


Poll = Callable[[], int | None]
Eviction = Callable[[Pod], bool]


def stays(_: Pod) -> bool:
    """No node is ever drained."""
    return False


class FreshPods:
    """Each pod is a process of its own, started by the command line as it stands."""

    def run(self, pod: Pod, is_evicted: Eviction = stays) -> int:
        with pod.log.open("wb") as log:
            process = subprocess.Popen(
                pod.command,
                cwd=pod.folder,
                env=pod.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            return _watch(pod, process.pid, lambda: _poll(process), is_evicted)


class WarmPods:
    """Each pod is a fork of one interpreter that has imported all it may need.

    The program that the command line names runs in the fork with these arguments, this environment
    and this disk. That saves ten seconds of importing a pod.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        """Start the interpreter; imports see this environment."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.flyte.protocol.warm_pods"],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )

    def run(self, pod: Pod, is_evicted: Eviction = stays) -> int:
        order = {
            "command": pod.command,
            "environment": pod.environment,
            "folder": str(pod.folder),
            "log": str(pod.log),
        }
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(order)}\n".encode())
        return _watch(pod, self._answer(), self._poll, is_evicted)

    def _answer(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the warm interpreter has ended"
        return int(line)

    def _poll(self) -> int | None:
        ready, _, _ = select.select([self._process.stdout], [], [], _LOOK_S)
        return self._answer() if ready else None

    def close(self) -> None:
        """End the interpreter."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


def base_environment(folder: Path) -> dict[str, str]:
    """What the image sets; nothing of this process but the place of its programs."""
    return {
        "PATH": f"{PROGRAMS}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(PROJECT),
        "PYTHONUNBUFFERED": "1",
        "HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
        "OMP_NUM_THREADS": "1",
        # A pod has no store: whoever makes one, or looks for one, fails.
        "GALAXYLOOP_STORE": "/dev/null/store",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "FLYTE_INTERNAL_EXECUTION_ID": "f0",
    }


def _poll(process: "subprocess.Popen[bytes]") -> int | None:
    try:
        return process.wait(timeout=_LOOK_S)
    except subprocess.TimeoutExpired:
        return None


def _watch(pod: Pod, pid: int, poll: Poll, is_evicted: Eviction) -> int:
    """Wait for the end; without warning if the pod's node goes away."""
    started, is_killed = time.monotonic(), False
    while (code := poll()) is None:
        is_late = time.monotonic() - started > LIMIT_S
        if not is_killed and (is_late or is_evicted(pod)):
            os.killpg(pid, signal.SIGKILL)
            is_killed = True
    return code
