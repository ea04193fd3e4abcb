"""What a local run needs that Flyte does not give: a durable store.

Flyte's local cache database lies in the home directory and the outputs it points at in temporary
folders that anything may empty (flyteorg/flyte#6393, #5613). Here both live in one store beside
the project, made and deleted together. A result that has been removed from the store is made again.
In a pod nothing of this applies.
"""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, TypeVar

from flytekit.core import data_persistence, local_cache
from flytekit.models.literals import LiteralMap

from galaxyloop.stored_results import UNFINISHED, mark_used
from schemas.artefacts import Artefact, is_kept
from tasks import command_line
from tasks.cached_results import DAMAGE

A = TypeVar("A", bound=Artefact)

PROJECT = Path(__file__).resolve().parent.parent
_look_up = local_cache.LocalTaskCache.get


def is_in_pod() -> bool:
    """Whether Flyte runs this process in a container of a cluster."""
    return "FLYTE_INTERNAL_EXECUTION_ID" in os.environ


def store_directory() -> Path:
    """Where local results live: ``GALAXYLOOP_STORE``, else ``.galaxyloop`` beside the project."""
    return Path(os.environ.get("GALAXYLOOP_STORE", PROJECT / ".galaxyloop")).resolve()


def install() -> None:
    """Point Flyte's local cache and outputs at the store, once, before any task runs.

    The cache's name holds the store's own path: a project that is copied with its store starts
    with an empty cache instead of pointing into the original.
    """
    if is_in_pod():
        return
    store = store_directory()
    place = hashlib.sha256(str(store).encode()).hexdigest()[:12]
    local_cache.CACHE_LOCATION = str(store / f"cache-{place}")
    data_persistence.default_local_file_access_provider._raw_output_prefix = f"{store}/raw/"  # noqa: SLF001
    local_cache.LocalTaskCache.get = staticmethod(find_cached)
    command_line.install()


def find_cached(*key: Any) -> LiteralMap | None:  # noqa: ANN401 - flytekit's own arguments
    """What a task gave to the same inputs before, unless a part of that has been removed since.

    Flyte's own look-up goes on naming directories that are gone, and ends the run at an entry that
    is damaged.
    """
    try:
        found = _look_up(*key)
    except DAMAGE:
        return None
    is_whole = found is not None and all(map(is_kept, found.literals.values()))
    return found if is_whole else None


def new_directory(name: str) -> Path:
    """A directory for a task to write: does not exist yet, beside where it will be kept."""
    if is_in_pod():
        return Path(tempfile.mkdtemp()) / name
    scratch = store_directory() / UNFINISHED
    scratch.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=scratch)) / name


def keep(directory: Path, artefact_type: type[A], digest: str, *, replace: bool = False) -> A:
    """Wrap a finished directory; locally it moves into the store under its digest.

    Args:
        directory: what ``new_directory`` gave.
        artefact_type: what it holds.
        digest: of its content.
        replace: what the store has under that digest has the same content and stays, unless it
            may hold addresses that the digest does not cover.
    """
    if is_in_pod():
        return artefact_type(uri=str(directory), digest=digest)
    target = store_directory() / artefact_type.kind / digest
    target.parent.mkdir(parents=True, exist_ok=True)
    if replace and target.exists():
        os.replace(target, directory.parent / "replaced")
    if target.exists():
        mark_used(target)
    else:
        os.replace(directory, target)
    shutil.rmtree(directory.parent)
    return artefact_type(uri=str(target), digest=digest)
