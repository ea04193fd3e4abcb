"""What lies in the local store, what of it nothing needs any more, and removing that.

A store holds a folder a kind, and in it a directory a result, named by its digest. Nothing here
knows who needs a result: that is told by kind and name, or by name alone.
"""

import os
import shutil
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from galaxyloop.errors import StorageError

UNFINISHED = "unfinished"
"""The folder of directories that tasks are writing, each named after the process at work."""
DAY_S = 24 * 3600.0
_USED = "used"
"""The folder of empty files that say when a result was made again and left as it was."""


@dataclass(frozen=True)
class StoredResult:
    """A directory of the store."""

    path: Path
    n_bytes: int
    """Of the files in it; links count nothing."""
    changed_s: float
    """When something in it was last changed [s since 1970]."""

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name."""
        return self.path.parent.name, self.path.name


def size_and_change(path: Path) -> tuple[int, float]:
    """Bytes of the files below a place, and when something there was last changed [s since 1970].

    Links are not followed. What is removed meanwhile counts nothing.
    """
    n_bytes, changed = 0, 0.0
    places = [str(path)]
    while places:
        place = places.pop()
        try:
            status = os.lstat(place)
            is_folder = os.path.isdir(place) and not os.path.islink(place)
            inside = [entry.path for entry in os.scandir(place)] if is_folder else []
        except FileNotFoundError:
            continue
        changed = max(changed, status.st_mtime)
        n_bytes += 0 if is_folder or os.path.islink(place) else status.st_size
        places += inside
    return n_bytes, changed


def mark_used(path: Path) -> None:
    """Let a result count as changed now, without touching it."""
    mark = _mark(path)
    mark.parent.mkdir(exist_ok=True)
    mark.touch()


def _mark(path: Path) -> Path:
    """Where it is said of a result."""
    return path.parent.parent / _USED / f"{path.parent.name}-{path.name}"


def list_results(store: Path, kinds: Collection[str]) -> Iterator[StoredResult]:
    """The results of some kinds, by kind and name; links are no results, wherever they lead."""
    for kind in sorted(kinds):
        folder = store / kind
        if folder.is_symlink() or not folder.is_dir():
            continue
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink():
                n_bytes, changed = size_and_change(path)
                yield StoredResult(path, n_bytes, max(changed, size_and_change(_mark(path))[1]))


def find_unneeded(
    results: Collection[StoredResult],
    needed: Collection[tuple[str, str]],
    needed_names: Collection[str],
    now_s: float | None = None,
) -> list[StoredResult]:
    """The results that nothing needs and no run may still be using.

    Runs leave behind what nothing needs after them. So what was changed within a day is spared,
    and what was changed since a run began that is writing now, however long ago that was.

    Args:
        results: of one store.
        needed: kinds and names of results that something needs.
        needed_names: names alone, of which any result is needed.
        now_s: the time [s since 1970]; now without it.
    """
    now_s = time.time() if now_s is None else now_s
    at_work = [began for one in results if (began := began_s(one)) is not None]
    spared_since = min([now_s - DAY_S, *at_work])
    return [
        one
        for one in results
        if one.key not in needed
        and one.path.name not in needed_names
        and one.changed_s < spared_since
        and began_s(one) is None
    ]


def began_s(result: StoredResult) -> float | None:
    """When the process began that is writing a directory [s since 1970]; None if none is."""
    process = result.path.name.partition("-")[0]
    if result.path.parent.name != UNFINISHED or not process.isdecimal():
        return None
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return None
    except PermissionError:
        pass
    try:
        return os.stat(f"/proc/{process}").st_mtime
    except OSError:
        # Not on Linux. It began at the latest when it made the directory.
        return result.path.stat().st_mtime


def remove_results(store: Path, results: Collection[StoredResult]) -> int:
    """Remove directories of a store; returns the bytes that are free again.

    Raises:
        StorageError: a directory is not in the store, or cannot be removed.
    """
    for one in results:
        if one.path.resolve() != store.resolve() / one.path.parent.name / one.path.name:
            raise StorageError(
                f"{one.path} is not in the store {store}, or is reached by a link; it was left, as "
                "was all that comes after it"
            )
        try:
            shutil.rmtree(one.path)
        except OSError as error:
            raise StorageError(
                f"cannot remove {one.path}: {error}; remove it with the rights of whoever made it"
            ) from error
        _mark(one.path).unlink(missing_ok=True)
    return sum(one.n_bytes for one in results)
