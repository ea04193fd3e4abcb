"""A training that was cut short goes on where it was when its task is called again."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import flytekit
from flytekit.core.checkpointer import Checkpoint
from flytekit.exceptions.user import FlyteDataNotFoundException

from galaxyloop.processes import is_first
from galaxyloop.training.running import RunHooks
from tasks.local_run import is_in_pod, store_directory
from tasks.resources import CODE_VERSIONS


@contextmanager
def resumable(task_name: str, *inputs: str) -> Iterator[RunHooks]:
    """Hooks that save a run's state, and bring back what an earlier attempt saved.

    In a pod the state travels by Flyte's checkpoint of the task, to the next attempt after an
    interruption. Locally it lies in the store, and is removed once the body has ended well. Of
    several processes the first keeps the state; the others get no hooks.

    Args:
        task_name: the cached task.
        *inputs: what its result is keyed on.
    """
    if not is_first():
        yield {}
        return
    if is_in_pod():
        with tempfile.TemporaryDirectory() as directory:
            yield _by_flyte(flytekit.current_context().checkpoint, Path(directory))
        return
    key = "\n".join((task_name, CODE_VERSIONS[task_name], *inputs))
    place = store_directory() / "training-state" / hashlib.sha256(key.encode()).hexdigest()
    yield {"state_directory": place}
    shutil.rmtree(place, ignore_errors=True)


def _by_flyte(checkpoint: Checkpoint, directory: Path) -> RunHooks:
    """Restore what the last attempt left; each saved state is uploaded for the next one."""
    if checkpoint.prev_exists():
        # Flyte names the place even if that attempt was cut short before it saved anything.
        with suppress(FlyteDataNotFoundException):
            checkpoint.restore(directory)
        # An attempt finds only what the one before it saved.
        for path in directory.iterdir():
            checkpoint.save(path)
    return {"state_directory": directory, "on_saved": checkpoint.save}
