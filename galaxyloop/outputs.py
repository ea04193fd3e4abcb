"""Where results are asked to go."""

import tempfile
from pathlib import Path

import fsspec

from galaxyloop.errors import ConfigError, RefusedError, StorageError
from galaxyloop.storage import NETWORK_ERRORS, is_lasting, local_path

TRIAL = ".write-check"
"""Name of the empty file that is written at an address and removed again."""


def check_output(output: str, must_be_remote: bool) -> None:
    """Refuse a place where results would be lost, or cannot be written.

    At an address an empty file is written and removed; where only removing is forbidden, it stays.
    On this machine no folder is made: the nearest one that is there must take a file.

    Raises:
        ConfigError: nothing is named, or a container's own disk, or no address that can be written.
        RefusedError: nothing may be written there.
        StorageError: nothing can be written there now.
    """
    if not output:
        raise ConfigError("output must name a folder or address for the results, got ''")
    path = local_path(output)
    if must_be_remote and path is not None:
        raise ConfigError(
            f"output must be an address such as s3://bucket/round on a cluster, got '{output}': "
            "a container's own disk is lost with it"
        )
    try:
        if path is None:
            _try_address(f"{output.rstrip('/')}/{TRIAL}")
        else:
            _try_folder(Path(path))
    except NETWORK_ERRORS as error:
        kind = RefusedError if is_lasting(error) else StorageError
        raise kind(
            f"cannot write to output '{output}': {error}; choose another, or check its address, "
            "its space and your credentials"
        ) from error
    except (ValueError, TypeError, ImportError, NotImplementedError) as error:
        raise ConfigError(
            f"output must be a folder or an address that can be written, got '{output}': {error}"
        ) from error


def _try_address(uri: str) -> None:
    """Write an empty file and remove it."""
    filesystem, path = fsspec.core.url_to_fs(uri)
    filesystem.pipe_file(path, b"")
    try:
        filesystem.rm_file(path)
    except PermissionError:
        return


def _try_folder(folder: Path) -> None:
    """Write a file without a name; it is gone when it is closed."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"\0")
