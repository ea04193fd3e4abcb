"""Files and folders at an address, on this machine or in an object store, by one way for both."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from galaxyloop.errors import StorageError
from galaxyloop.storage import NETWORK_ERRORS, local_path, publish_file


def join(place: str, name: str) -> str:
    """An address below a folder."""
    return f"{place.rstrip('/')}/{name}"


@contextmanager
def opened(uri: str, what: str, remedy: str = "run again") -> Iterator[tuple[Any, str]]:
    """The file system and the path of an address; what fails there is a failure of storage.

    Args:
        uri: path or address.
        what: is done there, for the message.
        remedy: what to do if it fails.
    """
    filesystem, path = fsspec.core.url_to_fs(local_path(uri) or uri)
    try:
        filesystem.invalidate_cache()
        yield filesystem, path
    except NETWORK_ERRORS as error:
        raise StorageError(f"cannot {what} {uri}: {error}; {remedy}") from error


def publish_tree(source: Path, uri: str, last: str = "") -> str:
    """Copy a file, or a folder with all below it, to a path or address.

    A folder that is there is removed first; ``last`` names the file that is written at the end.

    Raises:
        StorageError: it cannot be written there.
    """
    if source.is_file():
        return publish_file(source, uri)
    if not source.is_dir():
        raise StorageError(f"{source} is gone, so {uri} cannot be written; run again")
    remove(uri)
    names = [path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()]
    for name in sorted(names, key=lambda name: (name == last, name)):
        publish_file(source / name, join(uri, name))
    return local_path(uri) or uri


def fetch(uri: str, target: Path) -> Path:
    """Copy a published file or folder to this machine.

    Raises:
        StorageError: it is not there, or cannot be read now.
    """
    with opened(uri, "read", "give the output of a catalogue") as (filesystem, path):
        is_folder = filesystem.isdir(path)
        filesystem.get(f"{path.rstrip('/')}/" if is_folder else path, str(target), recursive=True)
    return target


def list_names(folder: str) -> list[str]:
    """Names in a folder; none if there is no such folder."""
    with opened(folder, "list") as (filesystem, path):
        try:
            found = filesystem.ls(path, detail=False)
        except FileNotFoundError:
            return []
    return [name.rstrip("/").rsplit("/", 1)[-1] for name in found]


def measure(uri: str) -> tuple[int, bytes | None]:
    """The size of what is there now, of 0 if nothing is, and a file's last 64 KiB.

    Returns:
        Bytes in the file, or in all files below the folder; the file's end, None of a folder.
    """
    with opened(uri, "look at") as (filesystem, path):
        sizes = {file: info["size"] for file, info in filesystem.find(path, detail=True).items()}
        n_bytes = int(sum(sizes.values()))
        if path not in sizes or not n_bytes:
            return n_bytes, None
        return n_bytes, filesystem.cat_file(path, start=max(0, n_bytes - (1 << 16)), end=n_bytes)


def read_text(uri: str) -> str | None:
    """A small file's text; None if it is not there."""
    with opened(uri, "read") as (filesystem, path):
        try:
            return str(filesystem.cat_file(path).decode())
        except (FileNotFoundError, NotADirectoryError):
            return None


def remove(uri: str) -> None:
    """Remove a file or folder, and what a killed process left of a file's copy, if it is there."""
    for name in (uri, f"{uri}.partial") if local_path(uri) else (uri,):
        with opened(name, "remove", "choose another output") as (filesystem, path):
            try:
                filesystem.rm(path, recursive=True)
            except FileNotFoundError:
                continue
